"""Superpixels: their features, their classes, and those classified with most certainty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfdam.curriculum import logistic

# Number of pixels outside of all landmarks; landmarks have lower numbers.
NONE = 255
# L2 of logistic regression, for features of standard deviation 1. Chosen with
# benchmarks/curriculum.py.
L2 = 0.01
# SLIC's balance of colour and place: scikit-image's default, for Lab.
_COMPACTNESS = 10.0


class Landmarks(NamedTuple):
  """The superpixels of an image whose classes are taken as known.

  Attributes:
    numbers: uint8 [H, W], each pixel's landmark, or NONE. Landmark 0 is the most certain.
    classes: uint8 [L], the class of each landmark.
  """

  numbers: np.ndarray
  classes: np.ndarray


def to_lab(image: np.ndarray) -> np.ndarray:
  """Converts an image, float [H, W, 1 or 3] in [0, 1], to CIELAB, float32 [H, W, 3]."""
  from skimage import color  # Imported here, since it takes a third of a second.

  if image.shape[-1] == 1:
    image = np.repeat(image, 3, axis=-1)
  return color.rgb2lab(np.asarray(image, np.float32)).astype(np.float32)


def segment(lab: np.ndarray, count: int) -> np.ndarray:
  """About `count` superpixels by SLIC (Achanta et al. 2012).

  Args:
    lab: float [H, W, 3], the result of `to_lab`.
    count: approximate number of superpixels.

  Returns:
    int64 [H, W], numbers from 0 to N - 1, each of which occurs.
  """
  from skimage import segmentation

  found = segmentation.slic(
    lab.astype(np.float64), count, _COMPACTNESS, convert2lab=False, start_label=0
  )
  return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def features(
  superpixels: np.ndarray, activations: np.ndarray, lab: np.ndarray
) -> np.ndarray:
  """The features by which superpixels are classified.

  Args:
    superpixels: int64 [H, W], the result of `segment`.
    activations: float [h, w, C], of a tap; all locations cover areas of equal size.
    lab: float [H, W, 3], the image in CIELAB.

  Returns:
    float32 [N, D]: mean and standard deviation of Lab, the centre's position (0 to 1), the
    share of the image, and the mean activations at its pixels.
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
  """The most frequent class among the labelled pixels of each superpixel.

  Args:
    superpixels: int64 [H, W], the result of `segment`.
    labels: uint8 [H, W]; values that are no class do not count.
    num_classes: number of classes.

  Returns:
    int64 [N]; -1 if less than half of a superpixel's pixels are labelled.
  """
  count = superpixels.max() + 1
  sizes = np.bincount(superpixels.ravel(), minlength=count)
  known = labels < num_classes
  pairs = superpixels[known] * num_classes + labels[known]
  counts = np.bincount(pairs, minlength=count * num_classes).reshape(count, num_classes)
  return np.where(2 * counts.sum(axis=1) >= sizes, counts.argmax(axis=1), -1)


def classifier(
  features: np.ndarray, classes: np.ndarray, num_classes: int, l2: float = L2
) -> logistic.Model:
  """Learns to classify superpixels from standardised features.

  Args:
    features: float [N, D]; standardised here.
    classes: int [N], valid classes.
    num_classes: K.
    l2: the regression's penalty of large weights.

  Returns:
    A model that takes features [M, D], standardised by their own domain's scale (for the
    reason see label_shares.estimated), and returns probabilities, float64 [M, K].
  """
  scaled = logistic.Scale.of(features)(features)
  return logistic.fit(scaled, np.eye(num_classes)[classes], l2)


def landmarks(superpixels: np.ndarray, chances: np.ndarray, share: float) -> Landmarks:
  """The superpixels with the most certain classes (Zhang et al. 2017, Sec. 3.2).

  Args:
    superpixels: int [H, W], the result of `segment`.
    chances: float [N, K], class probabilities of each superpixel.
    share: which part of the superpixels become landmarks, 0 to 1; at most 255 do.
  """
  found = surest(chances, share)
  numbers = np.full(len(chances), NONE, np.uint8)
  numbers[found] = np.arange(len(found))
  return Landmarks(numbers[superpixels], chances[found].argmax(axis=1).astype(np.uint8))


def surest(chances: np.ndarray, share: float) -> np.ndarray:
  """The numbers of those superpixels that become landmarks, surest first, int64 [L].

  Args:
    chances: as for `landmarks`.
    share: the same.
  """
  count = min(max(1, round(share * len(chances))), NONE)
  return np.argsort(-chances.max(axis=1), kind="stable")[:count]
