"""What predictions say of a network without any label: sure or not, and spread how.

None of these numbers says how many predictions are right. They are to be looked at; nothing
may be chosen by them before they have been seen to follow accuracy (`rank_correlation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Rows at once: in float64 the scores of a batch of label maps would take gigabytes.
_CHUNK = 1 << 16


class Predictions:
  """Predictions of one network on images of one domain, taken in batch by batch.

  Attributes:
    num_samples: images, or pixels of label maps.
    counts: int64 [num_classes], how often each class was the likeliest.
  """

  def __init__(self, num_classes: int):
    self.num_samples = 0
    self.counts = np.zeros(num_classes, np.int64)
    self._chances = np.zeros(num_classes)
    self._entropy = 0.0

  def add(self, logits: np.ndarray) -> None:
    """Takes a batch in: floats [..., num_classes]; every location is a sample.

    Raises:
      ValueError: they are of another number of classes.
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
    """How often each class was the likeliest: float64 [num_classes]; nan without any."""
    with np.errstate(invalid="ignore"):
      return self.counts / np.float64(self.num_samples)

  def scores(self, source_shares: np.ndarray) -> dict[str, float]:
    """Numbers that need no label; nan where logits were not finite, or without samples.

    Args:
      source_shares: floats [num_classes], the source's label frequencies.

    Returns:
      "entropy": mean over samples of H(p(y | x)), in nats: 0 where all are sure.
      "marginal_entropy": H(mean over samples of p(y | x)), in nats: ln(num_classes) where
      all classes are as frequent.
      "information": the latter less the former, what an image tells of its label.
      "marginal_distance": of `shares` from the source's, in total variation, 0 to 1.
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
  """Half of the sum of differences: 0 for equal shares, 1 for disjoint ones."""
  return float(np.abs(np.asarray(first) - np.asarray(second)).sum() / 2)


def rank_correlation(
  scores: Sequence[float | None], truths: Sequence[float | None]
) -> float | None:
  """Spearman's: 1 where a score puts runs in the order of the truth, -1 in its reverse.

  Args:
    scores: one a run; a run without one (None or nan) is left out.
    truths: of the same runs, such as their accuracies.

  Returns:
    None with fewer than three runs, or if either is the same for all of them.

  Raises:
    ValueError: there are not as many scores as truths.
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
  # Late: it takes half a second, and runs do not need it.
  from scipy import stats

  return float(stats.spearmanr(*columns).statistic)
