"""The divergence between two domains' activations, one channel at a time (Sec. 5.1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import distance


class Histograms(NamedTuple):
  """One histogram per channel and domain; both domains have the same bins.

  Attributes:
    edges: float64 [channels, num_bins + 1], increasing; values beyond them count in the
      outer bins.
    source: float64 [channels, num_bins], sums to 1, or is 0 without a finite sample.
    target: the same.
  """

  edges: np.ndarray
  source: np.ndarray
  target: np.ndarray


def histograms(
  source: np.ndarray, target: np.ndarray, num_bins: int = 40, tail: float = 0.005
) -> Histograms:
  """Returns histograms of each channel's activations over all samples of two domains.

  Args:
    source: floats [samples, channels]; values that are not finite are left out.
    target: floats [samples, channels]; the number of samples may differ.
    num_bins: number of bins, of equal width.
    tail: the share of a domain's samples at either end that the range may leave out.
      Otherwise a single outlier would push all other values into one bin.

  Raises:
    ValueError: there are no samples, or the numbers of channels differ.
  """
  source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
  if (
    source.ndim != 2
    or target.ndim != 2
    or source.shape[1] != target.shape[1]
    or not (source.size and target.size)
  ):
    raise ValueError(
      f"samples {source.shape} and {target.shape}; expected [samples, channels] of as many"
      " channels, one sample or more"
    )
  ranges = [_range(source, tail), _range(target, tail)]
  low = np.minimum(ranges[0][0], ranges[1][0])
  high = np.maximum(ranges[0][1], ranges[1][1])
  low, high = np.where(low <= high, [low, high], 0.0)
  # A channel with a single value gets a range around it.
  flat = ~(high - low > 1e-6 * np.maximum(np.abs(low), np.abs(high)))
  half = np.where(flat, np.maximum(1e-3, 0.05 * np.abs(low)), 0.0)
  low, high = low - half, high + half
  edges = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, num_bins + 1)
  return Histograms(
    edges,
    _histogram(source, low, high, num_bins),
    _histogram(target, low, high, num_bins),
  )


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Returns the Jensen-Shannon divergence in bits: 0 for equal, 1 for disjoint ones.

  The classical GAN of Sec. 4.2 minimises this divergence; here it is computed for one
  channel at a time. For n and m samples of the same distribution it is not quite 0 but
  about (num_bins - 1) / 8 / ln 2 * (1 / n + 1 / m), such as 0.007 for 40 bins and 2,000
  samples each.

  Args:
    first: float [..., bins], sums to 1 over bins.
    second: the same.

  Returns:
    float64 [...]; nan where either distribution sums to 0.
  """
  with np.errstate(invalid="ignore"):  # 0 / 0 is nan, as documented
    bits = distance.jensenshannon(first, second, base=2, axis=-1) ** 2
  # Rounding may exceed the unit interval by some 1e-17.
  return np.clip(bits, 0.0, 1.0)


def _range(samples: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
  """Returns each channel's range without the tails; inf and -inf without finite values."""
  finite = np.isfinite(samples)
  ordered = np.sort(np.where(finite, samples, np.inf), axis=0)
  count = finite.sum(axis=0)
  skipped = np.floor(tail * count).astype(int)
  channels = np.arange(samples.shape[1])
  low = ordered[skipped, channels]
  high = ordered[np.maximum(count - 1 - skipped, 0), channels]
  return np.where(count > 0, low, np.inf), np.where(count > 0, high, -np.inf)


def _histogram(
  samples: np.ndarray, low: np.ndarray, high: np.ndarray, num_bins: int
) -> np.ndarray:
  with np.errstate(invalid="ignore", over="ignore"):
    places = np.floor((samples - low) / (high - low) * num_bins)
  finite = np.isfinite(samples)
  bins = np.clip(np.where(finite, places, 0), 0, num_bins - 1).astype(np.int64)
  num_channels = samples.shape[1]
  cells = bins + num_bins * np.arange(num_channels)
  flat = np.bincount(cells[finite], minlength=num_bins * num_channels)
  counts = flat.reshape(num_channels, num_bins)
  return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
