"""How much of an image each class takes: counted on the source, estimated on the target."""

from __future__ import annotations

import numpy as np

from tfdam.curriculum import logistic

METHODS = ("regression", "neighbours")
# Cells on each side of the grid that activations are averaged over; bins a channel of Lab.
_CELLS, _BINS = 3, 8
# Of logistic regression, on features of deviation 1: some hundred images have as many.
_L2 = 1.0
_NEIGHBOURS = 5
# Values of the distances that are computed at once.
_AT_ONCE = 1 << 24


def counted(labels: np.ndarray, num_classes: int) -> np.ndarray | None:
  """The share of each class among an image's labelled pixels, float64 [K].

  Args:
    labels: uint8 [H, W]; what names no class does not count.

  Returns:
    None where no pixel has a label.
  """
  counts = np.bincount(labels.ravel(), minlength=256)[:num_classes]
  return counts / counts.sum() if counts.any() else None


def features(activations: np.ndarray, lab: np.ndarray) -> np.ndarray:
  """What the estimate knows of an image.

  Args:
    activations: float [h, w, C], of a tap.
    lab: float [H, W, 3], CIELAB.

  Returns:
    float32 [D]: the activations' mean over the image and over each cell of a 3x3 grid, and
    a histogram of each channel of Lab.
  """
  rows, columns = (_cells(size) for size in activations.shape[:2])
  grid = [
    activations[row][:, column].mean(axis=(0, 1)) for row in rows for column in columns
  ]
  # L is 0 to 100, a and b about -100 to 100; what lies beyond counts in the last bin.
  ranges = ((0.0, 100.0), (-100.0, 100.0), (-100.0, 100.0))
  histograms = [
    np.histogram(np.clip(lab[..., i], low, high), _BINS, (low, high))[0] / lab[..., i].size
    for i, (low, high) in enumerate(ranges)
  ]
  whole = activations.mean(axis=(0, 1))
  return np.concatenate([whole, *grid, *histograms]).astype(np.float32)


def estimated(
  method: str, source: np.ndarray, shares: np.ndarray, target: np.ndarray
) -> np.ndarray:
  """The target images' shares.

  Each domain's features count in deviations from their own mean. The source network's
  activations shift from one domain to the other, and far outside of what a model has seen
  its word is worse than none. (The paper's features, a network's trained on ImageNet, are
  not those of one domain.)

  Args:
    method: one of METHODS: a logistic regression on soft labels, or the mean of the
      source's nearest neighbours (both in Zhang et al. 2017, Sec. 3.2).
    source: float [N, D], features of labelled images.
    shares: float [N, K], what `counted` returned of each.
    target: float [M, D].

  Returns:
    float64 [M, K], each row's sum 1.
  """
  source, target = (logistic.Scale.of(each)(each) for each in (source, target))
  if method == "regression":
    return logistic.fit(source, shares, _L2)(target)
  count = min(_NEIGHBOURS, len(source))
  step = max(1, _AT_ONCE // source.size)
  nearest = []
  for first in range(0, len(target), step):
    some = target[first : first + step]
    distances = np.square(some[:, np.newaxis] - source).sum(axis=-1)
    # Stable: of two at the same distance always the same one.
    nearest.append(np.argsort(distances, axis=1, kind="stable")[:, :count])
  return np.asarray(shares, np.float64)[np.concatenate(nearest)].mean(axis=1)


def _cells(size: int) -> list[slice]:
  """Cells of a side, as even as they can be, none of them empty."""
  bounds = [size * i // _CELLS for i in range(_CELLS + 1)]
  return [
    slice(min(low, size - 1), max(high, low + 1)) for low, high in zip(bounds, bounds[1:])
  ]
