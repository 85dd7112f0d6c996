"""Damaged networks of Keras, by the command that reads one and computes little."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.damaged_inputs import (
  architectures,
  archives,
  cases,
  hdf5_damage,
  materials,
  mutations,
  places,
  saved_models,
  server,
)

_SAVED_MODEL_FILES = (
  "saved_model.pb", "keras_metadata.pb", "variables/variables.index",
  "variables/variables.data-00000-of-00001",
)  # fmt: skip
_REFUSED = cases.Expected.REFUSED


class _Form(NamedTuple):
  """One of the forms that networks are saved in.

  Attributes:
    subject: the command on an intact one.
    place: of the file, below the case's folder.
    rewrite: damage to the architecture's JSON.
    config: that JSON.
  """

  subject: cases.Subject
  place: str
  rewrite: cases.Rewrite
  config: Any


def all_cases(made: materials.Materials) -> Iterator[cases.Case]:
  forms = list(_forms(made))
  for form in forms:
    yield from _architectures(form)
    yield from _bytes(form)
    yield from _names(form)
  for form in forms:
    if form.place.endswith(".keras"):
      yield from _archives(form)
    elif form.place.endswith(".h5"):
      for name, mutate in hdf5_damage.CHANGES_OF_BYTES.items():
        damage = cases.rewritten(form.place, mutate)
        named = "" if name in hdf5_damage.NO_NUMBERS else form.place
        yield form.subject.case(f"hdf5/{name}", damage, place=named)
  yield from _other_files(made)
  yield from _flags(made)


def table(folder: pathlib.Path, outcome: server.Outcome) -> Any:
  """The gap in every layer."""
  return json.loads((folder / "out" / "gap.json").read_text())["layers"]


def _subject(
  made: materials.Materials, name: str, place: str, source: pathlib.Path
) -> cases.Subject:
  return cases.Subject(
    name, "tfdam.gap",
    (
      f"--model={{case}}/{place}", "--source={data}/shapes/train/square", "--images=2",
      "--target={data}/shapes/train/star", "--output={case}/out",
    ),
    inputs={place: source}, result=table, slow=True,
  )  # fmt: skip


def _forms(made: materials.Materials) -> Iterator[_Form]:
  """Those that the Keras here writes."""
  for path in sorted(made.networks.glob("pictures*")):
    version = "-keras3" if path.stem.endswith("3") else ""
    place = f"network{path.suffix}"
    subject = _subject(made, f"network{version}-{path.suffix[1:] or 'folder'}", place, path)
    if path.suffix == ".keras":
      config = archives.read(path.read_bytes(), "config.json")
      rewrite = archives.inside("config.json")
    elif path.suffix == ".h5":
      config, rewrite = hdf5_damage.config(path), hdf5_damage.inside_config
    else:
      config, rewrite = saved_models.config(path), saved_models.inside_config
    yield _Form(subject, place, rewrite, json.loads(config))


def _architectures(form: _Form) -> Iterator[cases.Case]:
  subject, place = form.subject, form.place
  changes = {**architectures.REFUSED, **architectures.ODD}
  for name, change in changes.items():
    expected = _REFUSED if name in architectures.REFUSED else cases.Expected.ANY
    if not place.endswith((".keras", ".h5")):
      expected = cases.Expected.ANY  # the graph has it as well
    damage = form.rewrite(place, architectures.mutation(change))
    named = "" if name in architectures.NO_NUMBERS else place
    yield subject.case(f"architecture/{name}", damage, expected, named)
  for case in cases.of_json(
    subject, place, form.config, 1, part="config", rewrite=form.rewrite
  ):
    # With such a number a network may be read, and the error names the layer.
    is_number = case.name.endswith(("/nan", "/infinite", "/huge"))
    yield dataclasses.replace(case, place="") if is_number else case


def _bytes(form: _Form) -> Iterator[cases.Case]:
  """Of the file, and of every file in a folder."""
  subject, place = form.subject, form.place
  if place.endswith((".keras", ".h5")):
    yield from cases.of_file(subject, place)
    return
  for file in _SAVED_MODEL_FILES:
    yield from cases.of_file(subject, f"{place}/{file}")
  for folder in (place, f"{place}/variables"):
    yield from cases.of_folder(subject, folder)


def _names(form: _Form) -> Iterator[cases.Case]:
  """Names that the file itself may have: nothing is wrong with most."""
  ending = pathlib.PurePath(form.place).suffix
  for name, odd in places.NAMES.items():
    called = f"{odd[:200]}{ending}"
    arguments = (f"--model={{case}}/{called}", *form.subject.arguments[1:])
    damage = cases.renamed(form.place, called)
    yield form.subject.case(f"name/{name}", damage, arguments=arguments)
  for other in {".keras", ".h5", ".onnx", ""} - {ending}:
    arguments = (f"--model={{case}}/other{other}", *form.subject.arguments[1:])
    damage = cases.renamed(form.place, f"other{other}")
    same = cases.Expected.SAME
    yield form.subject.case(f"ending/{other}", damage, same, arguments=arguments)


def _archives(form: _Form) -> Iterator[cases.Case]:
  """What a zip archive may claim, and what its members may hold."""
  subject, place = form.subject, form.place
  for name, mutate in archives.ARCHIVES.items():
    is_same = name in archives.HARMLESS
    expected = cases.Expected.REFUSED_OR_SAME if is_same else cases.Expected.ANY
    yield subject.case(f"archive/{name}", cases.rewritten(place, mutate), expected, place)
  for member in ("config.json", "metadata.json", "model.weights.h5"):
    rewrite = archives.inside(member)
    for name, mutate in mutations.MUTATIONS.items():
      for seed in range(2):
        yield subject.case(f"{member}/{name}/{seed}", rewrite(place, mutate), place=place)
  rewrite = archives.inside("metadata.json")
  metadata = {"keras_version": "2.15.0", "date_saved": "2026-01-01@00:00:00"}
  yield from cases.of_json(subject, place, metadata, 8, part="metadata", rewrite=rewrite)
  for version in ("1.0", "2.99.0", "3.99.0", "9", "", "2", "v2", "2.\x1b[31m", "9" * 5000):
    content = json.dumps({**metadata, "keras_version": version}).encode()
    damage = rewrite(place, lambda _, rng, content=content: content)
    yield subject.case(f"version/{version[:9]!a}", damage, place=place)
  rewrite = archives.inside("model.weights.h5")
  for name, mutate in hdf5_damage.CHANGES_OF_BYTES.items():
    named = "" if name in hdf5_damage.NO_NUMBERS else place
    yield subject.case(f"weights/{name}", rewrite(place, mutate), place=named)


def _other_files(made: materials.Materials) -> Iterator[cases.Case]:
  """Files of other programs under the right names, and networks of another form."""
  subject = _subject(made, "network-other", "network.keras", made.networks / "digits.keras")
  own = made.data / "pictures"
  files = {
    "npz": made.data / "arrays" / "train.npz", "png": own / "rgb.png",
    "tif": own / "rgb.tif", "gif": own / "still.gif", "gzip":
    made.data / "mnist" / "train-images-idx3-ubyte.gz", "mat":
    made.data / "svhn" / "train_32x32.mat", "text": made.configs / "digits.py",
    "data_in_h5": made.data / "h5" / "usps" / "usps.h5",
    "onnx": made.runs / "digits" / "export" / "onnx" / "model.onnx",
    "checkpoint": next(materials.newest(made.runs / "digits", "adapted").glob("*index")),
    "run": made.runs / "digits", "pictures": own, "graph":
    made.networks / "digits" / "saved_model.pb", "one_channel":
    made.networks / "digits.keras",
  }  # fmt: skip
  for name, path in files.items():
    for ending in (".keras", ".h5", ""):
      arguments = (f"--model={{case}}/network{ending}", *subject.arguments[1:])
      yield subject.case(
        f"{name}{ending}", cases.no_damage, _REFUSED, arguments=arguments,
        inputs={f"network{ending}": path},
      )  # fmt: skip


def _flags(made: materials.Materials) -> Iterator[cases.Case]:
  """Odd flags, odd folders of images, and odd places for what is written."""
  path = made.networks / "pictures.keras"
  subject = _subject(made, "gap", "network.keras", path)
  flags = (
    "--images=1", "--images=0", "--images=-3", "--images=1e9", "--images=99999999999",
    "--images=x", "--taps=0", "--taps=-1", "--taps=99999", "--taps=nan", "--seed=-1",
    "--seed=99999999999", "--layers=", "--layers=,", "--layers=nowhere",
    "--layers=conv,conv",
    "--layers=image", "--layers=\x1b[31m", "--scale=0", "--scale=nan", "--scale=1/0",
    "--scale=1e400", "--scale=", "--scale=1,2", "--scale=1e-320", "--mean=1,2", "--mean=x",
    "--mean=,", "--deviation=0", "--deviation=1,0,1", "--deviation=-1",
    "--deviation=1e-320",
    "--channel_order=grb", "--channel_order=", "--source=", "--source={case}/nowhere",
    "--source={case}", "--source={case}/network.keras", "--source=/dev/zero",
    "--source=usps", "--source=scenes:own", "--source=npz:nowhere", "--source=a:b:c",
    "--source=../../..", "--target=\x1b[31m", "--model=", "--model={case}", "--model=~",
    "--model=https://example.com/a.keras", "--unknown=1", "extra",
  )  # fmt: skip
  for number, flag in enumerate(flags):
    yield subject.case(
      f"flag/{number:02d}{flag[:20]!a}".replace("/", "_"), cases.no_damage,
      arguments=(*subject.arguments, flag),
    )  # fmt: skip
  shapes = made.data / "shapes" / "train"
  # One may be gone: two can be compared.
  pictures = {
    "images/0.png": shapes / "square" / "rgb.png",
    "images/1.png": shapes / "star" / "rgb.png",
    "images/2.png": shapes / "star" / "grey.png",
  }
  subject_of_folder = cases.Subject(
    "gap-images", subject.module,
    (
      subject.arguments[0], "--source={case}/images", "--images=3", *subject.arguments[3:]
    ),
    inputs={**subject.inputs, **pictures}, result=table, slow=True,
  )  # fmt: skip
  yield from cases.of_folder(subject_of_folder, "images")
  yield from cases.of_file(subject_of_folder, "images/0.png", cases.Expected.ANY, seeds=1)
  for name, odd in places.NAMES.items():
    yield subject_of_folder.case(
      f"name/{name}", cases.renamed("images/0.png", f"{odd[:200]}.png")
    )
    arguments = (*subject.arguments[:4], f"--output={{case}}/{odd}")
    yield subject.case(
      f"output/{name}", cases.no_damage, arguments=arguments, result=cases.nothing
    )
  for kind in places.REPLACEMENTS:
    for place in ("out", "out/gap.json", "out/gap.png"):

      def damage(folder: pathlib.Path, rng, kind=kind, place=place) -> None:
        (folder / "out").mkdir()
        (folder / place).parent.mkdir(exist_ok=True)
        if place != "out":
          (folder / place).touch()
        places.REPLACEMENTS[kind](folder / place, rng)

      yield subject.case(
        f"output:{place.replace('/', ':')}/{kind}", damage, writes=("out/gap",)
      )
