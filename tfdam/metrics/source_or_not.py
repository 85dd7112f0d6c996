"""Source-or-Not (Sec. 5.1) played by machine: do a layer's units tell two domains apart?

In the paper, a player sees the distributions of a unit's activations on two images, and
says whether both images are from the same domain. Here, a pair of images is scored by the
Jensen-Shannon divergence of the two histograms.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tfdam.metrics import divergence

# The bins of histograms over all images, and at most of those of one image.
_NUM_BINS = 40
# Images per domain: 4,096 pairs across domains, and about as many within.
_MAX_IMAGES = 64
_MAX_UNITS = 64
# More locations would not fill 40 bins better; see `game_bins`.
_MAX_LOCATIONS = _NUM_BINS**2
# Values per channel and domain: so many that sampling adds less than 1e-4 bits.
_MAX_POOLED = 1 << 18
# Values converted to float64 at once.
_CHUNK = 1 << 21


class Comparison(NamedTuple):
  """How one layer's channels differ between two domains.

  Attributes:
    divergences: float64 [channels], in bits, over all images together; see
      `divergence.jensen_shannon`.
    units: int64 [units], the channels of the game, increasing.
    aucs: float64 [units], the probability that a pair across domains scores higher than a
      pair within a domain; a tie counts half. 0.5 is guessing, 1 is always right. For equal
      domains the values scatter around 0.5 by chance.
  """

  divergences: np.ndarray
  units: np.ndarray
  aucs: np.ndarray

  @property
  def divergence_bits(self) -> float:
    """Mean divergence over the channels that have one, in bits; nan without any."""
    there = self.divergences[np.isfinite(self.divergences)]
    return float(there.mean()) if there.size else float("nan")

  @property
  def auc(self) -> float:
    """Mean AUC over units."""
    return float(self.aucs.mean())

  @property
  def best_channel(self) -> int:
    """The channel that tells the domains apart best; the first of equal ones."""
    return int(self.units[self.aucs.argmax()])

  @property
  def best_auc(self) -> float:
    """Its AUC. As the largest of many, it is above 0.5 even for equal domains."""
    return float(self.aucs.max())


def compare(source: np.ndarray, target: np.ndarray, seed: int = 0) -> Comparison:
  """Compares one layer's activations on images of two domains.

  Divergences are computed for every channel. The game uses at most 64 units, and all pairs
  of at most 64 images per domain. The game is harder with one location per image (a dense
  layer) than with many, which matters when AUCs of layers are compared.

  Args:
    source: floats [images, locations, channels], two or more images, all finite.
    target: the same; the numbers of images and locations may differ.
    seed: decides which units, images and locations are drawn, if there are too many.

  Raises:
    ValueError: shapes do not fit, there are too few images, or a value is not finite.
  """
  source, target = np.asarray(source), np.asarray(target)
  _check(source, target)
  rng = np.random.RandomState(seed)
  divergences = _divergences(source, target, rng)
  units = _some(source.shape[-1], _MAX_UNITS, rng)
  # Equally many locations of every image: histograms of fewer differ more by chance, which
  # would give their domain away.
  num_locations = min(source.shape[1], target.shape[1], _MAX_LOCATIONS)
  drawn = [_drawn(x, num_locations, units, rng) for x in (source, target)]
  return Comparison(divergences, units, _aucs(*drawn))


def _check(source: np.ndarray, target: np.ndarray) -> None:
  shapes = f"source {source.shape} and target {target.shape}"
  if source.ndim != 3 or target.ndim != 3 or source.shape[2] != target.shape[2]:
    raise ValueError(
      f"{shapes}; expected [images, locations, channels] of as many channels"
    )
  for name, activations in (("source", source), ("target", target)):
    if len(activations) < 2:
      raise ValueError(
        f"{len(activations)} image{'' if len(activations) == 1 else 's'} of the {name};"
        " expected two or more: the game compares images of one domain with each other"
      )
    if not activations.size:
      raise ValueError(f"{shapes}; expected one location and one channel or more")
    # Minimum and maximum are nan if any value is; a mask would be as large as the input.
    if not np.isfinite([float(activations.min()), float(activations.max())]).all():
      raise ValueError(f"{name} has activations that are not finite; expected numbers")


def _some(count: int, most: int, rng: np.random.RandomState) -> np.ndarray:
  """Returns at most `most` random indices below `count`, increasing."""
  return np.arange(count) if count <= most else np.sort(rng.permutation(count)[:most])


def _divergences(
  source: np.ndarray, target: np.ndarray, rng: np.random.RandomState
) -> np.ndarray:
  """Returns every channel's divergence over images and locations, float64 [channels]."""
  domains = [
    (x, _some(x.shape[1], max(1, _MAX_POOLED // len(x)), rng)) for x in (source, target)
  ]
  num_channels = source.shape[-1]
  step = max(1, _CHUNK // max(len(x) * len(places) for x, places in domains))
  parts = []
  for start in range(0, num_channels, step):
    pooled_source, pooled_target = (
      x[:, places, start : start + step].reshape(len(x) * len(places), -1)
      for x, places in domains
    )
    found = divergence.histograms(pooled_source, pooled_target, _NUM_BINS)
    parts.append(divergence.jensen_shannon(found.source, found.target))
  return np.concatenate(parts)


def _drawn(
  activations: np.ndarray,
  num_locations: int,
  units: np.ndarray,
  rng: np.random.RandomState,
) -> np.ndarray:
  """Draws the activations for the game, floats [images, num_locations, units]."""
  images = _some(len(activations), _MAX_IMAGES, rng)
  locations = _some(activations.shape[1], num_locations, rng)
  return activations[np.ix_(images, locations, units)]


def game_bins(num_locations: int) -> int:
  """Returns the number of bins for one image: the square root of its values, 2 to 40.

  The square root is usual for histograms. With 40 bins for a few values, hardly any two
  would share a bin, and all images would look different. A single location gets two bins,
  low and high.
  """
  return min(_NUM_BINS, max(2, math.isqrt(num_locations)))


def _aucs(source: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Returns the AUC of the game for every unit.

  Args:
    source: floats [images, locations, units].
    target: the same, with as many locations.

  Returns:
    float64 [units].
  """
  num_locations, num_units = source.shape[1:]
  num_bins = game_bins(num_locations)
  pooled_source, pooled_target = (x.reshape(-1, num_units) for x in (source, target))
  edges = divergence.histograms(pooled_source, pooled_target, num_bins).edges
  counts = np.concatenate([_counts(x, edges) for x in (source, target)], axis=1)
  first, second = np.triu_indices(counts.shape[1], 1)
  within = (first < len(source)) == (second < len(source))
  # A bin's part of the entropy, by the number of two images' locations in it. All images
  # have equally many locations, so that this table replaces millions of logarithms.
  share = np.arange(1, 2 * num_locations + 1) / (2 * num_locations)
  entropy = np.concatenate([[0.0], -share * np.log2(share)])
  aucs = np.empty(num_units)
  for unit, histograms in enumerate(counts):
    alone = entropy[2 * histograms].sum(axis=1)
    both = entropy[histograms[first] + histograms[second]].sum(axis=1)
    # Rounded, because equal divergences may differ in their last bits and would be no ties.
    scores = np.round(both - (alone[first] + alone[second]) / 2, 9)
    aucs[unit] = _auc(scores[~within], scores[within])
  return aucs


def _counts(activations: np.ndarray, edges: np.ndarray) -> np.ndarray:
  """Returns histograms of every image, int64 [units, images, bins].

  Args:
    activations: floats [images, locations, units].
    edges: float64 [units, bins + 1], equally spaced; values beyond them count in the outer
      bins.
  """
  num_images, _, num_units = activations.shape
  num_bins = edges.shape[1] - 1
  low, high = edges[:, 0], edges[:, -1]
  bins = np.floor((activations.astype(np.float64) - low) / (high - low) * num_bins)
  rows = np.arange(num_units) * num_images + np.arange(num_images)[:, None, None]
  cells = rows * num_bins + np.clip(bins, 0, num_bins - 1).astype(np.int64)
  counts = np.bincount(cells.ravel(), minlength=num_units * num_images * num_bins)
  return counts.reshape(num_units, num_images, num_bins)


def _auc(higher: np.ndarray, lower: np.ndarray) -> float:
  """Returns the probability that `higher` is above `lower`; a tie counts half."""
  ordered = np.sort(lower)
  below = np.searchsorted(ordered, higher, "left")
  not_above = np.searchsorted(ordered, higher, "right")
  return float((below + not_above).sum() / (2 * len(higher) * len(lower)))
