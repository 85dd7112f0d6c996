"""Scores from one confusion matrix, filled batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

# Values counted at once: temporaries of 64-bit integers stay in the processor's cache,
# whatever the size of a batch of label maps.
_CHUNK = 1 << 16


class Confusion:
  """Counts of (label, prediction) pairs: of images, or of pixels.

  A class that occurs neither in labels nor in predictions has no score, and means leave it
  out. One that is predicted but never a label has no recall, but an IoU of 0, which counts:
  so has cityscapesScripts' evaluator, with nan for no score.

  Attributes:
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
      ignored: where it is the label, the pair is not counted.

    Raises:
      ValueError: shapes differ, or a value is out of range; nothing has been counted.
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
    """Share of samples whose prediction is their label; nan without samples."""
    total = self.counts.sum()
    return float(np.trace(self.counts) / total) if total else float("nan")

  def per_class_accuracy(self) -> list[float | None]:
    """Recall of every class; None for one that does not occur."""
    return _ratios(np.diag(self.counts), self.counts.sum(axis=1))

  def iou_per_class(self) -> list[float | None]:
    """Intersection over union, tp / (tp + fp + fn); None for 0 / 0.

    False positives are those among the counted pixels: what is predicted where the label is
    ignored costs nothing.
    """
    right = np.diag(self.counts)
    return _ratios(right, self.counts.sum(axis=0) + self.counts.sum(axis=1) - right)

  def miou(self) -> float:
    """Mean IoU of the classes that have one; nan without samples."""
    return _mean(self.iou_per_class())

  def fwiou(self) -> float:
    """Mean IoU weighted with each class's share of the labels; nan without samples."""
    totals = self.counts.sum(axis=1)
    ious = np.array([iou or 0.0 for iou in self.iou_per_class()])
    return float(totals @ ious / totals.sum()) if totals.any() else float("nan")

  def pixel_accuracy(self) -> float:
    """`accuracy`, as segmentation calls it."""
    return self.accuracy()

  def class_accuracy(self) -> float:
    """Mean recall of the classes that occur in labels; nan without samples."""
    return _mean(self.per_class_accuracy())

  def scores(self) -> dict[str, Any]:
    """What results.json holds of a segmentation, fractions from 0 to 1."""
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
    """How often each cell occurs, int64 [num_classes ** 2]; arguments have one axis."""
    # Ignored pixels, too: a prediction that is no class is a fault wherever it stands.
    self._check(predictions, "predictions")
    if ignored is not None:
      counted = labels != ignored
      labels, predictions = labels[counted], predictions[counted]
    self._check(labels, "labels")
    # 64 bits: of 8-bit labels, 20 classes times 20 would not fit.
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
