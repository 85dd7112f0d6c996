"""Random decisions: about a thousand a picture, so they have to be cheap."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Dice:
  """Decisions that are a function of a seed, on every platform and version of Python.

  Python's own generator: its `random` is promised to keep its sequence for a seed. NumPy's
  take a millisecond to make, a fifth of what a picture may take, and ten times as long for
  each single number.
  """

  def __init__(self, seed: int):
    self.unit = random.Random(seed).random

  def between(self, low: float, high: float) -> float:
    return low + (high - low) * self.unit()

  def chance(self, probability: float) -> bool:
    return self.unit() < probability

  def pick(self, choices: Sequence[_T]) -> _T:
    return choices[int(self.unit() * len(choices))]
