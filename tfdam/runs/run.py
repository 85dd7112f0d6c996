"""A run: trains on the source, matches moments, matches distributions, and scores each.

Every stage writes its network to checkpoints/<stage>/. If a run is started again, it
resumes from the newest whole checkpoint.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import files, runtime, stack
from tfdam.data import feeds, pairs, unions
from tfdam.matching import closed_form
from tfdam.reporting import evaluation, label_free
from tfdam.reporting import monitor as monitor_lib
from tfdam.runs import (
  adapt_stage,
  initial_checkpoint,
  loading,
  network_file,
  pictures,
  preflight,
  records,
  report_facts,
  run_folder,
  run_report,
  workers,
)
from tfdam.runs import checkpoints as checkpoints_lib
from tfdam.runs import context as context_lib
from tfdam.runs import source_cache as source_cache_lib
from tfdam.training import cross_entropy, distribution, loop, networks, per_target
from tfdam.training import optimizers as optimizers_lib
from tfdam.training import source_step as source_step_lib
from tfdam.vocabulary import Stage

_EVALUATION = "evaluation"


class Run:
  """A run in its folder: `prepare` checks and builds, `execute` trains and scores."""

  def __init__(
    self,
    config: config_lib.Config,
    domains: context_lib.Domains,
    folder: run_folder.RunFolder,
    strategy: tf.distribute.Strategy,
  ):
    if domains.target.has_labels:
      raise ValueError("The target's training split must come without labels.")
    self.domains = domains
    self.folder = folder
    self.records = records.Records(folder)
    self.strategy = strategy
    self._use(network_file.find(config, folder) if config.model.is_file else config)
    self.rates: dict[str, float] = {}
    self.monitor: monitor_lib.Monitor | None = None

  def _use(self, config: config_lib.Config) -> None:
    """Continues with a config in which more fields are resolved."""
    self.config = config
    self.context = context_lib.Context(
      config, self.domains, self.folder, self.records, self.strategy,
      distribution.share(self.strategy),
    )  # fmt: skip

  def prepare(self) -> None:
    """Builds the source network, and checks the config against it.

    Raises:
      config.UserError: the network is for another task, or batch sizes, taps, sites or the
        initial checkpoint do not fit.
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
      preflight.check_shares(config, self.domains.target.parts, replicas)
    # Once a run has its own source checkpoint, initial weights are not needed.
    begun = self.context.checkpoints(Stage.SOURCE_ONLY, {}).newest()
    first = dataclasses.replace(config.model, weights="" if begun else config.model.weights)
    with self.strategy.scope():
      self.source = networks.build_network(
        dataclasses.replace(config, model=first), "source"
      )
    preflight.check_task(config, self.source)
    self._use(networks.settle_taps(config, self.source))
    if config.adapt.steps:
      preflight.check_matcher(self.config, self.source)
    if config.match.enabled:
      closed_form.choose_sites(self.source, config.match, config.model.name)
    for name in ("per_target", "source_norms"):
      if getattr(config.adapt, name):
        preflight.check_norms(self.config, self.source, self.domains.target.parts, name)
    if config.source.init_checkpoint and not begun:
      place = initial_checkpoint.find(runtime.resolve_path(config.source.init_checkpoint))
      checkpoints_lib.restore_model(self.source, place, config.model.name)

  def execute(self) -> dict[str, Any]:
    """Runs every stage of the config; returns the content of results.json.

    Raises:
      config.UserError: a file is damaged, or a loss becomes infinite or nan.
    """
    with (
      feeds.failures_explained(),
      self._loss_of_room_explained(),
      _missing_kernels_explained(),
    ):
      return self._execute()

  @contextlib.contextmanager
  def _loss_of_room_explained(self) -> Iterator[None]:
    """If the disk is full or files cannot be written, says what was saved so far."""
    try:
      yield
    except (OSError, tf.errors.OpError) as error:
      problem = files.problem(error)
      if problem is None:
        raise
      saved = workers.saved(self.folder.shared_path)
      raise config_lib.UserError(
        f"{problem} {saved}: start the same command again to continue."
      ) from error

  def _execute(self) -> dict[str, Any]:
    self._log_start()
    if self.config.model.is_file:
      self._use(network_file.keep(self.config, self.folder))
    network = self._train_source()
    self._score(Stage.SOURCE_ONLY, network, self.config.source.steps)
    networks: dict[str, Any] = {Stage.SOURCE_ONLY: network}
    matched = None
    if self.config.match.enabled:
      matched = networks[Stage.GAUSSIAN] = self._match_gaussian()
      self._score(Stage.GAUSSIAN, matched, 0)
    if self.config.adapt.steps:
      adapted = adapt_stage.adapt(self.context, self.source, matched)
      self.rates["adapt_steps_per_s"] = adapted.steps_per_s
      self.monitor = adapted.monitor
      networks[Stage.ADAPTED] = adapted.network
      self._score(Stage.ADAPTED, adapted.network, adapted.num_steps)
      if adapted.last_step is not adapted.network:
        # Scored for comparison with the moving average, which is what gets deployed.
        self._score_last_step(adapted.last_step)
    if self.config.model.is_file and (len(networks) > 1 or self.config.source.steps):
      last = list(networks)[-1]
      network_file.save(networks[last], self.config, self.folder)
      logging.info("The saved network is that of the last stage, %s.", last)
    columns = pictures.draw(self.context, networks)
    if self.config.loop.report:
      report_facts.complete(self.context, networks, columns)
      if distribution.is_chief(self.strategy):
        run_report.write(self.folder)
    return self.results()

  def results(self) -> dict[str, Any]:
    """The content of results.json so far."""
    config = self.config
    return self.folder.read_json("results.json") or {
      "task": config.task,
      "name": config.name,
      "method": config.method,
      "recipe": config.recipe,
      "seed": config.seed,
      "source": config.data.source,
      "target": config.data.target,
      "classes": class_names(config, self.domains.source, *self.domains.scored.values()),
      "stages": {},
      "alarms": [],
    }

  def _train_source(self) -> tf.keras.Model:
    options = self.config.source
    distribution.announce(self.strategy, Stage.SOURCE_ONLY)
    with self.strategy.scope():
      optimizer = optimizers_lib.for_source(options, self.source)
    prior = self.context.label_prior()
    if prior is None and self.config.needs_source_labels:
      raise config_lib.UserError(
        f"No label map of {self.config.data.source} that was looked at has a pixel of"
        f" data.classes ({self.config.data.classes}).",
        "Set data.classes or data.source.",
      )
    step = source_step_lib.SourceStep(
      self.source,
      optimizer,
      options,
      self.strategy.num_replicas_in_sync,
      cross_entropy.of_task(self.config, prior),
    )
    key = source_cache_lib.key(
      self.config,
      self.domains.source.digests,
      len(self.domains.source),
      devices(self.strategy),
    )
    # Only the chief uses the cache; the other workers read the checkpoint that it takes.
    cache = (
      source_cache_lib.folder(options) if distribution.is_chief(self.strategy) else None
    )
    with source_cache_lib.shared(cache, key, self.folder.checkpoints(Stage.SOURCE_ONLY)):
      self.rates["source_steps_per_s"] = loop.run(
        Stage.SOURCE_ONLY,
        [loop.Phase("source", step, options.steps)],
        lambda start: pairs.labelled_batches(
          self.domains.source,
          self.config,
          start,
          self.context.share,
          self.source.num_noise if self.config.model.dropout else 0,
        ),
        self.strategy,
        self.context.checkpoints(
          Stage.SOURCE_ONLY, {"model": self.source, "optimizer": optimizer}
        ),
        self.records,
        self.config.loop,
      )
    return self.source

  def _match_gaussian(self) -> tf.keras.Model:
    """A copy of the source network with its sites matched for the target (Sec. 4.1)."""
    config = self.config
    distribution.announce(self.strategy, Stage.GAUSSIAN)
    with self.strategy.scope():
      matched = networks.build_network(config, "matched", Stage.GAUSSIAN)
      if config.adapt.per_target:
        assert self.domains.target.parts is not None  # `prepare` has checked it.
        matched = per_target.PerTarget(matched, self.domains.target.parts.names)
    checkpoints = self.context.checkpoints(
      Stage.GAUSSIAN, loading.trackables("model", matched)
    )
    if checkpoints.restore() is not None:
      return matched
    start = self.source
    if config.adapt.per_target:
      start = per_target.PerTarget.alike(start, matched.names)
    matched.set_weights(start.get_weights())
    self.records.forget_after(Stage.GAUSSIAN, -1)  # Records of a killed session.

    def images(examples: feeds.Split) -> Any:
      chosen = pairs.subset(examples, config.match.max_images, config.seed)
      return pairs.ordered_batches(chosen, config.match.batch_size, config.data)

    monitor = self.context.monitor(Stage.GAUSSIAN, self.source, matched)
    if monitor:
      monitor.write_histograms(0)  # Before matching: still a copy of the source network.
    logging.info("gaussian: matching the sites' moments.")
    if config.adapt.per_target:
      records = self._match_each(matched, images)
    else:
      records = closed_form.match(
        self.source,
        matched,
        images(self.domains.source),
        images(self.domains.target),
        self._match_options(matched),
      )
    # Every worker computes this, since reading a network may need them all. Machines of
    # different kinds round differently, but replicas must start from the same bits.
    chiefs = [distribution.from_chief(self.strategy, w) for w in matched.get_weights()]
    matched.set_weights(chiefs)
    if monitor:
      monitor.write_histograms(1)
    self.folder.write_json("gaussian.json", {"sites": records})
    checkpoints.save(0, {"stage": Stage.GAUSSIAN, "total": 0, **self.folder.elapsed()})
    return matched

  def _match_options(self, network: Any) -> config_lib.Match:
    """Section match, whose sites are batch norms alone if domains have their own.

    Other sites then stay as in the source network: domains share them, and a correction
    for one would not fit the next. The norms after them correct most of the difference.
    """
    config = self.config
    if not (config.adapt.per_target or config.adapt.source_norms):
      return config.match
    sites = ",".join(preflight.sites_of_norms(config, network))
    return dataclasses.replace(config.match, sites=sites)

  def _match_each(
    self, matched: per_target.PerTarget, images: Callable[[feeds.Split], Any]
  ) -> list[dict[str, Any]]:
    """Matches each target's norms on its own images; returns the records of all."""
    network = matched.network
    options = self._match_options(network)
    found: dict[str, list[dict[str, Any]]] = {}
    # The first target comes last: its norms are the network's own, which each one uses.
    for name in reversed(matched.names):
      network.set_weights(self.source.get_weights())
      found[name] = closed_form.match(
        self.source,
        network,
        images(self.domains.source),
        images(unions.part(self.domains.target, name)),
        options,
      )
      matched.adopt(name, per_target.norms_of(network))
    return [{**record, "target": name} for name in matched.names for record in found[name]]

  def _score(self, stage: str, network: tf.keras.Model, step: int) -> None:
    """Scores a stage's network and writes results.json."""
    results = self.results()
    if distribution.agree(self.strategy, stage not in results["stages"]):
      matrices: dict[str, Any] = {}
      scored = self.domains.scored
      scores = evaluation.score_splits(network, scored, self.config, matrices)
      results["stages"][stage] = scores
      report_facts.keep_confusion(self.folder, stage, matrices)
      monitor = None if scores else self.context.monitor(stage, self.source, network)
      if monitor:
        results.setdefault("unlabelled", {})[stage] = monitor.summary()
    self._score_without_labels(stage, network, results)
    # Empty on workers other than the chief if an earlier session scored this stage.
    scores = results["stages"].get(stage, {})
    headline = self.config.task.headline
    every = {split: of.get(headline) for split, of in scores.items()}
    found = {split: value for split, value in every.items() if value is not None}
    if found and not self.records.has(stage, _EVALUATION):
      values = {f"metric/{split}_{headline}": value for split, value in found.items()}
      self.records.write(stage, step, values, _EVALUATION)
      shown = ", ".join(f"{split} {100 * value:.2f} %" for split, value in found.items())
      logging.info("%s: %s %s.", stage, headline, shown)
    timing = results.get("timing", {"source_steps_per_s": None, "adapt_steps_per_s": None})
    timing.update({name: rate for name, rate in self.rates.items() if not math.isnan(rate)})
    timing["seconds"] = self.folder.elapsed()["run_seconds"]
    results["timing"] = timing
    if stage == Stage.SOURCE_ONLY:
      self._warn_of_skew(results)
    if self.monitor:
      results["alarms"] = [a for a in results["alarms"] if a["step"] == 0]
      results["alarms"] += self.monitor.alarms()
      results["tap_channels"] = self.monitor.channels
    self.folder.write_json("results.json", results)

  def _score_without_labels(
    self, stage: str, network: tf.keras.Model, results: dict[str, Any]
  ) -> None:
    """Adds label-free measures of the predictions on target images; they decide nothing."""
    every = results.setdefault("label_free", {})
    if not distribution.agree(self.strategy, stage not in every):
      return
    shares = self._source_shares
    images, num_classes = self.context.probe_images("target"), len(shares)
    found = label_free.predict(network, images, num_classes)
    every[stage] = {**found.scores(shares), "label_shares": found.shares().tolist()}
    if stage == Stage.ADAPTED:
      last = self.records.last_values(stage)
      every[stage]["discriminator_accuracy"] = label_free.discriminator_accuracy(last)
    results["source_label_shares"] = shares.tolist()

  def _warn_of_skew(self, results: dict[str, Any]) -> None:
    """Warns before matching if predicted labels are far from the source's frequencies."""
    config, alarms = self.config, results["alarms"]
    if not (config.match.enabled or config.adapt.steps):
      return
    alarm = label_free.skew_alarm(
      results["label_free"].get(Stage.SOURCE_ONLY, {}),
      results.get("source_label_shares", []),
      results["classes"],
      config.loop.alarm_marginal,
    )
    if alarm and alarm not in alarms:
      logging.warning("%s %s", files.shown(alarm["what"]), label_free.SKEW_ADVICE)
    # A resumed run may have another bound.
    results["alarms"] = [alarm] if alarm else []
    results["alarms"] += [a for a in alarms if a["step"] > 0]

  @functools.cached_property
  def _source_shares(self) -> np.ndarray:
    """The source's label frequencies; without labels, those that its network predicts."""
    prior = self.context.label_prior()
    if prior is not None:
      return prior
    images, num_classes = self.context.probe_images("source"), self.config.data.num_classes
    return label_free.predict(self.source, images, num_classes).shares()

  def _score_last_step(self, network: tf.keras.Model) -> None:
    results = self.results()
    if distribution.agree(self.strategy, "last_step" not in results):
      scored = self.domains.scored
      results["last_step"] = evaluation.score_splits(network, scored, self.config)
      self.folder.write_json("results.json", results)

  def _log_start(self) -> None:
    config, replicas = self.config, self.strategy.num_replicas_in_sync
    source_batch, adapt_batch = (
      config.source.global_batch_size,
      config.adapt.global_batch_size,
    )
    logging.info(
      "TensorFlow %s (stack %s), %d replica(s) on %s; global batch (per replica): source %d"
      " (%d), adaptation %d (%d).",
      tf.__version__, stack.installed(), replicas, ", ".join(devices(self.strategy)),
      source_batch, source_batch // replicas, adapt_batch, adapt_batch // replicas,
    )  # fmt: skip
    logging.info(
      "%s: %d images, %s: %d images without labels; run folder %s.",
      config.data.source, len(self.domains.source),
      config.data.target, len(self.domains.target), self.folder.path,
    )  # fmt: skip
    logging.info("Config:\n%s", config_lib.to_json(config))


