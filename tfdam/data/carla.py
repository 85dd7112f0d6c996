"""CARLA, from the Lyft-Udacity challenge or your own recording.

Each image CameraRGB/NAME.png has a label CameraSeg/NAME.png, whose red channel is the id.
The set has no official split: train is all of it, as for the other synthetic sources, and
test is its last fifth, with a note that says so.

CARLA has numbered its classes in three ways. `data.carla_version` says which numbering a
set has. Otherwise it is recognised from the labels, with a note, or the set is refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from tfdam import config as config_lib
from tfdam.data import examples, image_files, places, scene_files, scenes
from tfdam.data import labels as labels_lib
from tfdam.vocabulary import Task

INFO = examples.Info(
  title="CARLA",
  task=Task.SEGMENTATION,
  files={"train": "CameraRGB", "test": "CameraRGB"},
  label_files={"train": "CameraSeg", "test": "CameraSeg"},
  where="https://www.kaggle.com/datasets/kumaresanmanickavelu/lyft-udacity-challenge",
  licence="research",
)

_FIRST = {
  0: "none", 1: "building", 2: "fence", 3: "other", 4: "pedestrian", 5: "pole",
  6: "road line", 7: "road", 8: "sidewalk", 9: "vegetation", 10: "vehicle", 11: "wall",
  12: "sign",
}  # fmt: skip
# {the first version with a numbering: its ids}, from LibCarla's ObjectLabel.h, with one
# name for each meaning. carla-simulator/carla#3251 added ids, #6041 replaced them.
CLASSES = {
  "0.8": _FIRST,
  "0.9.10": {
    **_FIRST, 13: "sky", 14: "ground", 15: "bridge", 16: "rail track", 17: "guard rail",
    18: "traffic light", 19: "static", 20: "dynamic", 21: "water", 22: "terrain",
  },
  "0.9.14": {
    0: "none", 1: "road", 2: "sidewalk", 3: "building", 4: "wall", 5: "fence", 6: "pole",
    7: "traffic light", 8: "sign", 9: "vegetation", 10: "terrain", 11: "sky",
    12: "pedestrian", 13: "rider", 14: "car", 15: "truck", 16: "bus", 17: "train",
    18: "motorcycle", 19: "bicycle", 20: "static", 21: "dynamic", 22: "other", 23: "water",
    24: "road line", 25: "ground", 26: "bridge", 27: "rail track", 28: "guard rail",
    29: "rock",
  },
}  # fmt: skip

_RED = 0
_VEHICLE = 10
# The challenge's own car: its bonnet is labelled as a vehicle from row 480 of 600 down.
_BONNET_TOP = 480 / 600
# A numbering is recognised from so many labels, evenly spread.
_LOOKED_AT = 32
# The lowest quarter of an image is mostly road. A numbering is sure if its id for road has
# this many times as many pixels there as the other numbering's.
_SURE = 4
_SETTING = f"data.carla_version={'|'.join(CLASSES)}"


def has_labels(folder: str, split: str) -> bool:
  return places.is_folder(os.path.join(folder, "CameraSeg"))


def load(folder: str, split: str, labels: bool, options: config_lib.Data) -> scenes.Scenes:
  """Finds one split's files; they are read when they are needed.

  Args:
    folder: holds CameraRGB/ and CameraSeg/.
    split: "train" for every frame, "test" for the last fifth of them.
    labels: whether CameraSeg/ is wanted.
    options: see scene_files.load; `classes`, `carla_version`.

  Raises:
    config.UserError: see scene_files.load, the set lacks one of the classes, or its
      numbering cannot be told.
  """
  images = scene_files.list_images(folder, "CameraRGB")
  notes: tuple[str, ...] = ()
  if split == "test":
    # One piece at the end: every n-th frame would be nearly the same as its neighbours.
    images, note = scene_files.last_part(images, 5, INFO.title)
    notes = (note,)
  label_paths = scene_files.same_names(images, folder, "CameraSeg") if labels else None
  version = options.carla_version
  if version == "auto" and label_paths:
    version, note = _recognised(label_paths, options.on_bad_image == "skip")
    notes = (*notes, note)
  table = _class_table(version, options)
  files = scene_files.Split(
    INFO,
    split,
    folder,
    images,
    label_paths,
    "CameraRGB/NAME.png with CameraSeg/NAME.png",
  )
  return scene_files.load(
    files,
    lambda path: _read_label(path, table, version),
    options,
    notes,
  )


def _class_table(version: str, options: config_lib.Data) -> np.ndarray:
  if version == "auto":  # no label is read, so the names of every numbering are valid
    names = sorted({name for classes in CLASSES.values() for name in classes.values()})
    return labels_lib.class_table(dict(enumerate(names)), options, INFO.title)
  return labels_lib.class_table(CLASSES[version], options, f"{INFO.title} {version}")


def _recognised(paths: Sequence[str], skip: bool) -> tuple[str, str]:
  """Returns the version whose numbering the labels have, and a note that says so.

  Args:
    paths: of the labels.
    skip: whether to leave out a label that cannot be read.

  Raises:
    config.UserError: the labels do not tell the numbering.
  """
  counts, below, num_read = np.zeros(256, np.int64), np.zeros(256, np.int64), 0
  spread = np.linspace(0, len(paths) - 1, min(len(paths), _LOOKED_AT)).round().astype(int)
  for path in (paths[i] for i in spread if os.path.isfile(paths[i])):
    try:
      ids = image_files.read_ids(path, _RED)
    except image_files.BadImage:
      if not skip:
        raise
      continue
    ids = np.minimum(ids, 255)  # 16-bit labels may hold more, which no numbering has
    counts += np.bincount(ids.ravel(), minlength=256)
    below += np.bincount(ids[len(ids) * 3 // 4 :].ravel(), minlength=256)
    num_read += 1
  old_road, new_road = below[7], below[1]
  is_new, is_old = new_road > _SURE * old_road, old_road > _SURE * new_road
  beyond_old = bool(counts[23:30].any())
  if is_old == is_new or (is_old and beyond_old):
    raise config_lib.UserError(
      f"{os.path.dirname(paths[0])}: which of CARLA's numberings its labels have cannot be"
      f" told: {num_read} of them have the ids {labels_lib.ranges(np.flatnonzero(counts))},"
      f" and in their lowest quarter {old_road:,} pixels have id 7, road before 0.9.14, and"
      f" {new_road:,} id 1, road since.",
      f"Set {_SETTING}, the first version with the ids, or describe the set with a"
      " dataset.yaml as scenes:NAME: 'channel: red' and 'ids', or 'colours' if it holds"
      " those of CityScapesPalette.",
    )
  version = "0.9.14" if is_new else "0.9.10" if counts[13:23].any() else "0.8"
  return version, (
    f"{INFO.title}: ids of version {version}, recognised from {num_read} labels"
    f" (road is {1 if is_new else 7}; --config.data.carla_version sets it)"
  )


def _read_label(path: str, table: np.ndarray, version: str) -> np.ndarray:
  ids = image_files.read_ids(path, _RED)
  remedy = (
    f"Expected the ids of CARLA {version} in the red channel, not the colours of"
    f" CityScapesPalette. Set {_SETTING}, or write the file again (ColorConverter.Raw)."
  )
  label = labels_lib.from_ids(ids, table, path, remedy)
  if version == "0.8":
    top = round(_BONNET_TOP * len(ids))
    label[top:][ids[top:] == _VEHICLE] = scenes.IGNORED
  return label
