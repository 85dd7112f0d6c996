"""Translates the ids or colours of label files to the classes that a run's domains share.

Classes of different data sets are joined by their names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfdam import config as config_lib
from tfdam.data import scenes as scenes_lib

# The value in tables of ids that a data set does not have; no label ever has it.
UNKNOWN = 254
# As `data.classes`: only images are wanted, no labels.
NO_LABELS = "*"
# Labels are 0 .. UNKNOWN - 1.
MAX_CLASSES = UNKNOWN

Colour = tuple[int, int, int]


def class_table(
  native: Mapping[int, str], options: config_lib.Data, where: str
) -> np.ndarray:
  """Returns the table that maps a data set's ids to labels.

  Args:
    native: {id: its name}, for all ids of the data set; two may share a name.
    options: `classes`.
    where: the data set's name for errors.

  Returns:
    uint8 [max(256, largest id + 1)]: the position of the id's class in `options.classes`,
    IGNORED for an id whose name is not listed there, UNKNOWN for one not in `native`.

  Raises:
    config.UserError: no classes are chosen, too many, or one that the data set lacks.
  """
  wanted = shared_classes(options, where, native.values())
  known = set(native.values())
  positions: dict[str, int] = {}
  for position, (shared, names) in enumerate(wanted.items()):
    if known.isdisjoint(names):
      raise config_lib.UserError(
        f"{where} has no class '{shared}'"
        + (f" (looked for: {', '.join(names)})" if names != (shared,) else "")
        + f". Its classes: {_listing(known)}.{_nearest_of(names, known)}",
        f"Set data.classes to classes of both domains; '{shared}=NAME+NAME' gives names"
        " that differ.",
      )
    positions.update((name, position) for name in names)
  table = np.full(max(256, max(native) + 1), UNKNOWN, np.uint8)
  for native_id, name in native.items():
    table[native_id] = positions.get(name, scenes_lib.IGNORED)
  return table


def shared_classes(
  options: config_lib.Data, where: str, known=()
) -> dict[str, tuple[str, ...]]:
  """Returns the run's classes, {class: its names in data sets}, in the order of labels.

  The result is empty for NO_LABELS.

  Args:
    options: `classes`.
    where: the data set's name for errors.
    known: names of the data set's classes, for errors.

  Raises:
    config.UserError: no classes are chosen, or more than a label map can hold.
  """
  if options.classes == NO_LABELS:
    return {}
  if not options.classes:
    listing = f" {where} has: {_listing(known)}." if known else ""
    raise config_lib.UserError(
      f"data.classes is empty; expected the classes that both domains share.{listing}",
      "Set data.classes, such as 'sky,road=road+lane,car'.",
    )
  wanted = config_lib.parse_classes(options.classes)
  if len(wanted) > MAX_CLASSES:
    raise config_lib.UserError(
      f"data.classes names {len(wanted)} classes; expected at most {MAX_CLASSES}.",
      "Set data.classes.",
    )
  return wanted


def class_names(options: config_lib.Data) -> tuple[str, ...]:
  """Returns the run's classes in the order of their labels; none for NO_LABELS."""
  wanted = options.classes
  return () if wanted == NO_LABELS else tuple(config_lib.parse_classes(wanted))


def from_ids(ids: np.ndarray, table: np.ndarray, path: str, remedy: str) -> np.ndarray:
  """Translates a map of ids to labels.

  Args:
    ids: unsigned integers [H, W].
    table: from `class_table`.
    path: the file, for errors.
    remedy: what the user can do about an id that is not in the table.

  Returns:
    uint8 [H, W].

  Raises:
    config.UserError: an id is not in the table.
  """
  # "clip": ids past the end take the last entry here, and raise the error below.
  labels = table.take(ids, mode="clip")
  unknown = labels == UNKNOWN
  if ids.dtype != np.uint8:
    unknown |= ids >= len(table)
  if unknown.any():
    row, column = np.argwhere(unknown)[0]
    known = np.flatnonzero(table != UNKNOWN)
    raise config_lib.UserError(
      f"{path}: the pixel in row {row}, column {column} has id {ids[row, column]}; expected"
      f" one of {ranges(known)}. {remedy}"
    )
  return labels


class ColourTable:
  """Translates colours to labels.

  A dense table of all 2^24 colours takes one look-up per pixel and finds unknown colours.
  """

  def __init__(self, colours: Mapping[Colour, int], table: np.ndarray):
    """Makes the dense table.

    Args:
      colours: {(red, green, blue): id}, each 0 to 255.
      table: uint8, the label of each id.
    """
    self._colours = dict(colours)
    self._dense = np.full(1 << 24, UNKNOWN, np.uint8)
    for (red, green, blue), native_id in colours.items():
      self._dense[red << 16 | green << 8 | blue] = table[native_id]

  def __call__(self, pixels: np.ndarray, path: str, remedy: str) -> np.ndarray:
    """Translates a label map of colours to labels.

    Args:
      pixels: uint8 [H, W, 3].
      path: the file, for errors.
      remedy: what the user can do about a colour that is not in the map.

    Returns:
      uint8 [H, W].

    Raises:
      config.UserError: a colour is not in the map.
    """
    codes = pixels[..., 0].astype(np.int32) << 16
    codes |= pixels[..., 1].astype(np.int32) << 8
    codes |= pixels[..., 2]
    labels = self._dense.take(codes)
    unknown = labels == UNKNOWN
    if unknown.any():
      row, column = np.argwhere(unknown)[0]
      colour = pixels[row, column].astype(int)
      closest = min(self._colours, key=lambda c: int(((np.array(c) - colour) ** 2).sum()))
      raise config_lib.UserError(
        f"{path}: the pixel in row {row}, column {column} has the colour"
        f" {_comma(colour)}, which is not in the map of {len(self._colours)} colours (the"
        f" closest is {_comma(closest)}). {remedy}"
      )
    return labels


def _listing(names) -> str:
  """Joins names in alphabetical order, each once."""
  return ", ".join(sorted(set(names)))


def _nearest_of(names, known) -> str:
  hints = (config_lib.nearest(name, sorted(known)) for name in names)
  return next((hint for hint in hints if hint), "")


def ranges(numbers) -> str:
  """Returns sorted numbers as text, such as "0-11, 255"."""
  runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
  return ", ".join(
    f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs if len(run)
  )


def _comma(colour) -> str:
  return ",".join(str(int(value)) for value in colour)
