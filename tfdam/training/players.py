"""Builds what plays: networks, discriminators, optimisers, and the phases of adaptation."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import matching, models, runtime
from tfdam import network as network_lib
from tfdam.data import scenes
from tfdam.matching import adversarial, drift
from tfdam.models import conv_norm
from tfdam.training import (
  adapt_step,
  checkpoints,
  class_terms,
  cross_entropy,
  joint_step,
  loop,
  own_network,
  run_folder,
)
from tfdam.training import optimizers as optimizers_lib

Models = Mapping[str, tf.keras.Model]


def network(config: config_lib.Config, name: str, stage: str = "source_only") -> Any:
  """Builds the config's network with all its variables; the same weights at every call.

  That of a file is read; see own_network.py.

  Args:
    name: its role; "source" alone starts from `model.weights`, if that is set.
    stage: which one it belongs to: after "source_only", `match.image_moments` counts.

  Raises:
    config.UserError: no such network, one that cannot take images of this size, or one
      without the batch norms that `match.image_moments` is about.
  """
  if config.model.is_file:
    model = own_network.build(config, name)
    _try(model, config)
    return model
  if config.model.name not in models.MODELS:
    every = (*models.MODELS, config_lib.KERAS)
    raise config_lib.UserError(
      f"'{config.model.name}' is no network ({', '.join(every)})."
      f"{config_lib.nearest(config.model.name, every)} Set --config.model.name."
    )
  kind = models.MODELS[config.model.name]
  options = _model_options(config.model, kind)
  if "weights" in options:  # the others take the source network's
    options["weights"] = weights_path(config.model) if name == "source" else ""
  model = kind(config.data.num_classes, config.seed, name=name, **options)
  share = config.match.image_moments
  num_norms = conv_norm.normalise_by_image(model, share if stage != "source_only" else 0.0)
  if share and not num_norms:
    raise config_lib.UserError(
      f"match.image_moments is {share}, but {config.model.name} has no batch norms of maps."
      " Set --config.match.image_moments=0, or --config.model.name to a network that has"
      " some (lenet_bn; erfnet or drn26 of scenes)."
    )
  _try(model, config)
  return model


def _try(model: Any, config: config_lib.Config) -> None:
  """Has a network label a black image, which builds it; raises config.UserError."""
  data = config.data
  height, width = input_size(data)
  try:
    model(tf.zeros([1, height, width, data.channels]))
  except (ValueError, tf.errors.InvalidArgumentError) as error:
    raise config_lib.UserError(
      f"{config.model.name} cannot take images of {height}x{width}x{data.channels}"
      f" ({_reason(error)}). Set --config.data.height and --config.data.width"
      " (or the crop's)."
    ) from error


def _reason(error: Exception) -> str:
  """Why a network's call failed, without where, which Keras says first."""
  first, *others = [part.strip() for part in str(error).split("\n\n")]
  if others and first.startswith("Exception encountered"):
    first = others[0]
  return first.splitlines()[0]


def weights_path(options: config_lib.Model) -> str:
  """`model.weights`, absolute if it is a file."""
  weights = options.weights
  return runtime.resolve_path(weights) if weights not in ("", "imagenet") else weights


def input_size(options: config_lib.Data) -> tuple[int, int]:
  """Height and width of what networks are trained on: crops, where there are any."""
  return options.crop_height or options.height, options.crop_width or options.width


def _model_options(options: config_lib.Model, kind: Any) -> dict[str, Any]:
  """The fields that this network has a use for.

  Raises:
    config.UserError: one that it has no use for is set.
  """
  chosen = {}
  for field in dataclasses.fields(options):
    value = getattr(options, field.name)
    if field.name in kind.OPTIONS:
      chosen[field.name] = value
    elif field.name != "name" and value != field.default:
      raise config_lib.UserError(
        f"model.{field.name} is {value!r}, but {options.name} has no use for it (it has"
        f" {', '.join(kind.OPTIONS) or 'no options'}). Set"
        f" --config.model.{field.name}={field.default} or another --config.model.name."
      )
  return chosen


def with_taps(config: config_lib.Config, model: Any) -> config_lib.Config:
  """The config with names for the taps that "auto" stands for.

  Raises:
    config.UserError: the network does not have one of `adapt.taps`.
  """
  if not config.adapt.steps:
    return config
  if config.adapt.taps == config_lib.AUTO:
    taps = network_lib.spread(model.TAPS, config_lib.NUM_AUTO)
    adapt = dataclasses.replace(config.adapt, taps=",".join(taps))
    return dataclasses.replace(config, adapt=adapt)
  for tap in config_lib.parse_taps(config.adapt.taps):
    if tap not in model.TAPS:
      raise config_lib.UserError(
        f"Tap '{tap}' is not in {config.model.name} ({', '.join(model.TAPS)})."
        f"{config_lib.nearest(tap, model.TAPS)} Set --config.adapt.taps."
      )
  return config


