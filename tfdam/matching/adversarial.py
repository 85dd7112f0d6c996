"""General activation matching: one discriminator a tap (Sec. 4.2), for classes or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfdam.matching import class_wise, objectives

Logits = Mapping[str, tf.Tensor]


class Labels(NamedTuple):
  """What the activations at each tap are of: {tap: soft labels}, as class_wise has them."""

  source: Mapping[str, tf.Tensor]
  target: Mapping[str, tf.Tensor]


class Matcher:
  """The two players' losses over a set of taps.

  Attributes:
    weights: {tap: weight of its losses}, for both players (Sec. 5: 0.1 on the penultimate).
  """

  def __init__(self, objective: type[objectives.Objective], weights: Mapping[str, float]):
    """Takes an objective, and the taps that it plays on.

    Args:
      objective: one of tfdam.matching.OBJECTIVES.
      weights: {tap: weight}.
    """
    self.objective = objective
    self.weights = dict(weights)

  def alignment_loss(
    self, target_logits: Logits, labels: Labels | None = None
  ) -> tf.Tensor:
    """What the target network minimises: the GAN's bound on the sum of JSD_i in Eq. (3).

    Args:
      labels: None: discriminators tell domains alone.
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
    """Each discriminator's loss, float32 [], without its weight.

    Args:
      labels: as for `alignment_loss`.
    """

    def of_tap(tap: str) -> tf.Tensor:
      if labels is None:
        return self.objective.discriminator(source[tap], target[tap])
      return class_wise.discriminator(
        source[tap], target[tap], labels.source[tap], labels.target[tap]
      )

    return {tap: of_tap(tap) for tap in self.weights}

  def weighted(self, losses: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Each loss with its weight: what the discriminators minimise is their sum."""
    return {tap: weight * losses[tap] for tap, weight in self.weights.items()}

  def accuracies(
    self, source: Logits, target: Logits, labels: Labels | None = None
  ) -> dict[str, tf.Tensor]:
    """Each discriminator's share of right verdicts: 0.5 when the distributions match.

    Args:
      labels: as for `alignment_loss`; of domain and class the domain alone counts.
    """
    looks_source = class_wise.looks_source if labels else self.objective.looks_source
    right = {}
    for tap in self.weights:
      on_source = tf.cast(looks_source(source[tap]), tf.float32)
      on_target = tf.cast(looks_source(target[tap]), tf.float32)
      right[tap] = 0.5 * (tf.reduce_mean(on_source) + 1.0 - tf.reduce_mean(on_target))
    return right
