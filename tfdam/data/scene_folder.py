"""Your own street scenes: a folder with images and label PNGs, described by dataset.yaml.

The file's entries, with an example, are explained in scene_spec.py.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

import numpy as np
from absl import logging

from tfdam import config as config_lib
from tfdam import files as files_lib
from tfdam.data import (
  examples,
  image_files,
  image_globs,
  places,
  scene_files,
  scene_spec,
  scenes,
)
from tfdam.data import labels as labels_lib
from tfdam.vocabulary import Task

INFO = examples.Info(
  title="scenes",
  task=Task.SEGMENTATION,
  own=True,
  files={"train": scene_spec.FILE, "test": scene_spec.FILE},
  where=f"your own: images, label PNGs and {scene_spec.FILE}, which says where they lie",
  licence="yours",
)


# The longest line of a list file, in characters.
_LONGEST_LINE = 4096


def has_labels(folder: str, split: str) -> bool:
  """Whether labels are described and the split has at least one; none is opened."""
  spec = scene_spec.read(folder)
  if spec.labels is None or split not in spec.splits:
    return False
  files = _files(folder, spec, split)
  if _has_any_label(files):
    return True
  logging.warning(
    "%s: %s", spec.path,
    f"none of the {len(files):,} {split} images has a label, the first would be"
    f" {files[0][1]}." if files else f"there are no {split} images ({spec.images}).",
  )  # fmt: skip
  return False


def load(folder: str, split: str, labels: bool, options: config_lib.Data) -> scenes.Scenes:
  """Finds one split's files; they are read when they are needed.

  Args:
    folder: holds dataset.yaml.
    split: "train" or "test".
    labels: whether labels are wanted.
    options: see scene_files.load; `classes`.

  Raises:
    config.UserError: see scene_files.load; or dataset.yaml is missing or wrong, has no such
      split, no labels although they are wanted, or labels that do not exist, lists an image
      that is not there, or lacks one of the classes.
  """
  spec = scene_spec.read(folder)
  if split not in spec.splits:
    raise config_lib.UserError(
      f"{spec.path} has no '{split}' in 'splits'; expected the place of the {split} images."
      " Add it."
    )
  if labels and spec.labels is None:
    raise config_lib.UserError(
      f"{spec.path} has no 'labels', but they are needed here; expected 'labels' with 'ids'"
      " or 'colours'. Add them, or set --config.data.source to a labelled data set."
    )
  where = f"scenes:{os.path.basename(os.path.normpath(folder))}"
  labels_lib.shared_classes(options, where)
  read_label = _label_reader(spec, options, where) if spec.labels else _no_label
  files = _files(folder, spec, split)
  if not labels and spec.labels is not None and files:
    _check_any_label(folder, spec, split, files)
  expected = spec.images.replace("{split}", "" if spec.uses_lists else spec.splits[split])
  if labels:
    expected += f" with {spec.labels}"
  described = scene_files.Split(
    INFO,
    split,
    folder,
    [image for image, _ in files],
    [label or "" for _, label in files] if labels else None,
    f"{expected} ({spec.path})",
  )
  notes = _notes_on_links(described)
  found = scene_files.load(described, read_label, options, notes)
  if not labels:
    return found
  # The files alone do not tell what their ids mean, so the rules have a checksum too.
  rules = {f"{split} label rules": _digest_rules(spec)}
  return dataclasses.replace(found, digests={**found.digests, **rules})


def _notes_on_links(split: scene_files.Split) -> tuple[str, ...]:
  """Returns notes on images that are listed several times because of links."""
  first: dict[str, str] = {}
  again = {}
  for image in split.images:
    other = first.setdefault(os.path.realpath(image), image)
    if other != image:
      again[image] = other
  if not again:
    return ()
  image, other = next(iter(again.items()))
  return (
    f"{split.folder}: {len(again):,} of {len(split.images):,} {split.name} images are"
    f" others by a link, such as {image} ({other})",
  )


def _has_any_label(files: Sequence[tuple[str, str | None]]) -> bool:
  return any(places.is_there(label) for _, label in files if label)


def _check_any_label(
  folder: str, spec: scene_spec.Spec, split: str, files: Sequence[tuple[str, str | None]]
) -> None:
  """Raises config.UserError if labels are described but no split has a single one.

  A target needs no labels for adaptation, but a user who describes labels wants scores.

  Args:
    folder: holds dataset.yaml.
    spec: what it says.
    split: "train" or "test".
    files: the files of `split`.
  """
  others = (_files(folder, spec, other) for other in spec.splits if other != split)
  if _has_any_label(files) or any(map(_has_any_label, others)):
    return
  image, label = files[0]
  raise config_lib.UserError(
    f"{spec.path} describes labels ({spec.labels}), but no image has one: {label} is not"
    f" there, for {image}. Mend 'labels', or leave it out, with 'ids' or 'colours', if"
    " there are none."
  )


def _digest_rules(spec: scene_spec.Spec) -> str:
  """Returns the MD5 of the rules that turn a label file into classes."""
  rules = (spec.ids, spec.colours, spec.channel, sorted(spec.ignored))
  return hashlib.md5(repr(rules).encode(), usedforsecurity=False).hexdigest()


def _label_reader(
  spec: scene_spec.Spec, options: config_lib.Data, where: str
) -> Callable[[str], np.ndarray]:
  """Returns the function that reads a label by the spec's ids or colours."""
  names = list((spec.ids or spec.colours).values())
  known = dict(spec.ids or enumerate(names))
  table = labels_lib.class_table(known, options, where)
  if spec.ids:
    remedy = f"Add the id to 'ids' or 'ignored' in {spec.path}, or mend the label."
    table = _with_ignored(table, spec.ignored)
    return lambda path: labels_lib.from_ids(
      image_files.read_ids(path, spec.channel), table, path, remedy
    )
  remedy = f"Add the colour to 'colours' or 'ignored' in {spec.path}, or mend the label."
  # Colours have no ids, so their positions in the file serve, and one more for void.
  void = len(names)
  places = {colour: place for place, colour in enumerate(spec.colours)}
  from_colours = labels_lib.ColourTable(
    places | dict.fromkeys(spec.ignored, void), _with_ignored(table, [void])
  )
  return lambda path: from_colours(image_files.read_colours(path), path, remedy)


