"""The label-distribution oracle of Sec. 5.3: bounds from label frequencies alone.

If a network predicts each class on the target as often as it occurs on the source, then at
most the smaller of the two frequencies can be right, however good the network is.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Bounds:
  """Upper bounds for a network whose predictions have the source's label frequencies.

  A single network could reach all of them at once. Means leave out a class that neither
  domain has. A class that only the source has counts with an IoU of 0, as in
  `confusion.Confusion`. All values are fractions from 0 to 1.

  Attributes:
    iou_per_class: None for a class that neither domain has.
    recall_per_class: None for a class that the target does not have.
    miou: mean IoU.
    fwiou: IoU weighted by the target's frequencies.
    pixel_accuracy: share of right labels.
    class_accuracy: mean recall.
  """

  iou_per_class: list[float | None]
  recall_per_class: list[float | None]
  miou: float
  fwiou: float
  pixel_accuracy: float
  class_accuracy: float


def bounds(source: np.ndarray, target: np.ndarray) -> Bounds:
  """Returns upper bounds from how often each label occurs in either domain.

  The paper prints the intersection as max(n_s, n_t), with which every IoU would be at least
  1. The minimum is meant, as no intersection is larger than either set.

  Args:
    source: counts or frequencies [num_classes], at least 0 and not all 0.
    target: the same; each is normalised to a sum of 1.

  Raises:
    ValueError: shapes differ, or a vector is no distribution.
  """
  source, target = _shares(source), _shares(target)
  if source.shape != target.shape:
    raise ValueError(f"{len(source)} source classes and {len(target)} target classes")
  intersection = np.minimum(source, target)
  union = source + target - intersection
  occurs, labelled = union > 0, target > 0
  iou = np.divide(intersection, union, out=np.zeros_like(union), where=occurs)
  recall = np.divide(intersection, target, out=np.zeros_like(union), where=labelled)
  return Bounds(
    iou_per_class=_with_gaps(iou, occurs),
    recall_per_class=_with_gaps(recall, labelled),
    miou=_mean(iou[occurs]),
    fwiou=_capped(target @ iou),
    pixel_accuracy=_capped(intersection.sum()),
    class_accuracy=_mean(recall[labelled]),
  )


def _shares(counts: np.ndarray) -> np.ndarray:
  counts = np.asarray(counts, np.float64)
  total = counts.sum()
  if counts.ndim != 1 or not (counts >= 0).all() or not 0 < total < np.inf:
    raise ValueError(f"{counts} are no label counts: expected [num_classes], some above 0")
  return counts / total


def _with_gaps(values: np.ndarray, defined: np.ndarray) -> list[float | None]:
  return [float(value) if there else None for value, there in zip(values, defined)]


def _mean(values: np.ndarray) -> float:
  return _capped(values.mean())


def _capped(value: np.floating) -> float:
  # Shares sum to 1 only up to rounding.
  return min(1.0, float(value))
