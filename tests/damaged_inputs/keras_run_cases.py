"""Runs of a user's network: its file, the run's copy of it, and the one that comes back."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from tests.damaged_inputs import cases, materials, places, run_cases

_SAME = cases.Expected.REFUSED_OR_SAME
_SOME = ("cut", "flip", "zero")
_ENDINGS = (".keras", ".h5", "")
# What no run of this network can do.
_FLAGS = (
  "--config.model.path=", "--config.model.path=~", "--config.model.path={case}",
  "--config.model.path=https://example.com/a.keras", "--config.model.path=\x1b[31m",
  "--config.model.scale=", "--config.model.scale=0", "--config.model.scale=nan",
  "--config.model.scale=1/0", "--config.model.scale=1,2", "--config.model.mean=1,2",
  "--config.model.deviation=0", "--config.model.outputs=odd", "--config.data.height=32",
  "--config.data.num_classes=7", "--config.data.classes=a,b", "--config.adapt.taps=nowhere",
  "--config.adapt.taps=flat:0", "--config.match.sites=nowhere",
  "--config.model.channel_order=odd", "--config.data.channels=3",
)  # fmt: skip


def all_cases(made: materials.Materials) -> Iterator[cases.Case]:
  for ending in _ENDINGS:
    yield from _given(made, ending)
    yield from _read_only(made, ending)
  yield from _flags(made)
  yield from _resumed(made)
  yield from _read_back(made)


def _subject(
  made: materials.Materials, name: str, ending: str = ".keras", **changes
) -> cases.Subject:
  """A whole run of a network that stands beside its folder."""
  place = f"own{ending}"
  inputs = {place: made.networks / f"digits{ending}", **changes.pop("inputs", {})}
  return cases.Subject(
    name, "tfdam.train",
    (
      f"--config={made.configs}/keras.py", "--workdir={case}/run",
      f"--config.model.path={{case}}/{place}",
    ),
    inputs=inputs, result=run_cases.results, slow=True, **changes,
  )  # fmt: skip


def _given(made: materials.Materials, ending: str) -> Iterator[cases.Case]:
  """The user's file, damaged before the run, and under odd names."""
  subject = _subject(made, f"own-{ending[1:] or 'folder'}", ending)
  place = f"own{ending}"
  if ending:
    yield from cases.of_file(subject, place, seeds=1, kinds=_SOME)
  else:
    yield from cases.of_folder(subject, place)
    for file in ("saved_model.pb", "keras_metadata.pb", "variables/variables.index"):
      yield from cases.of_file(subject, f"{place}/{file}", seeds=1, kinds=("cut",))
  for name, odd in places.NAMES.items():
    called = f"{odd[:200]}{ending}"
    arguments = (*subject.arguments[:2], f"--config.model.path={{case}}/{called}")
    damage = cases.renamed(place, called)
    yield subject.case(f"name/{name}", damage, arguments=arguments)


def _read_only(made: materials.Materials, ending: str) -> Iterator[cases.Case]:
  """A folder that takes nothing when the adapted network is written; see bad_disk.py."""
  subject = _subject(made, f"own-disk-{ending[1:] or 'folder'}", ending)
  yield subject.case(
    "read_only", cases.no_damage, cases.Expected.REFUSED, "run/adapted",
    module="tests.bad_disk",
    arguments=("read_only", "{case}/run/adapted", "tfdam.train", *subject.arguments),
  )  # fmt: skip


def _flags(made: materials.Materials) -> Iterator[cases.Case]:
  subject = _subject(made, "own-flags")
  for number, flag in enumerate(_FLAGS):
    yield subject.case(
      f"{number:02d}", cases.no_damage, cases.Expected.REFUSED,
      arguments=(*subject.arguments, flag),
    )  # fmt: skip


def _resumed(made: materials.Materials) -> Iterator[cases.Case]:
  """A run that goes on, which writes `adapted.keras` at its end."""
  subject = _subject(
    made, "own-resume", inputs={"run": made.runs / "keras_begun"}, writes=("run/",)
  )
  yield from cases.of_file(
    subject, "run/network.keras", cases.Expected.ANY, _SAME, seeds=1, kinds=_SOME
  )
  for place in ("adapted.keras", "adapted.partial.keras", "network.keras.partial"):
    for kind, replace in places.REPLACEMENTS.items():
      damage = _put(f"run/{place}", replace)
      yield subject.case(f"run:{place}/{kind}", damage, _SAME)
  for kind in ("adapted.keras", "adapted.h5", "adapted"):
    damage = cases.put(f"run/{kind}", places.REPLACEMENTS["directory"])
    yield subject.case(f"run:{kind}/beside", damage, _SAME)
  # The run has its own copy.
  yield subject.case(
    "own/missing", cases.put("own.keras", places.missing), cases.Expected.SAME
  )
  other = made.networks / "pictures.keras"
  yield subject.case(
    "own/another", lambda folder, _: cases.copy(other, folder / "own.keras"),
    cases.Expected.REFUSED,
  )  # fmt: skip
  yield from cases.of_file(subject, "own.keras", cases.Expected.ANY, seeds=1, kinds=_SOME)


def _read_back(made: materials.Materials) -> Iterator[cases.Case]:
  """The run's copy of the network, by the commands that read it."""
  run = {"run": made.runs / "keras"}
  evaluated = cases.Subject(
    "own-evaluate", "tfdam.evaluate", ("--workdir={case}/run",), inputs=run,
    writes=("run/evaluation.json",), result=run_cases.evaluation, slow=True,
  )  # fmt: skip
  exported = cases.Subject(
    "own-export", "export.run",
    ("--workdir={case}/run", "--formats=onnx", "--metric_images=4"), inputs=run,
    writes=("run/export",), result=run_cases.manifest, slow=True,
  )  # fmt: skip
  for subject in (evaluated, exported):
    yield from cases.of_file(
      subject, "run/network.keras", cases.Expected.ANY, seeds=1, kinds=_SOME
    )
    for kind in places.REPLACEMENTS:
      # What came back is the user's: no command of ours reads it.
      damage = cases.put("run/adapted.keras", places.REPLACEMENTS[kind])
      yield subject.case(f"run:adapted.keras/{kind}", damage, _SAME)


def _put(place: str, replace: places.Replacement) -> cases.Damage:
  """Damage to a file that may not be there yet."""

  def damage(folder: pathlib.Path, rng) -> None:
    (folder / place).touch()
    replace(folder / place, rng)

  return damage
