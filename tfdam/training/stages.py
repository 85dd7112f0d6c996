"""The story of a run: train on the source, match moments, match distributions; score each.

Every stage leaves its network in checkpoints/<stage>/; a run that is started again goes on
where the newest whole checkpoint stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import runtime
from tfdam.data import examples as examples_lib
from tfdam.data import pairs
from tfdam.matching import drift
from tfdam.training import checkpoints as checkpoints_lib
from tfdam.training import evaluation, gaussian_stage, loop, players, records, run_folder
from tfdam.training import source_step as source_step_lib

STAGES = ("source_only", "gaussian", "adapted")
_EVALUATION = "evaluation"


class Domains(NamedTuple):
  """The data of a run.

  Attributes:
    source: labelled training split.
    target: training split without labels: adaptation is given nothing else of the target.
    scored: {"test": labelled, "transductive": labelled}, None where there are no labels;
      only `evaluation` sees these.
  """

  source: examples_lib.Examples
  target: examples_lib.Examples
  scored: Mapping[str, examples_lib.Examples | None]


class Run:
  """One run in its folder: `prepare` raises what is wrong, `execute` does the work."""

  def __init__(
    self,
    config: config_lib.Config,
    domains: Domains,
    folder: run_folder.RunFolder,
    strategy: tf.distribute.Strategy,
  ):
    if domains.target.labels is not None:
      raise ValueError("The target's training split must come without labels.")
    self.config = config
    self.domains = domains
    self.folder = folder
    self.records = records.Records(folder)
    self.strategy = strategy
    self.rates: dict[str, float] = {}

  def prepare(self) -> None:
    """Builds the source network and checks what only TensorFlow can.

    Raises:
      config.UserError: batch sizes, taps, sites, or the initial checkpoint do not fit.
    """
    config = self.config
    replicas = self.strategy.num_replicas_in_sync
    if config.source.steps:
      runtime.check_batch(
        "source.global_batch_size", config.source.global_batch_size, replicas
      )
    if config.adapt.steps:
      runtime.check_batch(
        "adapt.global_batch_size", config.adapt.global_batch_size, replicas
      )
    with self.strategy.scope():
      self.source = players.network(config, "source")
    if config.adapt.steps:
      players.tap_weights(config, self.source)
    gaussian_stage.choose_sites(self.source, config.match)
    # A run that has its own source checkpoint no longer needs the other run.
    begun = checkpoints_lib.newest(self.folder.checkpoints("source_only"))
    if config.source.init_checkpoint and not begun:
      place = players.initial_checkpoint(
        runtime.resolve_path(config.source.init_checkpoint)
      )
      checkpoints_lib.restore_model(self.source, place)

  def execute(self) -> dict[str, Any]:
    """Runs every stage that the config asks for; returns what results.json holds."""
    self._log_start()
    network = self._train_source()
    self._score("source_only", network, self.config.source.steps)
    matched = None
    if self.config.match.enabled:
      matched = self._match_gaussian()
      self._score("gaussian", matched, 0)
    if self.config.adapt.steps:
      adapted, num_steps = self._adapt(matched)
      self._score("adapted", adapted, num_steps)
    return self.results()

  def results(self) -> dict[str, Any]:
    """What results.json holds so far."""
    config = self.config
    return self.folder.read_json("results.json") or {
      "task": "classification",
      "name": config.name,
      "method": config.method,
      "recipe": config.recipe,
      "seed": config.seed,
      "source": config.data.source,
      "target": config.data.target,
      "classes": class_names(self.domains.source, config),
      "stages": {},
    }

  def _train_source(self) -> tf.keras.Model:
    options = self.config.source
    with self.strategy.scope():
      optimizer = players.source_optimizer(options, self.source)
    step = source_step_lib.SourceStep(
      self.source, optimizer, options, self.strategy.num_replicas_in_sync
    )
    self.rates["source_steps_per_s"] = loop.run(
      "source_only",
      [loop.Phase("source", step, options.steps)],
      lambda start: pairs.labelled_batches(self.domains.source, self.config, start),
      self.strategy,
      self._checkpoints("source_only", model=self.source, optimizer=optimizer),
      self.records,
      self.config.loop,
    )
    return self.source

  def _match_gaussian(self) -> tf.keras.Model:
    """A copy of the source network, its sites matched to the target (Sec. 4.1)."""
    config, options = self.config, self.config.match
    with self.strategy.scope():
      matched = players.network(config, "matched")
    checkpoints = self._checkpoints("gaussian", model=matched)
    if checkpoints.restore() is not None:
      return matched
    matched.set_weights(self.source.get_weights())

    def images(examples):
      chosen = pairs.subset(examples, options.max_images, config.seed)
      return pairs.ordered_batches(chosen, options.batch_size, config.data)

    logging.info("gaussian: matching the sites' moments.")
    records = gaussian_stage.match(
      self.source,
      matched,
      images(self.domains.source),
      images(self.domains.target),
      options,
    )
    self.folder.write_json("gaussian.json", {"sites": records})
    checkpoints.save(0, {"stage": "gaussian", "total": 0, **self.folder.elapsed()})
    return matched

  def _adapt(self, matched: tf.keras.Model | None) -> tuple[tf.keras.Model, int]:
    """Adversarial matching (Sec. 4.2): the network, and its steps, warm-ups among them."""
    config, options = self.config, self.config.adapt
    networks = {"source": self.source, "matched": matched}
    with self.strategy.scope():
      target = players.network(config, "target")
      target.set_weights(networks[options.init].get_weights())
      side = config.data.image_size
      taps = target(tf.zeros([1, side, side, config.data.channels]))["taps"]
      discriminators = players.discriminators(config, taps)
      optimizers = players.adapt_optimizers(options, target, discriminators)
    anchor = networks[options.drift_anchor]
    # Pair before freezing: a frozen network has no trainable variables.
    weight_pairs = drift.pair_weights(
      anchor.trainable_variables, target.trainable_variables
    )
    self.source.trainable = False
    self._log_taps(taps, discriminators)
    phases = players.adapt_phases(
      config, self.source, target, discriminators, weight_pairs, optimizers,
      self.strategy.num_replicas_in_sync,
    )  # fmt: skip
    self.rates["adapt_steps_per_s"] = loop.run(
      "adapted",
      phases,
      lambda start: pairs.domain_batches(
        self.domains.source, self.domains.target, config, start
      ),
      self.strategy,
      self._checkpoints(
        "adapted",
        model=target,
        optimizer=optimizers[0],
        discriminators=discriminators,
        discriminator_optimizers=optimizers[1],
      ),
      self.records,
      config.loop,
    )
    return target, sum(phase.num_steps for phase in phases)

  def _checkpoints(self, stage: str, **objects) -> checkpoints_lib.Checkpoints:
    keep = self.config.loop.keep_checkpoints
    return checkpoints_lib.Checkpoints(self.folder.checkpoints(stage), objects, keep)

  def _score(self, stage: str, network: tf.keras.Model, step: int) -> None:
    """Scores a stage's network and writes results.json."""
    results = self.results()
    if stage not in results["stages"]:
      scores = evaluation.score_splits(network, self.domains.scored, self.config)
      results["stages"][stage] = scores
    scores = results["stages"][stage]
    values = {f"metric/{split}_accuracy": s["accuracy"] for split, s in scores.items()}
    if values and not self.records.has(stage, _EVALUATION):
      self.records.write(stage, step, values, _EVALUATION)
      shown = ", ".join(
        f"{split} {100 * s['accuracy']:.2f} %" for split, s in scores.items()
      )
      logging.info("%s: accuracy %s.", stage, shown)
    timing = results.get("timing", {"source_steps_per_s": None, "adapt_steps_per_s": None})
    timing.update({name: rate for name, rate in self.rates.items() if not math.isnan(rate)})
    timing["seconds"] = self.folder.elapsed()["run_seconds"]
    results["timing"] = timing
    self.folder.write_json("results.json", results)

  def _log_start(self) -> None:
    config, replicas = self.config, self.strategy.num_replicas_in_sync
    source_batch, adapt_batch = (
      config.source.global_batch_size,
      config.adapt.global_batch_size,
    )
    logging.info(
      "TensorFlow %s, %d replica(s) on %s; global batch (per replica): source %d (%d),"
      " adaptation %d (%d).",
      tf.__version__, replicas, ", ".join(devices(self.strategy)),
      source_batch, source_batch // replicas, adapt_batch, adapt_batch // replicas,
    )  # fmt: skip
    logging.info(
      "%s: %d images, %s: %d images without labels; run folder %s.",
      config.data.source, len(self.domains.source),
      config.data.target, len(self.domains.target), self.folder.path,
    )  # fmt: skip
    logging.info("Config:\n%s", config_lib.to_json(config))

  def _log_taps(
    self, taps: Mapping[str, tf.Tensor], discriminators: players.Models
  ) -> None:
    weights = config_lib.parse_taps(self.config.adapt.taps)
    rows = [
      f"  {tap:10} {tuple(taps[tap].shape[1:])!s:16} {weights[tap]:8g}"
      f" {discriminators[tap].count_params():12,}"
      for tap in discriminators
    ]
    header = f"  {'tap':10} {'shape':16} {'weight':>8} {'D parameters':>12}"
    logging.info("adapted: discriminators\n%s", "\n".join([header, *rows]))


def class_names(examples: examples_lib.Examples, config: config_lib.Config) -> list[str]:
  """The classes' names, in the order of their labels."""
  return list(examples.class_names) or [str(i) for i in range(config.data.num_classes)]


def devices(strategy: tf.distribute.Strategy) -> list[str]:
  """Names of the devices that compute, such as "GPU:0"."""
  if isinstance(strategy, tf.distribute.MirroredStrategy):
    names = strategy.extended.worker_devices
  else:
    logical = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [logical[0].name]
  return [name.rpartition("device:")[2] for name in names]
