"""Adversarial matching as a stage: builds the players, and plays (Sec. 4.2)."""

from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam.data import pairs
from tfdam.training import checkpoints as checkpoints_lib
from tfdam.training import context as context_lib
from tfdam.training import game as game_lib
from tfdam.training import loop, players, workers
from tfdam.training import source_taps as source_taps_lib
from tfdam.training import watch as watch_lib

# Part of the result, to rounding: no field.
_TAPS_BATCH_SIZE = 500


class Adapted(NamedTuple):
  """What the stage leaves.

  Attributes:
    network: the target network, or its moving average.
    last_step: the target network itself.
    num_steps: warm-ups among them.
    steps_per_s: of the whole loop; nan if nothing was left to do.
    watch: what looked on, if anything did.
  """

  network: tf.keras.Model
  last_step: tf.keras.Model
  num_steps: int
  steps_per_s: float
  watch: watch_lib.Watch | None


def adapt(
  context: context_lib.Context, source: tf.keras.Model, matched: tf.keras.Model | None
) -> Adapted:
  """Matches the target network's activations to the source's.

  Args:
    source: trained; frozen from here on.
    matched: after Gaussian matching; None if that stage was left out.
  """
  config, options = context.config, context.config.adapt
  workers.announce(context.strategy, "adapted")
  networks = {"source": source, "matched": matched}
  with context.strategy.scope():
    game = game_lib.set_up(
      config, source, networks[options.init], networks[options.drift_anchor],
      context.strategy.num_replicas_in_sync, context.label_prior(),
    )  # fmt: skip
  target, averaged = game.target, game.averaged
  if game.discriminators:
    _log_taps(config, game)
  checkpoints = context.checkpoints(
    "adapted",
    {
      "model": averaged,
      "optimizer": game.optimizers[0],
      "discriminators": game.discriminators,
      "discriminator_optimizers": game.optimizers[1],
      **({} if averaged is target else {"target": target}),
    },
    functools.partial(players.update_average, game.optimizers[0], target, averaged),
  )
  source_taps = _source_taps(context, source, checkpoints)
  watch = context.watch("adapted", source, target)
  rate = loop.run(
    "adapted",
    game.phases,
    lambda start: pairs.domain_batches(
      context.domains.source, context.domains.target, config, start, source_taps,
      context.share,
    ),
    context.strategy,
    checkpoints,
    context.records,
    config.loop,
    watch,
  )  # fmt: skip
  return Adapted(averaged, target, game.num_steps, rate, watch)


def _source_taps(
  context: context_lib.Context,
  source: tf.keras.Model,
  checkpoints: checkpoints_lib.Checkpoints,
) -> dict[str, tf.Tensor] | None:
  """The frozen source's taps of every image, where steps may share them."""
  config, options = context.config, context.config.adapt
  images = context.domains.source
  needs_images = (
    options.augment
    or options.needs_source_labels
    or config.data.flip
    or players.input_size(config.data) != (config.data.height, config.data.width)
  )
  num_shown = options.steps * options.global_batch_size
  begun = checkpoints.newest()
  is_over = begun and checkpoints_lib.is_finished(begun)
  if needs_images or is_over or num_shown < len(images) or not options.cache_taps_mb:
    return None
  return source_taps_lib.compute(
    source,
    pairs.ordered_batches(images, _TAPS_BATCH_SIZE, config.data),
    len(images),
    list(config_lib.parse_taps(options.taps)),
    options.cache_taps_mb,
  )


def _log_taps(config: config_lib.Config, game: game_lib.Game) -> None:
  weights = config_lib.parse_taps(config.adapt.taps)
  rows = [
    f"  {tap:10} {tuple(game.taps[tap].shape[1:])!s:16} {weights[tap]:8g}"
    f" {discriminator.count_params():12,}"
    for tap, discriminator in game.discriminators.items()
  ]
  header = f"  {'tap':10} {'shape':16} {'weight':>8} {'D parameters':>12}"
  logging.info("adapted: discriminators\n%s", "\n".join([header, *rows]))