@contextlib.contextmanager
def _missing_kernels_explained() -> Iterator[None]:
  """Explains the error for an operation without a deterministic kernel on a GPU.

  The networks of tfdam have no such operation; users' own may.
  """
  try:
    yield
  except tf.errors.UnimplementedError as error:
    if "deterministic" not in str(error).lower():
      raise
    raise config_lib.UserError(
      "An operation of the network cannot compute the same bits twice on this device"
      f" ({error.message.splitlines()[0]}).",
      "Set runtime.deterministic=False. A resumed run then gives the same result only up"
      " to rounding.",
    ) from error


def class_names(config: config_lib.Config, *splits: feeds.Split | None) -> list[str]:
  """Names of the classes in the order of labels, from the first split with labels."""
  for split in splits:
    if split is not None and split.has_labels and split.class_names:
      return list(split.class_names)
  if config.data.classes:
    return list(config_lib.parse_classes(config.data.classes))
  return [str(i) for i in range(config.data.num_classes)]


def devices(strategy: tf.distribute.Strategy) -> list[str]:
  """Names of the devices that compute, such as "GPU:0"; with workers "worker:1/GPU:0"."""
  team = distribution.cluster(strategy)
  if team or isinstance(strategy, tf.distribute.MirroredStrategy):
    names = strategy.extended.worker_devices
  else:
    logical = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [logical[0].name]
  local = [name.rpartition("device:")[2] for name in names]
  # All workers have the same number of devices.
  return [f"{task}/{name}" for task in team.tasks for name in local] if team else local
