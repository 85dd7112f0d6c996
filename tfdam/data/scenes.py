"""Street scenes: images with label maps, read when they are needed.

This module uses NumPy and Pillow, like the data sets themselves, and no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Union

import numpy as np
from PIL import Image

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib

# The label of pixels that are left out of losses and scores.
IGNORED = 255


@dataclasses.dataclass(frozen=True)
class Scenes:
  """One split of a segmentation data set.

  Attributes:
    names: each image's name in errors and panels: its path, if it is a file.
    read_image: index -> uint8 [H, W, 3], at the image's own size.
    read_label: index -> uint8 [H, W], as large as the image: each pixel's position in
      `class_names`, or IGNORED. None if labels were not asked for (they are never read).
    class_names: the classes that the run's domains share, in the order of their labels.
    digests: {what: checksum}, to tell whether the data has changed.
    notes: what a reader of the results has to know, such as "every 10th frame".
    parts: the part that each image belongs to, if there are several targets, or sequences
      that are scored separately.
  """

  names: Sequence[str]
  read_image: Callable[[int], np.ndarray]
  read_label: Callable[[int], np.ndarray] | None
  class_names: tuple[str, ...]
  digests: dict[str, str]
  notes: tuple[str, ...] = ()
  parts: examples_lib.Parts | None = None

  def __len__(self) -> int:
    return len(self.names)

  @property
  def has_labels(self) -> bool:
    return self.read_label is not None

  def without_labels(self) -> Scenes:
    return dataclasses.replace(self, read_label=None)

  def take(self, indices: Sequence[int] | np.ndarray) -> Scenes:
    """Returns the scenes at `indices`, in that order."""
    chosen = [int(i) for i in indices]
    read_image, read_label = self.read_image, self.read_label
    return dataclasses.replace(
      self,
      names=[self.names[i] for i in chosen],
      read_image=lambda i: read_image(chosen[i]),
      read_label=None if read_label is None else lambda i: read_label(chosen[i]),
      parts=self.parts and self.parts.take(chosen),
    )

  def label_counts(self, num_classes: int, max_images: int = 500) -> np.ndarray | None:
    """Counts the pixels of each class in up to `max_images` images, evenly spread.

    Returns:
      int64 [num_classes]; None without labels.
    """
    if self.read_label is None:
      return None
    counts = np.zeros(256, np.int64)
    chosen = np.unique(
      np.linspace(0, len(self) - 1, min(max_images, len(self))).astype(int)
    )
    for i in chosen:
      counts += np.bincount(self.read_label(int(i)).ravel(), minlength=256)
    return counts[:num_classes]


# One split of any data set: images in memory with one label each, or scenes that are read
# when needed, with a label map each.
Split = Union[examples_lib.Examples, Scenes]


def at_size(
  scenes: Scenes,
  options: config_lib.Data,
  labels_too: bool = True,
  change: Callable[[int, np.ndarray], np.ndarray] = lambda _, image: image,
) -> Scenes:
  """Returns the scenes as a run sees them: resized, and kept in memory if all of them fit.

  Args:
    scenes: at their own size.
    options: `height`, `width`, and `cache_mb`, the memory for images and labels in MiB.
    labels_too: whether label maps are resized; False keeps their own size, for scoring.
    change: (index, resized image) -> the image to use, of the same size.
  """
  size = (options.width, options.height)
  stored_label = scenes.read_label
  labels_too = labels_too and stored_label is not None
  needed_mb = len(scenes) * math.prod(size) * (3 + labels_too) / 2**20
  keep = needed_mb <= options.cache_mb

  def image(i: int) -> np.ndarray:
    return change(i, _resized(scenes.read_image(i), size, Image.Resampling.BILINEAR))

  def label(i: int) -> np.ndarray:
    assert stored_label is not None
    return _resized(stored_label(i), size, Image.Resampling.NEAREST)

  def kept(
    function: Callable[[int], np.ndarray], budget_mb: float = math.inf
  ) -> Callable[[int], np.ndarray]:
    return _Kept(function, len(scenes), budget_mb) if keep else function

  read_label = stored_label
  if labels_too:
    read_label = kept(label)
  elif stored_label is not None:
    # Every stage is scored on these labels, and procedural scenes are slow to draw. Labels
    # at their own size have no known size before they are read, hence the budget.
    read_label = kept(stored_label, options.cache_mb - needed_mb)
  return dataclasses.replace(scenes, read_image=kept(image), read_label=read_label)


class _Kept:
  """Caches what a function of an index returns, within a budget of memory.

  Two threads may compute the same value at the same time.
  """

  def __init__(self, function: Callable[[int], np.ndarray], size: int, budget_mb: float):
    self._function = function
    self._found: list[np.ndarray | None] = [None] * size
    self._left_mb = budget_mb

  def __call__(self, i: int) -> np.ndarray:
    found = self._found[i]
    if found is None:
      found = self._function(i)
      needed_mb = found.nbytes / 2**20
      if needed_mb <= self._left_mb:
        self._left_mb -= needed_mb
        self._found[i] = found
    return found


def _resized(array: np.ndarray, size: tuple[int, int], method) -> np.ndarray:
  """Resizes [H, W(, C)] to (width, height) with Pillow, whose filters average to shrink."""
  if (array.shape[1], array.shape[0]) == size:
    return array
  return np.asarray(Image.fromarray(array).resize(size, method))
