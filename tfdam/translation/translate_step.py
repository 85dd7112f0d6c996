"""One update of both generators and both discriminators (CycleGAN)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.training import optimizers as optimizers_lib
from tfdam.translation import generator as generator_lib
from tfdam.translation import image_pool, losses, patch_discriminator

_LOSSES = ("loss/generators", "loss/deception", "loss/cycle")
_DOMAINS = ("source", "target")
# Takes images, float32 [B, H, W, C] in [0, 1], and returns logits.
Labeller = Callable[[tf.Tensor], tf.Tensor]


class Players(NamedTuple):
  """All networks that learn, with their pools and optimisers.

  Attributes:
    generators: {domain into which it translates: model}.
    discriminators: {domain whose images it recognises: model}.
    pools: {domain: earlier translated images for its discriminator}.
    optimizers: {"generators": ..., "discriminators": ...}.
  """

  generators: Mapping[str, tf.keras.Model]
  discriminators: Mapping[str, tf.keras.Model]
  pools: Mapping[str, image_pool.ImagePool]
  optimizers: Mapping[str, tf.keras.optimizers.Optimizer]


def make_players(
  options: config_lib.Translation, size: tuple[int, int], channels: int, seed: int
) -> Players:
  """Builds generators and discriminators with all their variables.

  Args:
    options: sizes of the networks and the pools, and rates of the optimisers.
    size: height and width of the images.
    channels: channels of the images.
    seed: determines the initial weights and the exchanges of the pools.
  """
  batch_shape = (options.global_batch_size, *size, channels)
  generators, discriminators, pools = {}, {}, {}
  for domain in _DOMAINS:
    generators[domain] = generator_lib.Generator(options, channels, seed, f"to_{domain}")
    discriminators[domain] = patch_discriminator.PatchDiscriminator(
      options, seed, f"is_{domain}"
    )
    for model in (generators[domain], discriminators[domain]):
      model(tf.zeros([1, *size, channels]))
    pools[domain] = image_pool.ImagePool(
      options.pool_size,
      batch_shape,
      config_lib.derive_seed(seed, f"pool {domain}"),
      f"pool_{domain}",
    )
  optimizers = {
    "generators": optimizers_lib.for_translation(options, list(generators.values())),
    "discriminators": optimizers_lib.for_translation(
      options, list(discriminators.values())
    ),
  }
  return Players(generators, discriminators, pools, optimizers)


class TranslateStep:
  """CycleGAN's update: adversarial and cycle losses, on one replica.

  Attributes:
    metric_names: names of the metrics that a call returns.
  """

  def __init__(
    self,
    players: Players,
    options: config_lib.Translation,
    num_replicas: int,
    labeller: Labeller | None = None,
  ):
    """Takes the networks and the weights of the losses.

    Args:
      players: the networks, pools and optimisers.
      options: weights of the losses.
      num_replicas: replicas whose gradients are summed.
      labeller: a frozen network whose predictions translation should preserve; None for no
        semantic loss.
    """
    self.players = players
    self.options = options
    self.num_replicas = num_replicas
    self.labeller = labeller
    self.metric_names = (
      *_LOSSES,
      *(("loss/identity",) if options.identity_weight else ()),
      *(("loss/semantic",) if labeller else ()),
      *(f"loss/discriminator_{domain}" for domain in _DOMAINS),
    )

  def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Updates all four networks once.

    Args:
      batch: this replica's {"source": float32 [B, H, W, C], "target": the same}, in [0, 1].

    Returns:
      {name in metric_names: float32 []}.
    """
    generators, discriminators, pools, optimizers = self.players
    real = {domain: signed(batch[domain]) for domain in _DOMAINS}
    step = tf.cast(optimizers["discriminators"].iterations, tf.int32)
    with tf.GradientTape() as tape:
      # Translations into each domain, and back into the original one.
      made = {d: generators[d](real[_other(d)]) for d in _DOMAINS}
      back = {d: generators[d](made[_other(d)]) for d in _DOMAINS}
      terms = self._generators_terms(real, made, back)
      loss = tf.add_n([weight * value for weight, value in terms.values()])
      scaled = optimizers_lib.scaled(optimizers["generators"], loss / self.num_replicas)
    shown = {d: pools[d](tf.stop_gradient(made[d]), step) for d in _DOMAINS}
    with tf.GradientTape() as discriminator_tape:
      found = {
        d: losses.discrimination(discriminators[d](real[d]), discriminators[d](shown[d]))
        for d in _DOMAINS
      }
      of_both = tf.add_n(list(found.values())) / self.num_replicas
      discriminator_scaled = optimizers_lib.scaled(optimizers["discriminators"], of_both)
    # Both gradients first, then both updates: neither side sees the other's update.
    moves = (
      ("generators", generators, tape, scaled),
      ("discriminators", discriminators, discriminator_tape, discriminator_scaled),
    )
    updates = [
      (optimizers[side], self._gradients(optimizers[side], models, on_tape, of_loss))
      for side, models, on_tape, of_loss in moves
    ]
    for optimizer, gradients in updates:
      optimizer.apply_gradients(gradients)
    metrics = {f"loss/{name}": value for name, (_, value) in terms.items()}
    metrics.update({f"loss/discriminator_{d}": value for d, value in found.items()})
    return {"loss/generators": loss, **metrics}

  def _generators_terms(
    self,
    real: Mapping[str, tf.Tensor],
    made: Mapping[str, tf.Tensor],
    back: Mapping[str, tf.Tensor],
  ) -> dict[str, tuple[float, tf.Tensor]]:
    """Returns {term: (its weight, its value summed over both directions)}."""
    generators, discriminators = self.players.generators, self.players.discriminators
    options = self.options

    def both(term: Callable[[str], tf.Tensor]) -> tf.Tensor:
      return tf.add_n([term(domain) for domain in _DOMAINS])

    terms = {
      "deception": (1.0, both(lambda d: losses.deception(discriminators[d](made[d])))),
      "cycle": (options.cycle_weight, both(lambda d: losses.distance(real[d], back[d]))),
    }
    if options.identity_weight:
      kept = both(lambda d: losses.distance(real[d], generators[d](real[d])))
      terms["identity"] = (options.identity_weight * options.cycle_weight, kept)
    labeller = self.labeller
    if labeller:
      seen = {d: labeller(unsigned(real[_other(d)])) for d in _DOMAINS}
      changed = both(lambda d: losses.disagreement(seen[d], labeller(unsigned(made[d]))))
      terms["semantic"] = (options.semantic_weight, changed)
    return terms

  def _gradients(
    self,
    optimizer: tf.keras.optimizers.Optimizer,
    models: Mapping[str, tf.keras.Model],
    tape: tf.GradientTape,
    loss: tf.Tensor,
  ) -> list[tuple[tf.Tensor, Any]]:
    variables = [v for model in models.values() for v in model.trainable_variables]
    gradients = optimizers_lib.unscaled(optimizer, tape.gradient(loss, variables))
    return list(zip(gradients, variables))


def _other(domain: str) -> str:
  return _DOMAINS[domain == _DOMAINS[0]]


def signed(images: tf.Tensor) -> tf.Tensor:
  """Converts images from [0, 1] to [-1, 1], as generators and discriminators need them."""
  return 2.0 * images - 1.0


def unsigned(images: tf.Tensor) -> tf.Tensor:
  """Converts images from [-1, 1] to [0, 1]."""
  return 0.5 * (images + 1.0)
