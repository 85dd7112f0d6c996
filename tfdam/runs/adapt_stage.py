"""Adversarial matching as a stage of a run (Sec. 4.2)."""

from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam.data import pairs
from tfdam.reporting import monitor as monitor_lib
from tfdam.runs import checkpoints as checkpoints_lib
from tfdam.runs import context as context_lib
from tfdam.runs import loading, target_guides
from tfdam.training import (
  activation_cache,
  adaptation,
  chosen_taps,
  distribution,
  loop,
  networks,
  per_target,
)
from tfdam.training import optimizers as optimizers_lib
from tfdam.vocabulary import Stage

# Not a config field, because the batch size changes the result by rounding.
_TAPS_BATCH_SIZE = 500


class Adapted(NamedTuple):
  """The result of the stage.

  Attributes:
    network: the target network, or its moving average.
    last_step: the target network after the last step, not averaged.
    num_steps: number of steps, warm-ups included.
    steps_per_s: speed of the whole loop; nan if nothing was left to do.
    monitor: the monitor of the stage, if it had one.
  """

  network: tf.keras.Model
  last_step: tf.keras.Model
  num_steps: int
  steps_per_s: float
  monitor: monitor_lib.Monitor | None


def adapt(
  context: context_lib.Context, source: tf.keras.Model, matched: tf.keras.Model | None
) -> Adapted:
  """Matches the target network's activations to the source's.

  Args:
    context: the run's.
    source: the trained source network; frozen from here on.
    matched: the network after Gaussian matching; None if that stage was skipped.
  """
  config, options = context.config, context.config.adapt
  distribution.announce(context.strategy, Stage.ADAPTED)
  networks = {"source": source, "matched": matched}
  parts = context.domains.target.parts
  if options.per_target and parts:
    networks["source"] = per_target.PerTarget.alike(source, parts.names)
  with context.strategy.scope():
    state = adaptation.set_up(
      config, source, networks[options.init], networks[options.drift_anchor],
      context.strategy.num_replicas_in_sync, context.label_prior(),
    )  # fmt: skip
  target, averaged = state.target, state.averaged
  if state.discriminators:
    _log_taps(config, state)
  if state.centroids:
    logging.info("adapted: centroids of each class on tap '%s'", state.centroids.tap)
  update = functools.partial(
    optimizers_lib.update_average, state.optimizers[0], target, averaged
  )
  checkpoints = context.checkpoints(
    Stage.ADAPTED,
    {
      **loading.trackables("model", averaged),
      "optimizer": state.optimizers[0],
      "discriminators": state.discriminators,
      "discriminator_optimizers": state.optimizers[1],
      **({} if averaged is target else loading.trackables("target", target)),
      **({"centroids": state.centroids} if state.centroids else {}),
    },
    update,
  )
  source_taps = _source_taps(context, source, checkpoints)
  guided = target_guides.prepare(context, source)
  monitor = context.monitor(Stage.ADAPTED, source, target)
  curve = context.curve(Stage.ADAPTED, averaged, update)
  looks = []
  if monitor:
    looks.append(loop.Look(config.loop.watch_every, monitor))
  if curve:
    looks.append(loop.Look(config.loop.score_every, curve))
  rate = loop.run(
    Stage.ADAPTED,
    state.phases,
    lambda start: pairs.domain_batches(
      context.domains.source, context.domains.target, config, start, source_taps,
      context.share, guided,
    ),
    context.strategy,
    checkpoints,
    context.records,
    config.loop,
    looks,
  )  # fmt: skip
  return Adapted(averaged, target, state.num_steps, rate, monitor)


def _source_taps(
  context: context_lib.Context,
  source: tf.keras.Model,
  checkpoints: checkpoints_lib.Checkpoints,
) -> dict[str, tf.Tensor] | None:
  """The frozen source's taps of every image, if all steps can use the same ones."""
  config, options = context.config, context.config.adapt
  images = context.domains.source
  needs_images = (
    options.augment
    or options.needs_source_labels
    or not options.has_discriminators
    or config.data.flip
    or networks.input_size(config.data) != (config.data.height, config.data.width)
  )
  num_shown = options.steps * options.global_batch_size
  begun = checkpoints.newest()
  is_over = begun and checkpoints_lib.is_finished(begun)
  if needs_images or is_over or num_shown < len(images) or not options.cache_taps_mb:
    return None
  return activation_cache.compute(
    source,
    pairs.ordered_batches(images, _TAPS_BATCH_SIZE, config.data),
    len(images),
    [*options.tap_weights, *([chosen_taps.LOGITS] if options.class_wise else [])],
    options.cache_taps_mb,
  )


def _log_taps(config: config_lib.Config, state: adaptation.AdaptationState) -> None:
  weights = config.adapt.tap_weights
  rows = [
    f"  {tap:10} {tuple(state.taps[tap].shape[1:])!s:16} {weights[tap]:8g}"
    f" {discriminator.count_params():12,}"
    for tap, discriminator in state.discriminators.items()
  ]
  header = f"  {'tap':10} {'shape':16} {'weight':>8} {'D parameters':>12}"
  logging.info("adapted: discriminators\n%s", "\n".join([header, *rows]))