def _with_ignored(table: np.ndarray, ids) -> np.ndarray:
  """Returns the table with `ids` ignored, longer if needed."""
  size = max([len(table), *(native_id + 1 for native_id in ids)])
  longer = np.full(size, labels_lib.UNKNOWN, np.uint8)
  longer[: len(table)] = table
  longer[list(ids)] = scenes.IGNORED
  return longer


def _no_label(path: str) -> np.ndarray:
  raise AssertionError(f"no labels are described, yet {path} is read")


def _files(folder: str, spec: scene_spec.Spec, split: str) -> list[tuple[str, str | None]]:
  """Returns [(image, its label or None)] of a split, sorted or in its list file's order."""
  word = "" if spec.uses_lists else spec.splits[split]
  pattern = spec.images.replace("{split}", glob.escape(word))
  parts = spec.images.replace("{split}", "word").split("/")
  fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
  last = pattern.split("/")[-1]
  base = spec.images.replace("{split}", word).split("/")[:fixed]
  found = image_globs.find(folder, pattern)
  if spec.uses_lists:
    found = _listed(os.path.join(folder, spec.splits[split]), found, folder, last)
  files: list[tuple[str, str | None]] = []
  on_disk = places.Finder()
  for path in found:
    label = None
    if spec.labels is not None:
      inner = os.path.relpath(
        places.composed(os.path.dirname(path)), places.composed(os.path.join(folder, *base))
      )
      filled = (
        spec.labels.replace("{split}", word)
        .replace("{folder}", inner)
        .replace("{name}", _name(path, last))
      )
      label = on_disk(os.path.normpath(os.path.join(folder, filled)))
    files.append((path, label))
  return files


def _bounded(file: TextIO) -> Iterator[str]:
  """Returns the lines of a list file; raises ValueError if one is too long for a path."""
  while line := file.readline(_LONGEST_LINE + 1):
    if len(line) > _LONGEST_LINE:
      raise ValueError(f"a line has more than {_LONGEST_LINE:,} characters")
    yield line


def _name(path: str, last: str) -> str:
  """Returns what the `*` in a pattern's last part matched in a file's name.

  The ending is left out. Without a single `*`, the result is the name without its ending.
  """
  file, last = places.composed(os.path.basename(path)), places.composed(last)
  stem, ending = os.path.splitext(file)
  if last.endswith(".*"):
    file, last = stem, last[:-2]
  elif last.endswith("*"):
    file = stem
  if last.count("*") != 1 or glob.has_magic(last.replace("*", "")):
    return stem
  before, after = last.split("*")
  return file[len(before) : len(file) - len(after)]


def _listed(path: str, found: Sequence[str], folder: str, last: str) -> list[str]:
  """Returns the images that a list file names by path or {name}, in its order."""
  try:
    # "-sig": editors on Windows write a byte order mark at the start.
    with io.TextIOWrapper(files_lib.open_regular(path), "utf-8-sig") as file:
      lines = [line.strip() for line in _bounded(file)]
  except (OSError, ValueError) as error:
    raise config_lib.UserError(
      f"{path} cannot be read ({error}); expected the list of images that"
      f" {scene_spec.FILE} names in 'splits'."
    ) from error
  by_path: dict[str, list[str]] = {}
  by_name: dict[str, list[str]] = {}
  for image in found:
    by_path.setdefault(places.key(os.path.relpath(image, folder)), []).append(image)
    by_name.setdefault(_name(image, last), []).append(image)
  chosen: dict[str, int] = {}
  for number, line in enumerate(lines, start=1):
    if not line or line.startswith("#"):
      continue
    images = by_path.get(places.key(line)) or by_name.get(places.composed(line), [])
    if os.path.join(folder, line) in images:
      images = [os.path.join(folder, line)]
    at = f"{path}, line {number}: '{line}'"
    if not images:
      # Not all of a large set: comparing them takes time.
      candidates = [*by_path][:1000] + [*by_name][:1000]
      raise config_lib.UserError(
        f"{at} is none of the {len(found):,} images that {scene_spec.FILE} describes;"
        " expected an image's path below its folder, or its name."
        f"{config_lib.nearest(line, candidates)} Mend the list."
      )
    if len(images) > 1:
      raise config_lib.UserError(
        f"{at} is the name of {len(images)} images, {images[0]} the first; expected their"
        " paths. Mend the list."
      )
    if images[0] in chosen:
      raise config_lib.UserError(
        f"{at} is there twice, first in line {chosen[images[0]]}; expected it once."
        " Mend the list."
      )
    chosen[images[0]] = number
  if not chosen:
    raise config_lib.UserError(
      f"{path} names no image; expected one per line, by its path below the folder or its"
      " name. Mend the list."
    )
  return list(chosen)
