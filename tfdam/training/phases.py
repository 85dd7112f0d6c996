"""The phases of adaptation: warm-ups, then all taps at once or one by one (Sec. 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import matching
from tfdam.matching import adversarial, drift
from tfdam.training import (
  adapt_step,
  centroid_term,
  class_terms,
  cross_entropy,
  curriculum_terms,
  joint_step,
  loop,
  per_target,
)


def of_adaptation(
  config: config_lib.Config,
  source: tf.keras.Model,
  target: tf.keras.Model,
  averaged: tf.keras.Model,
  discriminators: Mapping[str, tf.keras.Model],
  weight_pairs: drift.WeightPairs,
  optimizers: tuple[Any, Mapping[str, Any]],
  num_replicas: int,
  prior: np.ndarray | None,
  centroids: centroid_term.CentroidTerm | None = None,
) -> list[loop.Phase]:
  """The phases, in training order.

  Args:
    config: a whole config.
    source: the frozen source network.
    target: the network that is trained.
    averaged: takes the moving average of the target's weights, if one is kept.
    discriminators: {tap: discriminator}; empty if no taps are matched.
    weight_pairs: (anchor, target weight) pairs, for drift.
    optimizers: the result of `optimizers.for_adaptation`.
    num_replicas: replicas in sync.
    prior: float [classes], the source's label frequencies; None if it has no labels.
    centroids: the centroid term; None if it is not used.
  """
  options = config.adapt
  weights = options.tap_weights
  target_optimizer, discriminator_optimizers = optimizers
  if options.is_joint:
    joint = joint_step.JointStep(
      target, list(weights), weight_pairs, target_optimizer, options, num_replicas
    )
    return [loop.Phase(f"adapt {'+'.join(weights)}", joint, options.steps)]
  objective = matching.OBJECTIVES[options.objective]
  terms = _label_terms(
    options,
    source,
    target,
    averaged,
    target_optimizer,
    cross_entropy.of_task(config, prior),
  )
  terms += [centroids] if centroids else []
  terms += curriculum_terms.of_options(options)

  known = None if prior is None else tf.constant(prior, tf.float32)

  def phase(part: _Part) -> loop.Phase:
    matcher = adversarial.Matcher(objective, {tap: weights[tap] for tap in part.taps})
    playing_terms = [*terms] if part.moves_target else []
    if part.is_informed:
      playing_terms.append(class_terms.Information(options.information_weight, known))
    step = adapt_step.AdaptStep(
      source, target, discriminators, matcher, weight_pairs,
      target_optimizer if part.moves_target else None, discriminator_optimizers, options,
      num_replicas, playing_terms,
    )  # fmt: skip
    return loop.Phase(part.name, step, part.num_steps)

  return [phase(part) for part in _parts(options)]


class _Part(NamedTuple):
  """What one phase trains.

  Attributes:
    name: the name of the phase.
    taps: the taps that are matched.
    num_steps: number of steps.
    moves_target: whether the target is trained; a warm-up trains only discriminators.
    is_informed: whether the loss has the term of information maximisation.
  """

  name: str
  taps: Sequence[str]
  num_steps: int
  moves_target: bool = True
  is_informed: bool = False


def _parts(options: config_lib.Adapt) -> Iterator[_Part]:
  """Yields the parts of adaptation in order; discriminators warm up when they join."""
  taps = list(options.tap_weights) if options.has_discriminators else []
  joining = [[tap] for tap in taps] if options.schedule == "one_at_a_time" else [taps]
  after = options.information_after if options.information_weight else options.steps
  playing: list[str] = []
  start = 0
  for i, new in enumerate(joining):
    playing = playing + new
    if options.warmup_steps:
      name = f"warmup {'+'.join(new)}"
      yield _Part(name, new, options.warmup_steps, moves_target=False)
    # An even split of the steps. Information maximisation may start within a part.
    end = options.steps * (i + 1) // len(joining)
    name = f"adapt {'+'.join(playing)}".rstrip()
    uninformed = min(max(after - start, 0), end - start)
    if uninformed:
      yield _Part(name, playing, uninformed)
    if end - start > uninformed:
      informed = end - start - uninformed
      yield _Part(f"{name}, information", playing, informed, is_informed=True)
    start = end


def _label_terms(
  options: config_lib.Adapt,
  source: tf.keras.Model,
  target: tf.keras.Model,
  averaged: tf.keras.Model,
  optimizer: tf.keras.optimizers.Optimizer,
  loss: cross_entropy.CrossEntropy,
) -> list[class_terms.Term]:
  """The terms that use labels, in every phase in which the target network learns."""
  terms: list[class_terms.Term] = []
  if options.source_label_weight:
    learner = target
    if options.source_norms:
      learner = per_target.WithNorms(target, per_target.norms_of(source))
    terms.append(class_terms.SourceLabels(options.source_label_weight, learner, loss))
  if options.self_training_weight:
    terms.append(
      class_terms.SelfTraining(
        options.self_training_weight, options.self_training_confidence,
        target, averaged, optimizer, loss,
      )
    )  # fmt: skip
  return terms
