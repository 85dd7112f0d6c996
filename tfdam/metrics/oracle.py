"""What label frequencies alone allow: the label-distribution oracle of Sec. 5.3.

A network that gives out labels on the target as often as they occur on the source can,
however good it is, get no more of a class right than the smaller of the two frequencies.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Bounds:
  """Upper bounds for a network whose predictions have the source's label frequencies.

  One network could reach them all at once. A class that neither domain has counts in no
  mean; one that the source alone has counts with an IoU of 0, as in `confusion.Confusion`.

  Attributes:
    iou_per_class: None for a class that neither domain has.
    recall_per_class: None for a class that the target does not have.
    miou: mean IoU.
    fwiou: IoU weighted with the target's frequencies.
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
  """Upper bounds from how often each label occurs in either domain.

  The paper prints the intersection as max(n_s, n_t); no intersection is larger than either
  set, and with max every IoU would be at least 1. The minimum is meant.

  Args:
    source: counts or frequencies [num_classes], at least 0 and not all 0.
    target: the same; each is normalised to sum 1.

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
  # Shares sum to 1 but for rounding.
  return min(1.0, float(value))
