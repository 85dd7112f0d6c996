"""Rounds of Source-or-Not (Sec. 5.1, Fig. 3) for a player, and the machine's answers.

A round shows the distributions of one unit's activations on two images, and asks whether
both are from the same domain. They are in half of the rounds, at random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfdam.metrics import divergence, source_or_not

# A histogram of fewer values shows little. If a map has fewer locations (a dense layer has
# one), a side pools several images of one domain.
_VALUES = 64
# The machine judges a unit by so many other pairs, half of them within a domain.
_REFERENCES = 32

# {tap: (source, target)}, floats [images, locations, channels].
Taps = Mapping[str, tuple[np.ndarray, np.ndarray]]


class Round(NamedTuple):
  """One question.

  Attributes:
    tap: its name.
    unit: a channel of the tap that is not constant.
    first: float64 [values], the unit's activations on one side's images.
    second: the same for the other side.
    num_images: number of images on each side; those of a side are from one domain.
    is_same: whether both sides are from the same domain.
    machine_says_same: the machine's answer, which is yes unless the sides' divergence is
      above the median of other pairs of that unit.
  """

  tap: str
  unit: int
  first: np.ndarray
  second: np.ndarray
  num_images: int
  is_same: bool
  machine_says_same: bool


def deal(taps: Taps, num_rounds: int, seed: int = 0) -> list[Round]:
  """Draws rounds, each a tap, one of its units, and two images or groups of images.

  Args:
    taps: two or more images per domain, all values finite.
    num_rounds: number of rounds.
    seed: of all random choices.

  Raises:
    ValueError: all units of all taps are constant.
  """
  rng = np.random.RandomState(seed)
  units = {tap: _changing(*pair) for tap, pair in taps.items()}
  playable = [tap for tap in taps if units[tap].size]
  if not playable:
    raise ValueError("no unit of any tap changes")
  rounds = []
  for _ in range(num_rounds):
    tap = playable[rng.randint(len(playable))]
    unit = int(units[tap][rng.randint(units[tap].size)])
    domains = [x[..., unit].astype(np.float64) for x in taps[tap]]
    size = _num_pooled(domains)
    is_same = bool(rng.randint(2))
    first, second = _pair(domains, size, is_same, rng)
    known = [_bits(*_pair(domains, size, bool(i % 2), rng)) for i in range(_REFERENCES)]
    says_same = _bits(first, second) <= float(np.median(known))
    rounds.append(Round(tap, unit, first, second, size, is_same, says_same))
  return rounds


def histograms(round_: Round, most_bins: int) -> divergence.Histograms:
  """Returns both sides' histograms, with at most `most_bins` bins; see `game_bins`."""
  num_bins = min(most_bins, source_or_not.game_bins(len(round_.first)))
  return divergence.histograms(round_.first[:, None], round_.second[:, None], num_bins)


def machine_score(rounds: Sequence[Round]) -> int:
  """Returns how many rounds the machine gets right."""
  return sum(round_.machine_says_same == round_.is_same for round_ in rounds)


def _changing(source: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Returns the units that are not constant; a dead unit shows nothing."""
  low, high = (
    end([end(x, axis=(0, 1)) for x in (source, target)], axis=0) for end in (np.min, np.max)
  )
  return np.flatnonzero(high > low)


def _num_pooled(domains: Sequence[np.ndarray]) -> int:
  """Returns the images per side: enough for a histogram, but at most half of a domain."""
  wanted = math.ceil(_VALUES / min(x.shape[1] for x in domains))
  return max(1, min(wanted, min(map(len, domains)) // 2))


def _pair(
  domains: Sequence[np.ndarray], size: int, is_same: bool, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
  """Draws two sides' values from different images; the order of domains is random."""
  one = rng.randint(2)
  if is_same:
    order = rng.permutation(len(domains[one]))[: 2 * size]
    images = domains[one][order]
    return images[:size].ravel(), images[size:].ravel()
  first, second = (
    domains[i][rng.permutation(len(domains[i]))[:size]] for i in (one, 1 - one)
  )
  return first.ravel(), second.ravel()


def _bits(first: np.ndarray, second: np.ndarray) -> float:
  found = divergence.histograms(
    first[:, None], second[:, None], source_or_not.game_bins(min(len(first), len(second)))
  )
  # Rounded, because equal divergences may differ in their last bits.
  return round(float(divergence.jensen_shannon(found.source, found.target)[0]), 9)
