"""CARLA as the Lyft-Udacity challenge recorded it: the id is a label's red channel.

CameraRGB/NAME.png with CameraSeg/NAME.png. The set has no official split: train is all of
it, as for the other synthetic sources, and test its last fifth, which says so in a note.
"""

from __future__ import annotations

import os

import numpy as np

from tfdam import config as config_lib
from tfdam.data import examples, image_files, scene_files, scenes
from tfdam.data import labels as labels_lib

INFO = examples.Info(
  title="CARLA",
  task="segmentation",
  files={"train": "CameraRGB", "test": "CameraRGB"},
  label_files={"train": "CameraSeg", "test": "CameraSeg"},
  where="https://www.kaggle.com/datasets/kumaresanmanickavelu/lyft-udacity-challenge",
  licence="research",
)

CLASSES = {
  0: "none", 1: "building", 2: "fence", 3: "other", 4: "pedestrian", 5: "pole",
  6: "road line", 7: "road", 8: "sidewalk", 9: "vegetation", 10: "vehicle", 11: "wall",
  12: "sign",
}  # fmt: skip

_RED = 0
_VEHICLE = 10
# The ego car's bonnet is labelled as a vehicle from row 480 of 600 downwards.
_BONNET_TOP = 480 / 600
_REMEDY = "Expected CARLA's ids in the red channel; get the file again."


def has_labels(folder: str, split: str) -> bool:
  return os.path.isdir(os.path.join(folder, "CameraSeg"))


def load(folder: str, split: str, labels: bool, options: config_lib.Data) -> scenes.Scenes:
  """Finds one split's files; they are read when they are needed.

  Args:
    folder: holds CameraRGB/ and CameraSeg/.
    split: "train" for every frame, "test" for the last fifth of them.
    labels: whether CameraSeg/ is wanted.
    options: see scene_files.load; `classes`.

  Raises:
    config.UserError: see scene_files.load, or the set lacks one of the classes.
  """
  table = labels_lib.class_table(CLASSES, options, INFO.title)
  images = scene_files.list_images(folder, "CameraRGB")
  notes: tuple[str, ...] = ()
  if split == "test":
    # From the end, in one piece: every n-th frame would have a near-twin in the others.
    images, note = scene_files.last_part(images, 5, INFO.title)
    notes = (note,)
  files = scene_files.Split(
    INFO,
    split,
    folder,
    images,
    scene_files.same_names(images, folder, "CameraSeg") if labels else None,
    "CameraRGB/NAME.png with CameraSeg/NAME.png",
  )
  return scene_files.load(
    files,
    lambda path: _read_label(path, table),
    options,
    notes,
  )


def _read_label(path: str, table: np.ndarray) -> np.ndarray:
  ids = image_files.read_ids(path, _RED)
  label = labels_lib.from_ids(ids, table, path, _REMEDY)
  top = round(_BONNET_TOP * len(ids))
  label[top:][ids[top:] == _VEHICLE] = scenes.IGNORED
  return label
