"""Seeded subsets of a training split: fewer images, or fewer images of some labels."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import scenes as scenes_lib

# Paper, Table 2: "odd removes half of the odd digits, even removes half of the even
# digits" [13]. So the name says what becomes rare, not what is kept. The paper's numbers
# fit better if all of these digits were removed.
_REMAINDER = {"odd": 1, "even": 0}
_ALL = "no_"


def skewed(
  examples: examples_lib.Examples, skew: str, seed: int, what: str
) -> scenes_lib.Split:
  """Drops images with an odd or an even label; the others keep their order.

  Args:
    examples: with labels.
    skew: "odd" or "even" drops half of the images with such labels, rounded down; "no_odd"
      or "no_even" drops all of them.
    seed: decides which half is dropped.
    what: the split's name in the note.

  Raises:
    config.UserError: no image is left.
  """
  assert examples.labels is not None
  parity = skew.removeprefix(_ALL)
  affected = np.flatnonzero(examples.labels % 2 == _REMAINDER[parity])
  if skew.startswith(_ALL):
    dropped, share = affected, "all"
  else:
    dropped, share = _choice(affected, len(affected) // 2, seed), "half"
  kept = np.setdiff1d(np.arange(len(examples)), dropped)
  if not len(kept):
    raise config_lib.UserError(
      f"{what} has {parity} labels alone; its skew '{skew}' leaves no image.",
      f"Set data.{what.split()[0]}_skew=none.",
    )
  note = f"{what} skewed: {share} of the {parity} labels dropped, {len(kept):,} images"
  return _take(examples, kept, note)


def limited(
  examples: scenes_lib.Split, limit: int, seed: int, what: str
) -> scenes_lib.Split:
  """Returns a seeded random choice of `limit` images, in their order; 0 for all."""
  if limit in (0, len(examples)):
    return examples
  kept = _choice(np.arange(len(examples)), limit, seed)
  note = f"{what} limited to {limit:,} of {len(examples):,} images"
  return _take(examples, kept, note)


def _choice(indices: np.ndarray, count: int, seed: int) -> np.ndarray:
  # RandomState: NumPy promises that its streams never change.
  return np.sort(np.random.RandomState(seed).permutation(indices)[:count])


def _take(examples: scenes_lib.Split, kept: np.ndarray, note: str) -> scenes_lib.Split:
  cut = examples.take(kept)
  return dataclasses.replace(cut, notes=(*cut.notes, note))
