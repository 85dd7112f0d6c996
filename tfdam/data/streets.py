"""Procedural street scenes in two renderings of the same worlds; no file is read.

`SIM` is flat, clean and saturated; `PHOTO` has light, textures and a camera's faults. Image
i of a split shows the same street in both, so that their label maps are equal; the splits
show different streets. An image depends on its split, i, height and width alone.
"""

from __future__ import annotations

import functools
import zlib

import numpy as np

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import labels as labels_lib
from tfdam.data import scenes, studio
from tfdam.streets import paints, scene
from tfdam.vocabulary import Task

CLASSES = paints.CLASSES
# Part of every seed and of the digest; increased whenever the drawings change.
_VERSION = "1"
_SIZES = {"train": 3_000, "test": 300}
# Sizes in pixels at which things can be recognised and that the tests cover.
_SMALLEST, _LARGEST = 32, 4096


class Streets:
  """One rendering, as a data set of the registry."""

  def __init__(self, name: str):
    """Makes one data set.

    Args:
      name: "sim" or "photo".
    """
    self._name = name
    self.INFO = examples_lib.Info(
      title=f"Procedural streets ({name})",
      files={},
      where="tfdam itself: it is drawn when it is read",
      licence="Apache-2.0, made by tfdam",
      task=Task.SEGMENTATION,
      sizes=_SIZES,
    )

  def has_labels(self, folder: str, split: str) -> bool:
    return True

  def load(
    self, folder: str, split: str, labels: bool, options: config_lib.Data
  ) -> scenes.Scenes:
    """Returns one split, whose images are drawn when they are read.

    Args:
      folder: not used.
      split: "train" or "test".
      labels: whether label maps are wanted.
      options: `height`, `width`, `channels` and `classes`.

    Raises:
      config.UserError: a class is never drawn, `channels` is not 3, or a size is out of
        range.
    """
    height, width = options.height, options.width
    title = f"streets/{self._name}"
    table = labels_lib.class_table(dict(enumerate(CLASSES)), options, title)
    _check(options)

    def draw(index: int) -> tuple[np.ndarray, np.ndarray]:
      index = _checked(index, split)
      seed, photo_seed = (_seed(of, split, index) for of in ("world", "photo"))
      return _draw(scene.Order(self._name == "photo", seed, photo_seed, height, width))

    return scenes.Scenes(
      names=[f"streets/{self._name}/{split}/{i:04d}" for i in range(_SIZES[split])],
      read_image=lambda index: draw(index)[0],
      read_label=(lambda index: table[draw(index)[1]]) if labels else None,
      class_names=labels_lib.class_names(options),
      digests={f"streets/{self._name}/{split}": f"version {_VERSION}"},
    )


SIM, PHOTO = Streets("sim"), Streets("photo")


# An image and its label map are often read one after the other, by several threads at once.
@functools.lru_cache(maxsize=32)
def _draw(order: scene.Order) -> tuple[np.ndarray, np.ndarray]:
  return studio.STUDIO.draw(order)


def _seed(purpose: str, split: str, index: int) -> int:
  """Returns a seed of the data set, not of the run: like files, images never change."""
  return zlib.crc32(f"streets {_VERSION} {purpose} {split} {index}".encode())


def _checked(index: int, split: str) -> int:
  if not 0 <= index < _SIZES[split]:
    raise IndexError(f"streets/{split} has {_SIZES[split]} images; asked for {index}.")
  return int(index)


def _check(options: config_lib.Data) -> None:
  if options.channels != 3:
    raise config_lib.UserError(
      f"data.channels is {options.channels}, but streets are drawn in colour; expected 3.",
      "Set data.channels=3.",
    )
  for name in ("height", "width"):
    size = getattr(options, name)
    if not _SMALLEST <= size <= _LARGEST:
      raise config_lib.UserError(
        f"data.{name} is {size}; expected {_SMALLEST} to {_LARGEST} for streets.",
        f"Set data.{name}.",
      )
