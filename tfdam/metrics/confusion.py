"""Scores from a confusion matrix, which is filled batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

# Values counted at once, so that temporaries of 64-bit integers stay in the processor's
# cache for batches of any size.
_CHUNK = 1 << 16


class Confusion:
  """Counts of (label, prediction) pairs, of images or of pixels.

  A class that occurs neither in labels nor in predictions has no score, and means leave it
  out. A class that is predicted but is never a label has no recall, and its IoU of 0 counts
  in the mean. cityscapesScripts' evaluator does the same, with nan for no score.

  Attributes:
    num_classes: number of classes.
    counts: int64 [num_classes, num_classes], labels in rows, predictions in columns.
  """

  def __init__(self, num_classes: int):
    self.num_classes = num_classes
    self.counts = np.zeros((num_classes, num_classes), np.int64)

  def add(
    self,
    labels: np.ndarray,
    predictions: np.ndarray,
    ignored: int | None = None,
  ) -> None:
    """Counts a batch.

    Args:
      labels: integers of any shape, 0 .. num_classes - 1 or `ignored`.
      predictions: integers of the same shape, 0 .. num_classes - 1 everywhere.
      ignored: pairs with this label are not counted.

    Raises:
      ValueError: shapes differ, or a value is out of range; nothing is counted then.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
      raise ValueError(f"labels {labels.shape} and predictions {predictions.shape} differ")
    labels, predictions = labels.ravel(), predictions.ravel()
    counts = np.zeros(self.num_classes**2, np.int64)
    for start in range(0, labels.size, _CHUNK):
      end = start + _CHUNK
      counts += self._counted(labels[start:end], predictions[start:end], ignored)
    self.counts += counts.reshape(self.num_classes, self.num_classes)

  def accuracy(self) -> float:
    """Returns the share of right predictions; nan without samples."""
    total = self.counts.sum()
    return float(np.trace(self.counts) / total) if total else float("nan")

  def per_class_accuracy(self) -> list[float | None]:
    """Returns the recall of each class; None for a class without labels."""
    return _ratios(np.diag(self.counts), self.counts.sum(axis=1))

  def iou_per_class(self) -> list[float | None]:
    """Returns the intersection over union, tp / (tp + fp + fn), of each class.

    None stands for 0 / 0. Predictions at ignored labels are no false positives.
    """
    right = np.diag(self.counts)
    return _ratios(right, self.counts.sum(axis=0) + self.counts.sum(axis=1) - right)

  def miou(self) -> float:
    """Returns the mean IoU of the classes that have one; nan without samples."""
    return _mean(self.iou_per_class())

  def fwiou(self) -> float:
    """Returns the mean IoU weighted by the classes' label frequencies; nan without any."""
    totals = self.counts.sum(axis=1)
    ious = np.array([iou or 0.0 for iou in self.iou_per_class()])
    return float(totals @ ious / totals.sum()) if totals.any() else float("nan")

  def pixel_accuracy(self) -> float:
    """Returns `accuracy`, by its name in segmentation."""
    return self.accuracy()

  def class_accuracy(self) -> float:
    """Returns the mean recall of the classes that occur in labels; nan without samples."""
    return _mean(self.per_class_accuracy())

  def scores(self) -> dict[str, Any]:
    """Returns the scores of a segmentation in results.json, fractions from 0 to 1."""
    return {
      "miou": self.miou(),
      "fwiou": self.fwiou(),
      "pixel_accuracy": self.pixel_accuracy(),
      "class_accuracy": self.class_accuracy(),
      "iou_per_class": self.iou_per_class(),
    }

  def _counted(
    self, labels: np.ndarray, predictions: np.ndarray, ignored: int | None
  ) -> np.ndarray:
    """Counts each cell, int64 [num_classes ** 2]; arguments have one axis."""
    # Before ignored pixels are dropped: a prediction that is no class is always a fault.
    self._check(predictions, "predictions")
    if ignored is not None:
      counted = labels != ignored
      labels, predictions = labels[counted], predictions[counted]
    self._check(labels, "labels")
    # 64 bits: in the labels' 8 bits, 20 classes times 20 would overflow.
    cells = labels.astype(np.int64)
    cells *= self.num_classes
    cells += predictions.astype(np.int64)
    return np.bincount(cells, minlength=self.num_classes**2)

  def _check(self, values: np.ndarray, what: str) -> None:
    if not values.size:
      return
    if values.dtype.kind not in "iu":
      raise ValueError(f"{what} are {values.dtype}; expected integers")
    low, high = values.min(), values.max()
    if low < 0 or high >= self.num_classes:
      raise ValueError(f"{what} {low} to {high} of {self.num_classes} classes")


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
  return [float(p / w) if w else None for p, w in zip(parts, wholes)]


def _mean(values: list[float | None]) -> float:
  defined = [value for value in values if value is not None]
  return float(np.mean(defined)) if defined else float("nan")
