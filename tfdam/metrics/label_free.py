"""Measures of predictions that need no label: how sure they are, and how spread.

None of these numbers says how many predictions are right. They are information for readers.
Nothing may be chosen by them unless they were seen to follow accuracy (`rank_correlation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Rows at once: for a batch of label maps, float64 scores would take gigabytes.
_CHUNK = 1 << 16


class Predictions:
  """Statistics of a network's predictions on one domain, collected batch by batch.

  Attributes:
    num_samples: number of images, or of pixels of label maps.
    counts: int64 [num_classes], how often each class was the likeliest.
  """

  def __init__(self, num_classes: int):
    self.num_samples = 0
    self.counts = np.zeros(num_classes, np.int64)
    self._chances = np.zeros(num_classes)
    self._entropy = 0.0

  def add(self, logits: np.ndarray) -> None:
    """Adds a batch.

    Args:
      logits: floats [..., num_classes]; every location is a sample.

    Raises:
      ValueError: the number of classes differs.
    """
    logits = np.asarray(logits)
    if logits.shape[-1:] != self.counts.shape:
      raise ValueError(f"logits {logits.shape}; expected {len(self.counts)} classes last")
    rows = logits.reshape(-1, len(self.counts))
    for start in range(0, len(rows), _CHUNK):
      self._add(rows[start : start + _CHUNK].astype(np.float64))

  def _add(self, rows: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):  # infinite logits make nan, which `scores` shows
      shifted = rows - rows.max(axis=1, keepdims=True)
      exponentials = np.exp(shifted)
      totals = exponentials.sum(axis=1, keepdims=True)
      chances = exponentials / totals
      # p log p with log p = shifted - log(total); a chance of 0 adds nothing.
      products = np.where(chances > 0, chances * (shifted - np.log(totals)), chances)
    self.num_samples += len(rows)
    self.counts += np.bincount(rows.argmax(axis=1), minlength=len(self.counts))
    self._chances += chances.sum(axis=0)
    self._entropy -= float(products.sum())

  def shares(self) -> np.ndarray:
    """Returns the share of samples in which each class was the likeliest.

    Returns:
      float64 [num_classes]; nan without samples.
    """
    with np.errstate(invalid="ignore"):
      return self.counts / np.float64(self.num_samples)

  def scores(self, source_shares: np.ndarray) -> dict[str, float]:
    """Returns scores that need no label; nan if logits are not finite, or without samples.

    Args:
      source_shares: floats [num_classes], the source's label frequencies.

    Returns:
      "entropy": mean over samples of H(p(y | x)), in nats: 0 if all predictions are sure.
      "marginal_entropy": H(mean over samples of p(y | x)), in nats: ln(num_classes) if all
        classes are equally frequent.
      "information": the difference of the two, how much an image tells about its label.
      "marginal_distance": the total variation between `shares` and the source's, 0 to 1.
    """
    count = self.num_samples
    mean = self._chances / count if count else np.full(len(self.counts), math.nan)
    conditional = self._entropy / count if count else math.nan
    logs = np.log(np.where(mean > 0, mean, 1.0))
    marginal = float(-(mean * logs).sum())
    return {
      "entropy": conditional,
      "marginal_entropy": marginal,
      "information": marginal - conditional,
      "marginal_distance": total_variation(self.shares(), source_shares),
    }


def total_variation(first: np.ndarray, second: np.ndarray) -> float:
  """Returns half the sum of absolute differences: 0 for equal, 1 for disjoint shares."""
  return float(np.abs(np.asarray(first) - np.asarray(second)).sum() / 2)


def rank_correlation(
  scores: Sequence[float | None], truths: Sequence[float | None]
) -> float | None:
  """Returns Spearman's rank correlation, 1 for the same order and -1 for the reverse.

  Args:
    scores: one per run; runs without a score (None or nan) are left out.
    truths: of the same runs, such as their accuracies.

  Returns:
    None with fewer than three runs, or if either is equal for all runs.

  Raises:
    ValueError: the numbers of scores and truths differ.
  """
  if len(scores) != len(truths):
    raise ValueError(f"{len(scores)} scores and {len(truths)} truths; expected pairs")
  pairs = [
    pair
    for pair in zip(scores, truths)
    if all(value is not None and math.isfinite(value) for value in pair)
  ]
  columns = list(zip(*pairs))
  if len(pairs) < 3 or any(len(set(column)) == 1 for column in columns):
    return None
  # Imported here because it takes half a second, and runs do not need it.
  from scipy import stats

  return float(stats.spearmanr(*columns).statistic)
