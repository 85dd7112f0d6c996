"""The share of pixels of each class in an image: counted or, on the target, estimated."""

from __future__ import annotations

import numpy as np

from tfdam.curriculum import logistic

METHODS = ("regression", "neighbours")
# Cells per side of the grid in which activations are averaged; bins per channel of Lab.
_CELLS, _BINS = 3, 8
# L2 of logistic regression, for features of standard deviation 1. It is so strong because a
# few hundred images have about as many features. Chosen with benchmarks/curriculum.py.
L2 = 100.0
_NEIGHBOURS = 5
# Values per block when distances are computed.
_AT_ONCE = 1 << 24


def counted(labels: np.ndarray, num_classes: int) -> np.ndarray | None:
  """The share of each class among an image's labelled pixels.

  Args:
    labels: uint8 [H, W]; values that are no class do not count.
    num_classes: K.

  Returns:
    float64 [K], with sum 1; None if no pixel has a label.
  """
  counts = np.bincount(labels.ravel(), minlength=256)[:num_classes]
  return counts / counts.sum() if counts.any() else None


def features(activations: np.ndarray, lab: np.ndarray) -> np.ndarray:
  """The features of an image from which its label shares are estimated.

  Args:
    activations: float [h, w, C], of a tap.
    lab: float [H, W, 3], the image in CIELAB.

  Returns:
    float32 [D]: the activations' mean over the image and over each cell of a 3x3 grid, and
    a histogram of each channel of Lab.
  """
  rows, columns = (_cells(size) for size in activations.shape[:2])
  grid = [
    activations[row][:, column].mean(axis=(0, 1)) for row in rows for column in columns
  ]
  # L is 0 to 100, a and b about -100 to 100; values beyond count in the outer bins.
  ranges = ((0.0, 100.0), (-100.0, 100.0), (-100.0, 100.0))
  histograms = [
    np.histogram(np.clip(lab[..., i], low, high), _BINS, (low, high))[0] / lab[..., i].size
    for i, (low, high) in enumerate(ranges)
  ]
  whole = activations.mean(axis=(0, 1))
  return np.concatenate([whole, *grid, *histograms]).astype(np.float32)


def estimated(
  method: str,
  source: np.ndarray,
  shares: np.ndarray,
  target: np.ndarray,
  l2: float = L2,
) -> np.ndarray:
  """Estimates the label shares of target images.

  The features of each domain are standardised by that domain's own mean and standard
  deviation. Activations of the source network shift between the domains, and a model is
  unreliable far outside its training data. (The features in Zhang et al. come from a
  network trained on ImageNet, so they do not belong to one of the domains.)

  Args:
    method: one of METHODS: logistic regression on soft labels, or the mean of the nearest
      neighbours in the source (both in Zhang et al. 2017, Sec. 3.2).
    source: float [N, D], features of labelled images.
    shares: float [N, K], the result of `counted` for each of them.
    target: float [M, D], features of target images.
    l2: the regression's penalty of large weights.

  Returns:
    float64 [M, K]; each row sums to 1.
  """
  source, target = (logistic.Scale.of(each)(each) for each in (source, target))
  if method == "regression":
    return logistic.fit(source, shares, l2)(target)
  count = min(_NEIGHBOURS, len(source))
  step = max(1, _AT_ONCE // source.size)
  nearest = []
  for first in range(0, len(target), step):
    some = target[first : first + step]
    distances = np.square(some[:, np.newaxis] - source).sum(axis=-1)
    # A stable sort makes ties reproducible.
    nearest.append(np.argsort(distances, axis=1, kind="stable")[:, :count])
  return np.asarray(shares, np.float64)[np.concatenate(nearest)].mean(axis=1)


def _cells(size: int) -> list[slice]:
  """Splits a side into cells of nearly equal size, none of them empty."""
  bounds = [size * i // _CELLS for i in range(_CELLS + 1)]
  return [
    slice(min(low, size - 1), max(high, low + 1)) for low, high in zip(bounds, bounds[1:])
  ]