def discriminators(config: config_lib.Config, taps: Mapping[str, tf.Tensor]) -> Models:
  """One built discriminator for each of adapt.taps.

  Args:
    taps: activations to learn the shapes from.
  """
  options = config.adapt
  if options.is_joint:
    return {}
  num_outputs = matching.OBJECTIVES[options.objective].NUM_OUTPUTS
  wrap = _spectral_norm() if options.spectral_norm else None
  built = {}
  for tap in config_lib.parse_taps(options.taps):
    built[tap] = models.DISCRIMINATORS[options.discriminator](
      options.discriminator_units,
      num_outputs,
      options.discriminator_slope,
      config.seed,
      wrap,
      name=f"discriminator_{tap}",
    )
    try:
      built[tap](tf.zeros_like(taps[tap]))
    except ValueError as error:
      raise config_lib.UserError(
        f"adapt.discriminator is '{options.discriminator}', which cannot judge tap '{tap}'"
        f" of shape {tuple(taps[tap].shape[1:])} ({_reason(error)}). Set"
        " --config.adapt.discriminator=per_location or --config.adapt.taps."
      ) from error
  return built


def _spectral_norm():
  # Late: importing addons takes a second that only this option needs.
  from tfdam import addons

  return addons.spectral_norm


def source_optimizer(options: config_lib.Source, model: tf.keras.Model):
  """Adam with its slots built for the model's variables."""
  rate = options.learning_rate
  if options.decay_power:
    rate = tf.keras.optimizers.schedules.PolynomialDecay(
      rate, options.steps, end_learning_rate=0.0, power=options.decay_power
    )
  return _built(_adam(rate, options), model)


def class_weights(
  options: config_lib.Source, prior: np.ndarray | None
) -> list[float] | None:
  """The weight of each class in source training; None: all the same.

  ENet (Paszke et al. 2016, Sec. 5.2): 1 / ln(offset + share).

  Args:
    prior: the share of each class among the source's labels.
  """
  if not options.class_weight_offset or prior is None:
    return None
  return [1.0 / math.log(options.class_weight_offset + share) for share in prior]


def label_loss(
  config: config_lib.Config, prior: np.ndarray | None
) -> cross_entropy.CrossEntropy:
  """The cross-entropy of the config's task.

  Args:
    prior: the share of each class among the source's labels.
  """
  if not config.data.classes:
    return cross_entropy.CrossEntropy()
  return cross_entropy.CrossEntropy(class_weights(config.source, prior), scenes.IGNORED)


def adapt_optimizers(options: config_lib.Adapt, target: tf.keras.Model, players: Models):
  """Returns (the target's optimiser, {tap: its discriminator's optimiser}), slots built."""

  def make(learning_rate, **average):
    if options.optimizer == "sgd":
      momentum = options.momentum
      return tf.keras.optimizers.SGD(learning_rate, momentum, jit_compile=False, **average)
    return _adam(learning_rate, options, **average)

  for_players = {
    tap: _built(make(options.discriminator_learning_rate), d) for tap, d in players.items()
  }
  average = {"use_ema": options.ema_momentum > 0, "ema_momentum": options.ema_momentum}
  return _built(make(options.target_learning_rate, **average), target), for_players


def _adam(learning_rate, options: config_lib.Source | config_lib.Adapt, **average):
  # XLA around an optimiser breaks with several replicas.
  return optimizers_lib.FusedAdam(
    learning_rate, options.beta_1, options.beta_2, options.epsilon, jit_compile=False,
    **average,
  )  # fmt: skip


def _built(optimizer, model: tf.keras.Model):
  optimizer = optimizers_lib.for_policy(optimizer)
  # Slots must exist before a checkpoint is read, and before tf.function traces.
  optimizer.build(model.trainable_variables)
  return optimizer


