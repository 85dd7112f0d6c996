"""General activation matching: one discriminator per tap, class-wise or not (Sec. 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfdam.matching import class_wise, objectives

Logits = Mapping[str, tf.Tensor]


class Labels(NamedTuple):
  """The classes of the activations at each tap.

  Attributes:
    source: {tap: soft labels}, as class_wise.at_size returns them.
    target: the same for the target's activations.
  """

  source: Mapping[str, tf.Tensor]
  target: Mapping[str, tf.Tensor]


class Matcher:
  """The losses of the discriminators and of the target network over a set of taps.

  Attributes:
    weights: {tap: weight of its losses}, used in both losses (Sec. 5: 0.1 for the
      penultimate layer).
  """

  def __init__(self, objective: type[objectives.Objective], weights: Mapping[str, float]):
    """Takes an objective and the taps to match.

    Args:
      objective: one of the classes in tfdam.matching.OBJECTIVES.
      weights: {tap: weight}.
    """
    self.objective = objective
    self.weights = dict(weights)

  def alignment_loss(
    self, target_logits: Logits, labels: Labels | None = None
  ) -> tf.Tensor:
    """The target network's loss: the GAN's bound on the sum of JSD_i in Eq. (3).

    Args:
      target_logits: {tap: discriminator logits of target activations, [B, ..., outputs]}.
      labels: the activations' classes; None if discriminators only tell domains apart.

    Returns:
      float32 [], the weighted sum over taps.
    """

    def of_tap(tap: str) -> tf.Tensor:
      if labels is None:
        return self.objective.alignment(target_logits[tap])
      return class_wise.alignment(target_logits[tap], labels.target[tap])

    losses = [weight * of_tap(tap) for tap, weight in self.weights.items()]
    return tf.add_n(losses) if losses else tf.constant(0.0)

  def discriminator_losses(
    self, source: Logits, target: Logits, labels: Labels | None = None
  ) -> dict[str, tf.Tensor]:
    """Each discriminator's loss, unweighted.

    Args:
      source: {tap: discriminator logits of source activations, [B, ..., outputs]}.
      target: the same for target activations.
      labels: as for `alignment_loss`.

    Returns:
      {tap: float32 []}.
    """

    def of_tap(tap: str) -> tf.Tensor:
      if labels is None:
        return self.objective.discriminator(source[tap], target[tap])
      return class_wise.discriminator(
        source[tap], target[tap], labels.source[tap], labels.target[tap]
      )

    return {tap: of_tap(tap) for tap in self.weights}

  def weighted(self, losses: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Multiplies each tap's loss by its weight; the discriminators minimise the sum."""
    return {tap: weight * losses[tap] for tap, weight in self.weights.items()}

  def accuracies(
    self, source: Logits, target: Logits, labels: Labels | None = None
  ) -> dict[str, tf.Tensor]:
    """Each discriminator's accuracy: 0.5 when the distributions match.

    Args:
      source: {tap: discriminator logits of source activations, [B, ..., outputs]}.
      target: the same for target activations.
      labels: as for `alignment_loss`. With labels too, only the domain is scored.

    Returns:
      {tap: float32 [], from 0 to 1}.
    """
    looks_source = class_wise.looks_source if labels else self.objective.looks_source
    right = {}
    for tap in self.weights:
      on_source = tf.cast(looks_source(source[tap]), tf.float32)
      on_target = tf.cast(looks_source(target[tap]), tf.float32)
      right[tap] = 0.5 * (tf.reduce_mean(on_source) + 1.0 - tf.reduce_mean(on_target))
    return right
