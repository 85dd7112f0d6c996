"""Scores on the target's test split during adaptation, a curve over steps (Figure 5).

It reads the target's labels only to show the curve afterwards: no decision depends on it.
It uses no random numbers and does not change the trained network.
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
  """Stores a score; see runs/records.py."""

  def write(
    self, stage: str, step: int, values: Mapping[str, float], phase: str
  ) -> None: ...


class Curve:
  """Scores a network whenever it is called, with the number of steps done."""

  def __init__(
    self,
    stage: str,
    network: tf.keras.Model,
    test: feeds.Split,
    config: config_lib.Config,
    record: Record,
    update: Callable[[], None],
  ):
    """Makes a curve without scores.

    Args:
      stage: of the network.
      network: built; the moving average if the run keeps one.
      test: the split to score, with labels.
      config: of the run.
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
    """Writes the score that results.json would have if this were the last step.

    Args:
      step: number of steps done.
    """
    self.update()
    scores = evaluation.score(self._logits, self.test, self.config, "test")
    headline = self.config.task.headline
    values = {f"metric/test_{headline}": scores[headline]}
    self.record.write(self.stage, step, values, PHASE)

  @functools.cached_property
  def _logits(self) -> evaluation.Inference:
    # Compiled when first needed: a finished stage scores nothing.
    return evaluation.compile_inference(self.network, self.config.data)
