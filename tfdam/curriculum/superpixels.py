"""Superpixels: their features, their classes, and those that are plain enough to trust."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfdam.curriculum import logistic

# What is in no landmark; landmarks have lower numbers.
NONE = 255
# Of logistic regression, on features of deviation 1.
_L2 = 0.1
# Colour against place: scikit-image's default, for Lab.
_COMPACTNESS = 10.0


class Landmarks(NamedTuple):
  """The superpixels of an image whose class is taken for known.

  Attributes:
    numbers: uint8 [H, W], a landmark's number, the surest from 0 on, or NONE.
    classes: uint8 [L], of each.
  """

  numbers: np.ndarray
  classes: np.ndarray


def to_lab(image: np.ndarray) -> np.ndarray:
  """float32 [H, W, 3], CIELAB, of an image float [H, W, 1 or 3] in [0, 1]."""
  from skimage import color  # late: it takes a third of a second

  if image.shape[-1] == 1:
    image = np.repeat(image, 3, axis=-1)
  return color.rgb2lab(np.asarray(image, np.float32)).astype(np.float32)


def segment(lab: np.ndarray, count: int) -> np.ndarray:
  """About `count` superpixels by SLIC (Achanta et al. 2012).

  Args:
    lab: what `to_lab` returned.

  Returns:
    int64 [H, W], each number from 0 up to the largest at least once.
  """
  from skimage import segmentation

  found = segmentation.slic(
    lab.astype(np.float64), count, _COMPACTNESS, convert2lab=False, start_label=0
  )
  return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def features(
  superpixels: np.ndarray, activations: np.ndarray, lab: np.ndarray
) -> np.ndarray:
  """What the classifier knows of each superpixel.

  Args:
    superpixels: what `segment` returned.
    activations: float [h, w, C], of a tap, whose locations are as large as one another.
    lab: float [H, W, 3], CIELAB.

  Returns:
    float32 [N, D]: mean and deviation of Lab, the centre's place (0 to 1), the share of the
    image, and the mean activations below its pixels.
  """
  height, width = superpixels.shape
  sizes = np.bincount(superpixels.ravel()).astype(np.float64)

  def mean(values: np.ndarray) -> np.ndarray:
    return np.bincount(superpixels.ravel(), values.ravel()) / sizes

  lab = lab.astype(np.float64)
  colours = [mean(lab[..., i]) for i in range(3)]
  deviations = [
    np.sqrt(np.maximum(mean(lab[..., i] ** 2) - colours[i] ** 2, 0.0)) for i in range(3)
  ]
  rows, columns = np.mgrid[:height, :width]
  places = [mean((rows + 0.5) / height), mean((columns + 0.5) / width)]
  # How many pixels of each superpixel every location of the map covers.
  map_height, map_width, num_channels = activations.shape
  locations = (rows * map_height // height) * map_width + columns * map_width // width
  num_locations = map_height * map_width
  covered = np.bincount(
    (superpixels * num_locations + locations).ravel(), minlength=len(sizes) * num_locations
  ).reshape(len(sizes), num_locations)
  pooled = covered @ activations.reshape(num_locations, num_channels).astype(np.float64)
  plain = np.stack([*colours, *deviations, *places, sizes / superpixels.size], axis=1)
  return np.concatenate([plain, pooled / sizes[:, np.newaxis]], axis=1).astype(np.float32)


def dominant(superpixels: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
  """The class that most labelled pixels of each superpixel have.

  Args:
    labels: uint8 [H, W]; what names no class does not count.

  Returns:
    int64 [N]; -1 where less than half of a superpixel has a label.
  """
  count = superpixels.max() + 1
  sizes = np.bincount(superpixels.ravel(), minlength=count)
  known = labels < num_classes
  pairs = superpixels[known] * num_classes + labels[known]
  counts = np.bincount(pairs, minlength=count * num_classes).reshape(count, num_classes)
  return np.where(2 * counts.sum(axis=1) >= sizes, counts.argmax(axis=1), -1)


def classifier(
  features: np.ndarray, classes: np.ndarray, num_classes: int
) -> logistic.Model:
  """Learns classes of superpixels from features in their own scale.

  Args:
    features: float [N, D].
    classes: int [N], each a class.

  Returns:
    What makes probabilities float64 [M, K] of others, in the scale of theirs; why not in
    these features' is told in label_shares.estimated.
  """
  scaled = logistic.Scale.of(features)(features)
  return logistic.fit(scaled, np.eye(num_classes)[classes], _L2)


def landmarks(superpixels: np.ndarray, chances: np.ndarray, share: float) -> Landmarks:
  """The superpixels whose class is surest (Zhang et al. 2017, Sec. 3.2).

  Args:
    superpixels: int [H, W].
    chances: float [N, K], class probabilities of each.
    share: of the image's superpixels; of more than 255 landmarks the surest 255 count.
  """
  count = min(max(1, round(share * len(chances))), NONE)
  surest = np.argsort(-chances.max(axis=1), kind="stable")[:count]
  numbers = np.full(len(chances), NONE, np.uint8)
  numbers[surest] = np.arange(count)
  return Landmarks(numbers[superpixels], chances[surest].argmax(axis=1).astype(np.uint8))
