"""One update of discriminators and target network: Eq. (3) as a game (Sec. 4.2)."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import adversarial, drift

_LOSSES = ("loss/target", "loss/alignment", "loss/drift", "loss/discriminator")
_PER_TAP = ("loss", "accuracy")


class AdaptStep:
  """Adversarial matching of taps with weight drift, one replica.

  Attributes:
    metric_names: names of what a call returns.
  """

  def __init__(
    self,
    source: tf.keras.Model,
    target: tf.keras.Model,
    discriminators: Mapping[str, tf.keras.Model],
    matcher: adversarial.Matcher,
    weight_pairs: drift.WeightPairs,
    target_optimizer: tf.keras.optimizers.Optimizer,
    discriminator_optimizers: Mapping[str, tf.keras.optimizers.Optimizer],
    options: config_lib.Adapt,
    num_replicas: int,
  ):
    """Args:
    source: frozen; its taps are what the target's are matched to.
    target: starts as a copy of the source or Gaussian-matched.
    discriminators: {tap: model}, at least those of `matcher.weights`.
    matcher: the losses, over the taps that play in this phase.
    weight_pairs: (anchor, target weight), for drift.
    target_optimizer: None in a warm-up, in which only discriminators learn.
    discriminator_optimizers: {tap: optimizer}: each discriminator is a player of its own,
      so that one which joins late starts with fresh moments.
    """
    self.source = source
    self.target = target
    self.discriminators = {tap: discriminators[tap] for tap in matcher.weights}
    self.matcher = matcher
    self.weight_pairs = weight_pairs
    self.target_optimizer = target_optimizer
    self.discriminator_optimizers = discriminator_optimizers
    self.options = options
    self.num_replicas = num_replicas
    self.metric_names = (
      *_LOSSES,
      *(f"discriminator/{tap}/{name}" for tap in matcher.weights for name in _PER_TAP),
    )

  def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Updates discriminators and target network once.

    Args:
      batch: {"source": float32 [B, H, W, C], "target": float32 [B, H, W, C]}, this
        replica's.

    Returns:
      {name in metric_names: float32 []}.
    """
    discriminators, options = self.discriminators, self.options
    source_taps = self.source(batch["source"], training=False)["taps"]
    with tf.GradientTape(persistent=True) as tape:
      target_taps = self.target(batch["target"], training=True)["taps"]
      # One pass of each discriminator serves both players.
      source_logits = {
        tap: d(source_taps[tap], training=True) for tap, d in discriminators.items()
      }
      target_logits = {
        tap: d(target_taps[tap], training=True) for tap, d in discriminators.items()
      }
      losses = self.matcher.discriminator_losses(source_logits, target_logits)
      discriminator = self.matcher.discriminator_loss(losses)
      alignment = self.matcher.alignment_loss(target_logits)
      weight_drift = drift.squared_distance(self.weight_pairs, options.drift_reduction)
      target = options.gan_weight * alignment + options.drift_weight * weight_drift
      # Replicas sum their gradients; dividing outside the tape would yield None.
      discriminator_share = discriminator / self.num_replicas
      target_share = target / self.num_replicas
    # Both gradients first, then both updates: neither player sees the other's move.
    gradients = {
      tap: tape.gradient(discriminator_share, d.trainable_variables)
      for tap, d in discriminators.items()
    }
    if self.target_optimizer is not None:
      variables = self.target.trainable_variables
      # Weights above the last tap have no gradient without drift: they stay.
      target_gradients = tape.gradient(
        target_share, variables, unconnected_gradients="zero"
      )
      self.target_optimizer.apply_gradients(zip(target_gradients, variables))
    for tap, d in discriminators.items():
      self.discriminator_optimizers[tap].apply_gradients(
        zip(gradients[tap], d.trainable_variables)
      )
    accuracies = self.matcher.accuracies(source_logits, target_logits)
    metrics = dict(zip(_LOSSES, (target, alignment, weight_drift, discriminator)))
    for tap in discriminators:
      metrics[f"discriminator/{tap}/loss"] = losses[tap]
      metrics[f"discriminator/{tap}/accuracy"] = accuracies[tap]
    return metrics
