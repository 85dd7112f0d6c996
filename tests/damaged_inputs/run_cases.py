"""Damaged run folders: what a run writes and reads back, by every command that does."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from tests.damaged_inputs import cases, config_cases, materials, mutations, places, server

_RUN = "run"
_SAME = cases.Expected.REFUSED_OR_SAME


def all_cases(made: materials.Materials) -> Iterator[cases.Case]:
  yield from _evaluated(made)
  yield from _resumed(made)
  yield from _exported(made)
  yield from _reported(made)
  yield from _scenes(made)
  yield from _started_from(made)
  yield from _shared(made)
  yield from _weights(made)
  yield from _places(made)


def evaluation(folder: pathlib.Path, outcome: server.Outcome) -> Any:
  """The scores that tfdam.evaluate writes."""
  return json.loads((folder / _RUN / "evaluation.json").read_text())["stages"]


def results(folder: pathlib.Path, outcome: server.Outcome) -> Any:
  """The scores that a run ends with."""
  return json.loads((folder / _RUN / "results.json").read_text())["stages"]


def manifest(folder: pathlib.Path, outcome: server.Outcome) -> Any:
  """Which network was exported."""
  found = json.loads((folder / _RUN / "export" / "export.json").read_text())
  return {key: found[key] for key in ("model", "input", "outputs")}


def _evaluate(made: materials.Materials, run: str, **changes) -> cases.Subject:
  return cases.Subject(
    f"evaluate-{run}", "tfdam.evaluate", ("--workdir={case}/run",),
    inputs={_RUN: made.runs / run}, writes=("run/evaluation.json",), result=evaluation,
    slow=True, **changes,
  )  # fmt: skip


def _evaluated(made: materials.Materials) -> Iterator[cases.Case]:
  subject = _evaluate(made, "digits")
  run = made.runs / "digits"
  yield from cases.of_file(subject, "run/config.json", seeds=1)
  yield from cases.of_json(subject, "run/config.json", _json(run / "config.json"), values=1)
  yield from cases.of_file(subject, "run/run.json", gone=cases.Expected.ANY, seeds=1)
  yield from cases.of_json(subject, "run/run.json", _json(run / "run.json"), values=1)
  for file in _checkpoint(run, "adapted"):
    yield from cases.of_file(subject, f"run/{file}", gone=cases.Expected.ANY, seeds=1)
    if file.endswith(".json"):
      yield from cases.of_json(subject, f"run/{file}", _json(run / file), values=3)
  step = materials.newest(run, "adapted").name
  for folder in (
    "",
    "/checkpoints",
    "/checkpoints/adapted",
    f"/checkpoints/adapted/{step}",
  ):
    yield from cases.of_folder(subject, f"run{folder}")
  yield from _odd_steps(subject)
  for name, odd in places.NAMES.items():
    yield subject.case(
      f"name/{name}", cases.renamed(_RUN, odd), arguments=(f"--workdir={{case}}/{odd}",),
      writes=(f"{odd}/evaluation.json",), result=cases.nothing,
    )  # fmt: skip


def _odd_steps(subject: cases.Subject) -> Iterator[cases.Case]:
  """Folders among the checkpoints that are named otherwise than steps."""
  for name in ("7", "99999999", "٣", "²", "-1", "00000002.partial", "9" * 100, "notes"):
    for kind in ("directory", "empty", "fifo", "link_to_itself"):
      replace = places.REPLACEMENTS[kind]
      damage = cases.put(f"run/checkpoints/adapted/{name}", replace)
      yield subject.case(f"steps/{name}/{kind}", damage)


def _resumed(made: materials.Materials) -> Iterator[cases.Case]:
  """A run that was ended two steps before its end, started again."""
  subject = config_cases.training(
    made, "resume", inputs={_RUN: made.runs / "digits_begun"}, writes=("run/",),
    result=results,
  )  # fmt: skip
  run = made.runs / "digits_begun"
  yield from _read_back(subject, run)
  # Whatever becomes of a checkpoint: the run ends with the same bits, or says why not.
  for stage in ("source_only", "gaussian", "adapted"):
    for file in _checkpoint(run, stage):
      yield from cases.of_file(
        subject, f"run/{file}", _SAME, _SAME, seeds=1, kinds=("cut", "flip")
      )
  info = next(f for f in _checkpoint(run, "adapted") if f.endswith(".json"))
  yield from cases.of_json(subject, f"run/{info}", _json(run / info))
  yield from _lines(subject, "run/metrics.jsonl")
  for file in materials.paths_of(made.runs, "digits_begun", "summaries/*/*")[:2]:
    yield from cases.of_file(
      subject, f"run/{file}", _SAME, _SAME, seeds=1, kinds=("cut", "flip", "insert")
    )
  for folder in ("run", "run/summaries", "run/checkpoints", "run/checkpoints/adapted"):
    yield from cases.of_folder(subject, folder)
  for place in (".lock", "pictures", "results.json.partial", "run.json.partial"):
    for kind in ("directory", "fifo", "unix_socket", "link_to_itself", "link_to_nothing"):
      damage = cases.put(f"run/{place}", places.REPLACEMENTS[kind])
      yield subject.case(f"run:{place}/{kind}", damage)


def _read_back(subject: cases.Subject, run: pathlib.Path) -> Iterator[cases.Case]:
  """What a run that goes on reads of the text that it wrote."""
  for file in ("config.json", "run.json", "results.json", "metrics.jsonl"):
    yield from cases.of_file(
      subject,
      f"run/{file}",
      cases.Expected.ANY,
      seeds=1,
      kinds=("cut", "flip_many", "zero"),
    )
    if file.endswith(".json"):
      yield from cases.of_json(subject, f"run/{file}", _json(run / file), values=1)


def _lines(subject: cases.Subject, place: str) -> Iterator[cases.Case]:
  """Lines of metrics that are none."""
  lines = {
    "number": b"7\n", "list": b"[]\n", "null": b"null\n", "text": b'"text"\n',
    "empty": b"\n", "object": b"{}\n", "cut": b'{"stage": ',
    "no_step": b'{"stage": "adapted", "phase": "adapt"}\n',
    "step_is_text": b'{"stage": "adapted", "phase": "adapt", "step": "2"}\n',
    "step_is_null": b'{"stage": "adapted", "phase": "adapt", "step": null}\n',
    "stage_is_list": b'{"stage": [], "phase": {}, "step": 2}\n',
    "bad_byte": b'{"a": "\xff"}\n', "deep": b"[" * 100_000 + b"\n",
    "nul": bytes(512) + b"\n", "long": b"9" * 1_000_000 + b"\n",
  }  # fmt: skip
  for name, line in lines.items():
    damage = cases.rewritten(place, lambda content, _, line=line: line + content + line)
    yield subject.case(f"{place.replace('/', ':')}/line/{name}", damage)


def _exported(made: materials.Materials) -> Iterator[cases.Case]:
  subject = cases.Subject(
    "export", "export.run", ("--workdir={case}/run", "--formats=onnx", "--metric_images=4"),
    inputs={_RUN: made.runs / "digits"}, writes=("run/export",), result=manifest, slow=True,
  )  # fmt: skip
  run = made.runs / "digits"
  some = ("cut", "flip")
  yield from cases.of_file(subject, "run/results.json", seeds=1, kinds=some)
  yield from cases.of_json(subject, "run/results.json", _some_results(run), values=1)
  yield from cases.of_file(subject, "run/config.json", seeds=1, kinds=some)
  for file in _checkpoint(run, "adapted"):
    yield from cases.of_file(
      subject, f"run/{file}", gone=cases.Expected.ANY, seeds=1, kinds=some
    )
  for file in ("export.json", "onnx/model.onnx", "onnx/golden.npz", ".lock"):
    if (run / "export" / file).exists():
      yield from cases.of_file(
        subject, f"run/export/{file}", gone=cases.Expected.ANY, seeds=1, kinds=("cut",)
      )
  yield from cases.of_json(
    subject, "run/export/export.json", _json(run / "export" / "export.json"), values=1
  )
  for folder in ("run/export", "run/export/onnx"):
    yield from cases.of_folder(subject, folder)


def _reported(made: materials.Materials) -> Iterator[cases.Case]:
  """What a report reads, and what stands where it is written."""
  subject = cases.Subject(
    "report", "tfdam.report", ("--workdir={case}/run",),
    inputs={_RUN: made.runs / "digits"},
    writes=("run/report.html", "run/report.json"), result=cases.nothing, slow=True,
  )  # fmt: skip
  run = made.runs / "digits"
  some = ("cut", "flip")
  gone = cases.Expected.ANY
  for file in ("report.json", "results.json", "run.json", "config.json", "metrics.jsonl"):
    yield from cases.of_file(subject, f"run/{file}", gone=gone, seeds=1, kinds=some)
  yield from cases.of_json(subject, "run/report.json", _some_facts(run), values=2)
  yield from cases.of_json(subject, "run/results.json", _some_results(run), values=2)
  yield from cases.of_json(subject, "run/run.json", _json(run / "run.json"), values=1)
  yield from _lines(subject, "run/metrics.jsonl")
  for kind in ("directory", "fifo", "unix_socket", "link_to_itself"):
    damage = cases.put("run/report.html", places.REPLACEMENTS[kind])
    yield subject.case(f"run:report.html/{kind}", damage, cases.Expected.ANY)


def _some_facts(run: pathlib.Path) -> Any:
  """The facts of a report without most of their numbers, which are many and alike."""
  found = _json(run / "report.json")
  found["confusion"] = {
    stage: {split: counts[:2] for split, counts in of.items()}
    for stage, of in list(found["confusion"].items())[:1]
  }
  found["drift"] = found["drift"][:1]
  for gap in ("before", "after"):
    if gap in found:
      found[gap]["layers"] = found[gap]["layers"][:2]
  image = "iVBORw0KGgo="
  scene = {"image": image, "truth": image, "stages": {"source_only": image}}
  found["panels"] = {"classes": ["0"], "colours": [[1, 2, 3]], "scenes": [scene]}
  histogram = {
    "low": 0.0, "high": 1.0, "source": [0.5, 0.5], "target": [0.1, 0.9], "bits": 0.1
  }  # fmt: skip
  channel = {"channel": 0, "before": histogram, "after": [histogram]}
  found["taps"] = [{"tap": "fc3", "channels": [channel]}]
  return found


def _some_results(run: pathlib.Path) -> Any:
  """The results without most of their scores, which are many and alike."""
  found = _json(run / "results.json")
  for scores in found["stages"].values():
    for split in list(scores):
      scores[split] = {"accuracy": scores[split].get("accuracy", 0.0)}
  return found


def _scenes(made: materials.Materials) -> Iterator[cases.Case]:
  """Images and labels of scenes, decoded while a network is scored on them."""
  subject = _evaluate(made, "scenes", environment={"TFDAM_DATA": "{case}/data"})
  subject = dataclasses.replace(
    subject, inputs={**subject.inputs, "data/own": made.data / "own"}
  )
  for pattern in ("images/val/*/*", "labels/val/*/*"):
    file = materials.paths_of(made.data, "own", pattern)[0]
    yield from cases.of_file(subject, f"data/own/{file}", gone=cases.Expected.ANY, seeds=1)


def _started_from(made: materials.Materials) -> Iterator[cases.Case]:
  """A run that starts from the network of another one."""
  subject = config_cases.training(
    made, "init", inputs={"from": made.runs / "digits"}, result=results
  )
  flags = (
    "--config.source.init_checkpoint={case}/from",
    "--config.source.steps=0",
    "--config.adapt.steps=0",
  )
  subject = dataclasses.replace(subject, arguments=(*subject.arguments, *flags))
  for file in _checkpoint(made.runs / "digits", "source_only"):
    yield from cases.of_file(
      subject, f"from/{file}", gone=cases.Expected.ANY, seeds=1, kinds=("cut", "flip")
    )
  for kind in places.FOLDERS:
    yield subject.case(f"from/{kind}", cases.put("from", places.FOLDERS[kind]))


def _shared(made: materials.Materials) -> Iterator[cases.Case]:
  """A run that takes its source network from the cache, or trains it again."""
  subject = config_cases.training(
    made, "cache", inputs={"cache": made.cache}, writes=("cache/",), result=results
  )
  (network,) = (path for path in (made.cache / "source").iterdir() if path.is_dir())
  for file in sorted(network.iterdir()):
    place = f"cache/source/{network.name}/{file.name}"
    yield from cases.of_file(subject, place, _SAME, _SAME, seeds=1, kinds=("cut", "flip"))
    if file.suffix == ".json":
      yield from cases.of_json(subject, place, _json(file), values=1)
  for folder in ("cache", "cache/source", f"cache/source/{network.name}"):
    yield from cases.of_folder(subject, folder)
  for kind in ("directory", "fifo", "unix_socket", "link_to_itself", "unreadable"):
    lock = f"cache/source/{network.name}.lock"
    yield subject.case(f"lock/{kind}", cases.put(lock, places.REPLACEMENTS[kind]), _SAME)


def _weights(made: materials.Materials) -> Iterator[cases.Case]:
  """Weights of VGG16 that are none."""
  subject = cases.Subject(
    "weights", "tfdam.train",
    (
      f"--config={made.configs}/scenes.py", "--workdir={case}/run",
      "--config.model.name=fcn8s", "--config.model.weights={case}/weights.h5",
      "--config.model.depth=1.0", "--config.model.width=1.0", "--config.adapt.taps=pool3",
    ),
    inputs={"weights.h5": made.data / "h5" / "usps" / "usps.h5"}, slow=True,
  )  # fmt: skip
  refused = cases.Expected.REFUSED
  for kind, replace in places.REPLACEMENTS.items():
    yield subject.case(kind, cases.put("weights.h5", replace), refused, "weights.h5")
  for kind, mutate in mutations.MUTATIONS.items():
    yield subject.case(kind, cases.rewritten("weights.h5", mutate), refused, "weights.h5")


def _places(made: materials.Materials) -> Iterator[cases.Case]:
  """Things in the place of a new run's folder."""
  subject = config_cases.training(made, "workdir")
  for kind in (
    "empty",
    "of_another_type",
    "fifo",
    "unix_socket",
    "endless_device",
    "link_to_itself",
  ):
    damage = cases.put("run", places.REPLACEMENTS[kind])
    yield subject.case(f"in_its_place/{kind}", damage, cases.Expected.REFUSED)
  for kind in ("unlistable", "unenterable", "unwritable", "with_special_files"):

    def damage(folder: pathlib.Path, rng, kind=kind) -> None:
      (folder / "run").mkdir()
      places.FOLDERS[kind](folder / "run", rng)

    yield subject.case(f"folder/{kind}", damage, cases.Expected.REFUSED)
  names = {"too_long": "a" * 300, "too_deep": "a/" * 2500 + "b", **places.NAMES}
  for name, odd in names.items():
    workdir = f"--workdir={{case}}/{odd}"
    yield subject.case(
      f"name/{name}", cases.no_damage, arguments=(subject.arguments[0], workdir)
    )


def _checkpoint(run: pathlib.Path, stage: str) -> list[str]:
  """The files of a stage's newest checkpoint, below the run."""
  place = materials.newest(run, stage)
  return [str(path.relative_to(run)) for path in sorted(place.iterdir())]


def _json(path: pathlib.Path) -> Any:
  return json.loads(path.read_text())
