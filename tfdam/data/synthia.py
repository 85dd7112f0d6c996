"""SYNTHIA-RAND-CITYSCAPES: the class is the first channel of 16-bit label PNGs.

Image RGB/0000000.png has the label GT/LABELS/0000000.png. The set has no official split:
train is all of it, as in the papers that adapt from it, and test is its last tenth, with a
note that says so.
"""

from __future__ import annotations

import os

import numpy as np

from tfdam import config as config_lib
from tfdam.data import examples, image_files, places, scene_files, scenes
from tfdam.data import labels as labels_lib
from tfdam.vocabulary import Task

INFO = examples.Info(
  title="SYNTHIA-RAND-CITYSCAPES",
  task=Task.SEGMENTATION,
  files={"train": "RGB", "test": "RGB"},
  label_files={"train": "GT/LABELS", "test": "GT/LABELS"},
  where="https://synthia-dataset.net (SYNTHIA-RAND-CITYSCAPES)",
  licence="CC BY-NC-SA 3.0",
  sizes={"train": 9_400},
)

CLASSES = {
  0: "void", 1: "sky", 2: "building", 3: "road", 4: "sidewalk", 5: "fence",
  6: "vegetation", 7: "pole", 8: "car", 9: "traffic sign", 10: "pedestrian",
  11: "bicycle", 12: "motorcycle", 13: "parking-slot", 14: "road-work",
  15: "traffic light", 16: "terrain", 17: "rider", 18: "truck", 19: "bus", 20: "train",
  21: "wall", 22: "lanemarking",
}  # fmt: skip

_CLASS_CHANNEL = 0  # the second holds the instance
_REMEDY = "Expected a file of GT/LABELS (not GT/COLOR); get it again."


def has_labels(folder: str, split: str) -> bool:
  return places.is_folder(os.path.join(folder, "GT", "LABELS"))


def load(folder: str, split: str, labels: bool, options: config_lib.Data) -> scenes.Scenes:
  """Finds one split's files; they are read when they are needed.

  Args:
    folder: holds RGB/ and GT/LABELS/.
    split: "train" for every image, "test" for the last tenth of them.
    labels: whether GT/LABELS/ is wanted.
    options: see scene_files.load; `classes`.

  Raises:
    config.UserError: see scene_files.load, or the set lacks one of the classes.
  """
  table = labels_lib.class_table(CLASSES, options, INFO.title)
  images = scene_files.list_images(folder, "RGB")
  notes: tuple[str, ...] = ()
  if split == "test":
    images, note = scene_files.last_part(images, 10, INFO.title)
    notes = (note,)
  files = scene_files.Split(
    INFO,
    split,
    folder,
    images,
    scene_files.same_names(images, folder, "GT", "LABELS") if labels else None,
    "RGB/NAME.png with GT/LABELS/NAME.png",
  )
  return scene_files.load(
    files,
    lambda path: labels_lib.from_ids(_read_ids(path), table, path, _REMEDY),
    options,
    notes,
  )


def _read_ids(path: str) -> np.ndarray:
  """Returns the class ids, uint16 [H, W]; files of one channel may give uint8."""
  values = image_files.read_stored(path).values
  if values.ndim == 2:
    return values
  if values.dtype != np.uint16:
    # A tool that handles only 8 bits keeps the upper ones, which are 0: void everywhere.
    raise config_lib.UserError(
      f"{path} has {values.shape[-1]} channels of 8 bits; expected 16 bits, whose lower"
      f" ones hold the class. It was converted, or is of GT/COLOR. {_REMEDY}"
    )
  return values[..., _CLASS_CHANNEL]
