"""The objects that every stage of a run uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam.data import feeds, pairs
from tfdam.reporting import curve as curve_lib
from tfdam.reporting import monitor as monitor_lib
from tfdam.runs import records as records_lib
from tfdam.runs import run_folder, workers


class Domains(NamedTuple):
  """The data of a run.

  Attributes:
    source: the training split; with labels if the run reads them.
    target: the training split without labels. Adaptation sees no other target data.
    scored: {"test": labelled split, "transductive": labelled split}, None for one without
      labels; only `evaluation` uses these.
  """

  source: feeds.Split
  target: feeds.Split
  scored: Mapping[str, feeds.Split | None]


def _nothing() -> None:
  """Does nothing: for stages without objects to update before a save."""


class Context(NamedTuple):
  """A run's config, data, folder and devices.

  Attributes:
    config: a whole config.
    domains: the data.
    folder: the run folder.
    records: where metrics are written.
    strategy: distributes the steps.
    share: this worker's part of every global batch.
  """

  config: config_lib.Config
  domains: Domains
  folder: run_folder.RunFolder
  records: records_lib.Records
  strategy: tf.distribute.Strategy
  share: pairs.Share

  def checkpoints(
    self, stage: str, objects: Mapping[str, Any], prepare: Callable[[], None] = _nothing
  ) -> workers.Checkpoints:
    """The checkpoints of a stage; see runs/checkpoints.py."""
    keep = self.config.loop.keep_checkpoints
    return workers.Checkpoints(self.strategy, self.folder, stage, objects, keep, prepare)

  def label_prior(self) -> np.ndarray | None:
    """The source's label frequencies, float64 [classes]; None if it has no labels."""
    counts = self.domains.source.label_counts(self.config.data.num_classes)
    return None if counts is None or not counts.sum() else counts / counts.sum()

  def probe_images(self, domain: str) -> tf.data.Dataset:
    """Some images of a domain's training split, always the same, without labels.

    Args:
      domain: "source" or "target".
    """
    split, options = getattr(self.domains, domain), self.config.loop
    return pairs.probe_batches(
      split, options.watch_images, options.eval_batch_size, self.config
    )

  def monitor(
    self, stage: str, source: tf.keras.Model, network: tf.keras.Model
  ) -> monitor_lib.Monitor | None:
    """The monitor of a stage's network on both training splits, if the config has one."""
    options = self.config.loop
    if not options.watch_every:
      return None
    images = {domain: self.probe_images(domain) for domain in ("source", "target")}
    networks = {"source": source, "target": network}
    return monitor_lib.Monitor(
      stage, networks, images, self.label_prior(), self.records, options
    )

  def curve(
    self, stage: str, network: tf.keras.Model, update: Callable[[], None]
  ) -> curve_lib.Curve | None:
    """Scores a stage's network between steps; None if not configured or without labels.

    Args:
      stage: the stage's name.
      network: the network to score.
      update: called before each score, to update the network.
    """
    if not self.config.loop.score_every:
      return None
    test = self.domains.scored.get("test")
    if test is None:
      logging.warning(
        "loop.score_every is %d, but %s has no test labels: there is no curve.",
        *(self.config.loop.score_every, self.config.data.target),
      )
      return None
    return curve_lib.Curve(stage, network, test, self.config, self.records, update)
