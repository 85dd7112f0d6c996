"""Damaged exports and pictures: the clients."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from tests.damaged_inputs import cases, data_cases, materials, mutations, places, server


def all_cases(made: materials.Materials) -> Iterator[cases.Case]:
  yield from _exports(made)
  yield from _pictures(made)
  yield from _outputs(made)
  yield from _flags(made)


def labelled(folder: pathlib.Path, outcome: server.Outcome) -> Any:
  """What a client has written and said, but for how long it took."""
  said = re.sub(r", median .*", "", outcome.stdout.replace(str(folder), ""))
  return said, [
    (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    for path in sorted((folder / "out").glob("*"))
  ]


def _client(made: materials.Materials, run: str, **changes) -> cases.Subject:
  return cases.Subject(**{
    "name": f"client-{run}", "module": "export.client_onnx",
    "arguments": ("--model={case}/export", "--image={case}/pictures", "--out={case}/out"),
    "inputs": {"export": made.runs / run / "export", "pictures": made.data / "pictures"},
    "result": labelled, **changes,
  })  # fmt: skip


def _exports(made: materials.Materials) -> Iterator[cases.Case]:
  """What an export wrote, on its way to the car."""
  for run in ("digits", "scenes"):
    export = made.runs / run / "export"
    subject = _client(made, run)
    manifest = json.loads((export / "export.json").read_text())
    yield from cases.of_file(subject, "export/export.json")
    yield from cases.of_json(
      subject, "export/export.json", manifest, values=3 if run == "digits" else 1
    )
    entry = manifest["onnx"]["float32"]
    for file in (entry["file"], entry["golden"]):
      yield from cases.of_file(
        subject, f"export/{file}", changed=cases.Expected.REFUSED_OR_SAME
      )
      yield from _believed(subject, f"export/{file}", file)
    for folder in ("export", "export/onnx"):
      yield from cases.of_folder(subject, folder)


def _believed(subject: cases.Subject, place: str, file: str) -> Iterator[cases.Case]:
  """Damage that the manifest's checksum was made after."""
  for kind, mutate in mutations.MUTATIONS.items():

    def damage(folder: pathlib.Path, rng, mutate=mutate) -> None:
      content = mutate((folder / place).read_bytes(), rng)
      (folder / place).write_bytes(content)
      path = folder / "export" / "export.json"
      manifest = json.loads(path.read_text())
      manifest["files"][file] = {
        "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)
      }  # fmt: skip
      path.write_text(json.dumps(manifest))

    yield subject.case(f"{place.replace('/', ':')}/believed/{kind}", damage)


def _pictures(made: materials.Materials) -> Iterator[cases.Case]:
  subject = _client(made, "digits", name="client-pictures")
  for name in materials.FORMATS:
    yield from cases.of_file(subject, f"pictures/{name}", gone=cases.Expected.ANY, seeds=1)
  yield from cases.of_folder(subject, "pictures")
  yield from data_cases.chunks(subject, "pictures/rgb.png")
  for name, odd in places.NAMES.items():
    for encoding in ("utf-8", "ascii"):
      yield subject.case(
        f"name/{name}/{encoding}", cases.renamed("pictures/rgb.png", f"{odd[:250]}.png"),
        environment={"OUTPUT_ENCODING": encoding},
      )  # fmt: skip
    yield subject.case(
      f"folder/{name}", cases.renamed("pictures", odd),
      arguments=(subject.arguments[0], f"--image={{case}}/{odd}", subject.arguments[2]),
    )  # fmt: skip
  for name in ("rgb.png", "rgb.jpg"):
    alone = (
      subject.arguments[0],
      f"--image={{case}}/pictures/{name}",
      subject.arguments[2],
    )
    for kind in places.REPLACEMENTS:
      damage = cases.put(f"pictures/{name}", places.REPLACEMENTS[kind])
      yield subject.case(
        f"alone/{name}/{kind}", damage, cases.Expected.REFUSED, arguments=alone
      )


def _outputs(made: materials.Materials) -> Iterator[cases.Case]:
  """Things in the way of the pictures that a client writes."""
  subject = _client(made, "scenes", name="client-out", writes=("out/",))
  for kind in ("empty", "of_another_type", "fifo", "unix_socket", "endless_device",
               "link_to_itself", "link_to_nothing"):  # fmt: skip
    yield subject.case(f"in_its_place/{kind}", cases.put("out", places.REPLACEMENTS[kind]))
  for kind in ("directory", "fifo", "unix_socket", "link_to_itself"):

    def damage(folder: pathlib.Path, rng, kind=kind) -> None:
      (folder / "out").mkdir()
      places.REPLACEMENTS[kind](folder / "out" / "palette-labels.png", rng)

    yield subject.case(f"picture_in_its_place/{kind}", damage)
  for name, odd in places.NAMES.items():
    arguments = (*subject.arguments[:2], f"--out={{case}}/{odd}")
    yield subject.case(f"name/{name}", cases.no_damage, arguments=arguments)


def _flags(made: materials.Materials) -> Iterator[cases.Case]:
  subject = _client(made, "scenes", name="client-flags")
  flags = (
    "--alpha=nan", "--alpha=-1", "--alpha=2", "--alpha=text", "--threads=-1",
    "--threads=1025", "--threads=99999999999999999999", "--threads=1.5", "--provider=cuda",
    "--provider=tensorrt", "--provider=no", "--precision=int8", "--precision=no",
    "--precision=", "--model=", "--image=", "--image={case}/gone", "--model=/dev/null",
    "--model=/dev/zero", "--image=/dev/zero", "--image=/dev/null", "--image=/proc/self/mem",
    "--out={case}/pictures", "--nothing",
  )  # fmt: skip
  for flag in flags:
    yield subject.case(
      flag.replace("/", ":"), cases.no_damage, arguments=(*subject.arguments, flag),
    )  # fmt: skip
