"""GTA5 (Playing for Data): images/00001.png with labels/00001.png.

Labels are the release's palette PNGs. Their indices are Cityscapes' label ids, and their
colours are Cityscapes' colours; plain ids and plain colours are read as well.

As in the papers that adapt from GTA5, train is the whole set. Test is its last tenth, with
a note that says so. With the release's split.mat beside images/, the splits are its train
and test images instead.

In the release, some labels differ in size from their images. A label whose aspect ratio is
within 5 % of the image's is resized to it (nearest pixel), and a note counts these labels.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from tfdam import config as config_lib
from tfdam.data import (
  cityscapes,
  examples,
  image_files,
  matlab,
  places,
  scene_files,
  scenes,
)
from tfdam.data import labels as labels_lib
from tfdam.vocabulary import Task

INFO = examples.Info(
  title="GTA5",
  task=Task.SEGMENTATION,
  files={"train": "images", "test": "images"},
  label_files={"train": "labels", "test": "labels"},
  where="https://download.visinf.tu-darmstadt.de/data/from_games",
  licence="research and education, non-commercial",
  sizes={"train": 24_966},
)

_PLATE = 34
CLASSES = {**cityscapes.CLASSES, _PLATE: "license plate"}

# Cityscapes' colours. Void ids share black, pole and polegroup share grey, and car and
# licence plate share blue: such a colour is read as the first of these ids.
_COLOURS = {
  (0, 0, 0): 0, (20, 20, 20): 4, (111, 74, 0): 5, (81, 0, 81): 6, (128, 64, 128): 7,
  (244, 35, 232): 8, (250, 170, 160): 9, (230, 150, 140): 10, (70, 70, 70): 11,
  (102, 102, 156): 12, (190, 153, 153): 13, (180, 165, 180): 14, (150, 100, 100): 15,
  (150, 120, 90): 16, (153, 153, 153): 17, (250, 170, 30): 19, (220, 220, 0): 20,
  (107, 142, 35): 21, (152, 251, 152): 22, (70, 130, 180): 23, (220, 20, 60): 24,
  (255, 0, 0): 25, (0, 0, 142): 26, (0, 0, 70): 27, (0, 60, 100): 28, (0, 0, 90): 29,
  (0, 0, 110): 30, (0, 80, 100): 31, (0, 0, 230): 32, (119, 11, 32): 33,
}  # fmt: skip
_COLOUR_OF = {native_id: colour for colour, native_id in _COLOURS.items()} | {
  1: (0, 0, 0), 2: (0, 0, 0), 3: (0, 0, 0), 18: (153, 153, 153), _PLATE: (0, 0, 142)
}  # fmt: skip

_SPLIT_FILE = "split.mat"
_SPLIT_FIELDS = {"train": "trainIds", "test": "testIds"}
_SPLIT_SIZES = {"train": 12_403, "test": 6_181}
_SHAPE_TOLERANCE = 0.05
_REMEDY = "Expected Cityscapes' label ids or colours; get the file again."


def has_labels(folder: str, split: str) -> bool:
  return places.is_folder(os.path.join(folder, "labels"))


def load(folder: str, split: str, labels: bool, options: config_lib.Data) -> scenes.Scenes:
  """Finds one split's files; they are read when they are needed.

  Args:
    folder: holds images/, labels/ and, if its splits are wanted, split.mat.
    split: "train" or "test".
    labels: whether labels/ is wanted.
    options: see scene_files.load; `classes`.

  Raises:
    config.UserError: see scene_files.load, the set lacks one of the classes, or split.mat
      is damaged or names an image that is not there.
  """
  table = labels_lib.class_table(CLASSES, options, INFO.title)
  images = scene_files.list_images(folder, "images")
  info = INFO
  notes: tuple[str, ...] = ()
  split_path = places.find(folder, _SPLIT_FILE)
  if split_path:
    images = _of_split(images, split_path, split)
    info = dataclasses.replace(INFO, sizes=_SPLIT_SIZES)
    notes = (f"GTA5 {split}: the images of {_SPLIT_FILE}'s {_SPLIT_FIELDS[split]}",)
  elif split == "test":
    images, note = scene_files.last_part(images, 10, INFO.title)
    notes = (note,)
  files = scene_files.Split(
    info,
    split,
    folder,
    images,
    scene_files.same_names(images, folder, "labels") if labels else None,
    "images/NAME.png with labels/NAME.png",
  )
  return scene_files.load(
    files,
    _LabelReader(table),
    options,
    notes,
    _SHAPE_TOLERANCE,
  )


class _LabelReader:
  """Reads labels that hold ids, colours, or a palette that may mean either."""

  def __init__(self, table: np.ndarray):
    self._table = table
    self._from_colours = labels_lib.ColourTable(_COLOURS, table)

  def __call__(self, path: str) -> np.ndarray:
    stored = image_files.read_stored(path)
    values, palette = stored.values, stored.palette
    if values.dtype != np.uint8 or (values.ndim == 3 and values.shape[-1] < 3):
      raise config_lib.UserError(
        f"{path} holds {values.dtype} {values.shape}; expected 8-bit ids, palette or"
        f" colours. {_REMEDY}"
      )
    if values.ndim == 3:
      return self._from_colours(values[..., :3], path, _REMEDY)
    if palette is None or self._is_of_ids(values, palette):
      return labels_lib.from_ids(values, self._table, path, _REMEDY)
    return self._from_colours(image_files.read_colours(path), path, _REMEDY)

  @staticmethod
  def _is_of_ids(indices: np.ndarray, palette: np.ndarray) -> bool:
    """Whether the used indices are ids: their colours are Cityscapes', or all greys.

    If not, a tool has reordered the palette, and only its colours still tell the class.
    """
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    if used[-1] >= len(palette):
      return False
    colours = [tuple(int(value) for value in palette[index]) for index in used]
    return all(
      # Cityscapes has also drawn "static" (id 4) in black.
      colour in (_COLOUR_OF.get(index), (0, 0, 0) if index == 4 else None)
      for index, colour in zip(used.tolist(), colours)
    ) or all(colour == (index,) * 3 for index, colour in zip(used.tolist(), colours))


def _of_split(images: list[str], path: str, split: str) -> list[str]:
  """Returns the images that split.mat lists for a split, by number."""
  try:
    field = _SPLIT_FIELDS[split]
    numbers = matlab.read(path, [field])[0][field].ravel().astype(int)
  except (config_lib.UserError, PermissionError):
    raise
  # SciPy raises ValueError, TypeError, KeyError, OSError and others.
  except Exception as error:
    raise config_lib.UserError(
      f"{path} cannot be read as the release's split ({error!r}): expected the fields"
      f" {', '.join(_SPLIT_FIELDS.values())}. Get it again from {INFO.where}, or take it"
      " away to train on all images."
    ) from error
  by_stem = {os.path.splitext(os.path.basename(image))[0]: image for image in images}
  missing = [number for number in numbers if f"{number:05d}" not in by_stem]
  if missing:
    raise config_lib.UserError(
      f"{path} lists {len(missing):,} {split} images that are not there, images/"
      f"{missing[0]:05d}.png the first. Get them from {INFO.where}, or take"
      f" {_SPLIT_FILE} away to train on all images that are there."
    )
  return [by_stem[f"{number:05d}"] for number in sorted({*numbers})]
