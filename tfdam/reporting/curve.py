"""Scores on the target's test split while adaptation runs: a curve over steps (Figure 5).

The labels that it reads are for whoever looks at the curve afterwards: nothing stops or
chooses by it. It draws nothing at random and changes no weight of the network that learns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import feeds
from tfdam.reporting import evaluation

PHASE = "curve"


class Record(Protocol):
  """Takes a score: runs/records.py."""

  def write(
    self, stage: str, step: int, values: Mapping[str, float], phase: str
  ) -> None: ...


class Curve:
  """Scores one network again and again; called with the number of steps done."""

  def __init__(
    self,
    stage: str,
    network: tf.keras.Model,
    test: feeds.Split,
    config: config_lib.Config,
    record: Record,
    update: Callable[[], None],
  ):
    """Takes what is scored, and on what.

    Args:
      stage: whose network it is.
      network: built; a moving average where the run keeps one.
      test: with labels.
      record: takes lines of phase "curve".
      update: brings the network up to date; called before each score.
    """
    self.stage = stage
    self.network = network
    self.test = test
    self.config = config
    self.record = record
    self.update = update

  def __call__(self, step: int) -> None:
    """Writes the score that results.json would have if this were the last step."""
    self.update()
    scores = evaluation.score(self._logits, self.test, self.config, "test")
    headline = self.config.task.headline
    values = {f"metric/test_{headline}": scores[headline]}
    self.record.write(self.stage, step, values, PHASE)

  @functools.cached_property
  def _logits(self) -> evaluation.Inference:
    # Late: a finished stage scores nothing, and need not compile.
    return evaluation.compile_inference(self.network, self.config.data)
