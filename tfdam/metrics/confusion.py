"""Scores from one confusion matrix, filled batch by batch."""

from __future__ import annotations

import numpy as np


class Confusion:
  """Counts of (label, prediction) pairs.

  Attributes:
    counts: int64 [num_classes, num_classes], labels in rows, predictions in columns.
  """

  def __init__(self, num_classes: int):
    self.num_classes = num_classes
    self.counts = np.zeros((num_classes, num_classes), np.int64)

  def add(self, labels: np.ndarray, predictions: np.ndarray) -> None:
    """Counts a batch.

    Args:
      labels: integers of any shape, 0 .. num_classes - 1.
      predictions: integers of the same shape and range.

    Raises:
      ValueError: shapes differ, or a value is out of range.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
      raise ValueError(f"labels {labels.shape} and predictions {predictions.shape} differ")
    for values in (labels, predictions):
      if values.size and not (values.min() >= 0 and values.max() < self.num_classes):
        raise ValueError(
          f"values {values.min()} to {values.max()} of {self.num_classes} classes"
        )
    cells = labels.astype(np.int64).ravel() * self.num_classes + predictions.ravel()
    counts = np.bincount(cells, minlength=self.num_classes**2)
    self.counts += counts.reshape(self.num_classes, self.num_classes)

  def accuracy(self) -> float:
    """Share of samples whose prediction is their label; nan without samples."""
    total = self.counts.sum()
    return float(np.trace(self.counts) / total) if total else float("nan")

  def per_class_accuracy(self) -> list[float | None]:
    """Recall of every class; None for one that does not occur."""
    totals = self.counts.sum(axis=1)
    right = np.diag(self.counts)
    return [float(r / t) if t else None for r, t in zip(right, totals)]
