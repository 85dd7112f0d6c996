"""Cheap random decisions; a picture needs about a thousand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Dice:
  """Decisions that depend on a seed alone, on every platform and version of Python.

  Python guarantees that its `random` keeps the sequence of a seed. NumPy's generators take
  a millisecond to make, a fifth of a picture's time, and ten times as long per number.
  """

  def __init__(self, seed: int):
    self.unit = random.Random(seed).random

  def between(self, low: float, high: float) -> float:
    return low + (high - low) * self.unit()

  def chance(self, probability: float) -> bool:
    return self.unit() < probability

  def pick(self, choices: Sequence[_T]) -> _T:
    return choices[int(self.unit() * len(choices))]