def adapt_phases(
  config: config_lib.Config,
  source: tf.keras.Model,
  target: tf.keras.Model,
  averaged: tf.keras.Model,
  players: Models,
  weight_pairs: drift.WeightPairs,
  optimizers,
  num_replicas: int,
  prior: np.ndarray | None,
) -> list[loop.Phase]:
  """The phases of adaptation: warm-ups, and taps together or one more at a time (Sec. 5).

  Args:
    averaged: takes the moving average of the target's weights, where one is kept.
    optimizers: what `adapt_optimizers` returned.
    prior: float [classes], the source's label frequencies; None where it has no labels.
  """
  options = config.adapt
  weights = config_lib.parse_taps(options.taps)
  target_optimizer, player_optimizers = optimizers
  if options.is_joint:
    joint = joint_step.JointStep(
      target, list(weights), weight_pairs, target_optimizer, options, num_replicas
    )
    return [loop.Phase(f"adapt {'+'.join(weights)}", joint, options.steps)]
  objective = matching.OBJECTIVES[options.objective]
  terms = _label_terms(
    options, target, averaged, target_optimizer, label_loss(config, prior)
  )

  def phase(name, taps, num_steps, moves_target=True, informed=False) -> loop.Phase:
    matcher = adversarial.Matcher(objective, {tap: weights[tap] for tap in taps})
    playing_terms = [*terms] if moves_target else []
    if informed:
      known = tf.constant(prior, tf.float32)
      playing_terms.append(class_terms.Information(options.information_weight, known))
    step = adapt_step.AdaptStep(
      source, target, players, matcher, weight_pairs,
      target_optimizer if moves_target else None, player_optimizers, options, num_replicas,
      playing_terms,
    )  # fmt: skip
    return loop.Phase(name, step, num_steps)

  taps = list(weights)
  joining = [[tap] for tap in taps] if options.schedule == "one_at_a_time" else [taps]
  after = options.information_after if options.information_weight else options.steps
  phases: list[loop.Phase] = []
  playing: list[str] = []
  start = 0
  for i, new in enumerate(joining):
    playing = playing + new
    if options.warmup_steps:
      phases.append(
        phase(f"warmup {'+'.join(new)}", new, options.warmup_steps, moves_target=False)
      )
    # Shares of the steps, the remainder spread; information sets in within one of them.
    end = options.steps * (i + 1) // len(joining)
    name = f"adapt {'+'.join(playing)}"
    uninformed = min(max(after - start, 0), end - start)
    if uninformed:
      phases.append(phase(name, playing, uninformed))
    if end - start > uninformed:
      informed_steps = end - start - uninformed
      phases.append(phase(f"{name}, information", playing, informed_steps, informed=True))
    start = end
  return phases


def _label_terms(
  options: config_lib.Adapt,
  target: tf.keras.Model,
  averaged: tf.keras.Model,
  optimizer: tf.keras.optimizers.Optimizer,
  loss: cross_entropy.CrossEntropy,
) -> list[class_terms.Term]:
  """What the target network learns from labels in every phase in which it moves."""
  terms: list[class_terms.Term] = []
  if options.source_label_weight:
    terms.append(class_terms.SourceLabels(options.source_label_weight, target, loss))
  if options.self_training_weight:
    terms.append(
      class_terms.SelfTraining(
        options.self_training_weight, options.self_training_confidence,
        target, averaged, optimizer, loss,
      )
    )  # fmt: skip
  return terms


def update_average(optimizer, target: tf.keras.Model, averaged: tf.keras.Model) -> None:
  """Puts the optimiser's moving averages into `averaged`, and what is not averaged.

  Without an average both are one network, and nothing happens.
  """
  if averaged is target:
    return
  averages = optimizers_lib.averages(optimizer)
  for into, average in zip(averaged.trainable_variables, averages):
    into.assign(average)
  for into, value in zip(averaged.non_trainable_variables, target.non_trainable_variables):
    into.assign(value)


def initial_checkpoint(path: str) -> str:
  """The checkpoint folder that source.init_checkpoint names: a run's source stage, or it.

  Args:
    path: absolute.

  Raises:
    config.UserError: neither, damaged, or of a source stage that is not finished.
  """
  run_folder.refuse_pattern(path, "--config.source.init_checkpoint")
  is_checkpoint = os.path.lexists(os.path.join(path, "checkpoint.json"))
  stage_folder = os.path.join(path, "checkpoints", "source_only")
  place = path if is_checkpoint else checkpoints.newest(stage_folder)
  if place is None:
    raise config_lib.UserError(
      f"source.init_checkpoint is {path}, which is neither a run folder with a source stage"
      " nor a checkpoint folder. Set --config.source.init_checkpoint."
    )
  damage = checkpoints.find_damage(place)
  if damage:
    raise config_lib.UserError(
      f"source.init_checkpoint {place} is not whole: {damage}. Set"
      " --config.source.init_checkpoint to another one."
    )
  if not is_checkpoint and not checkpoints.is_finished(place):
    raise config_lib.UserError(
      f"The source stage of {path} stands at {checkpoints.progress(place)}: let"
      " that run end, or set --config.source.init_checkpoint to one of its checkpoint"
      " folders."
    )
  return place
