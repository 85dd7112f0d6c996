"""Cityscapes in its official layout.

The official test labels are not public, so that "test" here is the official val:
leftImg8bit/{train,val}/CITY/CITY_000000_000019_leftImg8bit.png
gtFine/{train,val}/CITY/CITY_000000_000019_gtFine_labelIds.png
"""

from __future__ import annotations

import os

from tfdam import config as config_lib
from tfdam.data import examples, image_files, places, scene_files, scenes
from tfdam.data import labels as labels_lib
from tfdam.vocabulary import Task

INFO = examples.Info(
  title="Cityscapes",
  task=Task.SEGMENTATION,
  files={"train": "leftImg8bit/train", "test": "leftImg8bit/val"},
  label_files={"train": "gtFine/train", "test": "gtFine/val"},
  where="https://www.cityscapes-dataset.com (leftImg8bit_trainvaltest.zip and"
  " gtFine_trainvaltest.zip)",
  licence="non-commercial, https://www.cityscapes-dataset.com/license",
  sizes={"train": 2_975, "test": 500},
)

# Label ids, not train ids. The official -1, licence plates, never occurs in label files.
CLASSES = {
  0: "unlabeled", 1: "ego vehicle", 2: "rectification border", 3: "out of roi",
  4: "static", 5: "dynamic", 6: "ground", 7: "road", 8: "sidewalk", 9: "parking",
  10: "rail track", 11: "building", 12: "wall", 13: "fence", 14: "guard rail",
  15: "bridge", 16: "tunnel", 17: "pole", 18: "polegroup", 19: "traffic light",
  20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person",
  25: "rider", 26: "car", 27: "truck", 28: "bus", 29: "caravan", 30: "trailer",
  31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip

_FOLDERS = {"train": "train", "test": "val"}
_IMAGE, _LABEL = "_leftImg8bit", "_gtFine_labelIds"
_REMEDY = f"Expected label ids (*{_LABEL}.png), not train ids; get the file again."


def has_labels(folder: str, split: str) -> bool:
  return places.is_folder(os.path.join(folder, "gtFine", _FOLDERS[split]))


def load(folder: str, split: str, labels: bool, options: config_lib.Data) -> scenes.Scenes:
  """Finds one split's files; they are read when they are needed.

  Args:
    folder: holds leftImg8bit/ and gtFine/.
    split: "train", or "test" for the official val.
    labels: whether gtFine/ is wanted.
    options: see scene_files.load; `classes`.

  Raises:
    config.UserError: see scene_files.load, or the set lacks one of the classes.
  """
  table = labels_lib.class_table(CLASSES, options, INFO.title)
  base = os.path.join(folder, "leftImg8bit", _FOLDERS[split])
  images = [
    path
    for city in scene_files.list_folders(base)
    for path in scene_files.list_images(base, city)
    if os.path.splitext(path)[0].endswith(_IMAGE)
  ]
  on_disk = places.Finder()
  files = scene_files.Split(
    INFO,
    split,
    folder,
    images,
    [on_disk(_label_path(folder, path)) for path in images] if labels else None,
    f"leftImg8bit/{_FOLDERS[split]}/CITY/NAME{_IMAGE}.png with"
    f" gtFine/{_FOLDERS[split]}/CITY/NAME{_LABEL}.png",
  )
  return scene_files.load(
    files,
    lambda path: labels_lib.from_ids(image_files.read_ids(path), table, path, _REMEDY),
    options,
    ("Cityscapes test: the official val split",) if split == "test" else (),
  )


def _label_path(folder: str, image: str) -> str:
  inner = os.path.relpath(image, os.path.join(folder, "leftImg8bit"))
  stem = os.path.splitext(inner)[0].removesuffix(_IMAGE)
  return os.path.join(folder, "gtFine", f"{stem}{_LABEL}.png")
