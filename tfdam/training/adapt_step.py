"""One update of discriminators and target network: Eq. (3) as a game (Sec. 4.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import adversarial, class_wise, drift
from tfdam.training import chosen_taps, class_terms, optimizers, replicas

_LOSSES = ("loss/target", "loss/alignment", "loss/drift", "loss/discriminator")
_PER_TAP = ("loss", "accuracy")


class _Game(NamedTuple):
  """The discriminators' outputs and losses in one step.

  Attributes:
    source_logits: {tap: the discriminator's logits of source activations}.
    target_logits: the same for target activations.
    labels: soft class labels; None unless discriminators are class-wise.
    losses: {tap: the discriminator's loss}.
    weighted: the losses times the taps' weights.
  """

  source_logits: dict[str, tf.Tensor]
  target_logits: dict[str, tf.Tensor]
  labels: adversarial.Labels | None
  losses: dict[str, tf.Tensor]
  weighted: dict[str, tf.Tensor]


class AdaptStep:
  """Adversarial matching of taps with weight drift, on one replica.

  Attributes:
    metric_names: names of the metrics that a call returns.
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
    terms: Sequence[class_terms.Term] = (),
  ):
    """Takes both networks, the discriminators of a phase, and the optimisers.

    Args:
      source: frozen; the target's taps are matched to its taps.
      target: starts as a copy of the source, or Gaussian-matched.
      discriminators: {tap: model}, at least those of `matcher.weights`; empty if the target
        minimises only `terms` and drift.
      matcher: the losses, over the taps that are matched in this phase.
      weight_pairs: (anchor, target weight) pairs, for drift.
      target_optimizer: None in a warm-up, in which only discriminators learn.
      discriminator_optimizers: {tap: optimizer}. Each discriminator has its own, so that
        one which joins late starts with fresh moments.
      options: weights of the losses and the settings of the step.
      num_replicas: replicas whose gradients are summed.
      terms: further terms of the target's loss in this phase.
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
    self.terms = terms
    self.is_gated = target_optimizer is not None and options.gate_accuracy > 0
    self.metric_names = (
      *_LOSSES,
      *(f"loss/{term.name}" for term in terms),
      *(("gate/open",) if self.is_gated else ()),
      *(f"discriminator/{tap}/{name}" for tap in matcher.weights for name in _PER_TAP),
    )

  def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Updates discriminators and target network once.

    Args:
      batch: this replica's {"target": float32 [B, H, W, C]} with either "source", images of
        the same shape, or "source_taps", the frozen source's activations of its images,
        {tap: float32 [B, ...]}; and what the terms need (see pairs.domain_batches).

    Returns:
      {name in metric_names: float32 []}.
    """
    source = self._of_source(batch)
    with tf.GradientTape() as target_tape:
      # A warm-up must not change the target's moving moments either.
      training = self.options.batch_norm == "train" and self.target_optimizer is not None
      output = self.target(batch["target"], training=training)
      # A second tape: on the first, gradients would be traced back to the images.
      with tf.GradientTape() as discriminator_tape:
        game = self._play(source, output)
        discriminator_share = self._share_of_discriminators(game)
      losses = self._losses_of_target(batch, source, output, game)
      target_share = losses["loss/target"] / self.num_replicas
      if self.target_optimizer is not None:
        target_share = optimizers.scaled(self.target_optimizer, target_share)
    # Both gradients first, then both updates: neither player sees the other's move.
    gradients = discriminator_tape.gradient(
      discriminator_share,
      {tap: d.trainable_variables for tap, d in self.discriminators.items()},
    )
    accuracies = self.matcher.accuracies(
      game.source_logits, game.target_logits, game.labels
    )
    if self.target_optimizer is not None:
      variables = self.target.trainable_variables
      # Without drift, weights above the last tap have no gradient: they do not change.
      target_gradients = target_tape.gradient(
        target_share, variables, unconnected_gradients="zero"
      )
      losses.update(self._move_target(target_gradients, variables, accuracies))
    self._move_discriminators(gradients)
    losses["loss/discriminator"] = _sum(list(game.weighted.values()))
    for tap in self.discriminators:
      losses[f"discriminator/{tap}/loss"] = game.losses[tap]
      losses[f"discriminator/{tap}/accuracy"] = accuracies[tap]
    return losses

  def _play(self, source: Mapping[str, Any], output: Mapping[str, Any]) -> _Game:
    """Runs the discriminators on both networks' taps, and computes their losses.

    One pass of each discriminator serves both its own loss and the target's.

    Args:
      source: the frozen source's output (see `_of_source`).
      output: the target network's.
    """
    source_taps = self._played(source)
    source_logits = {
      tap: d(self._judged(tap, source_taps[tap]), training=True)
      for tap, d in self.discriminators.items()
    }
    target_taps = self._played(output)
    target_logits = {
      tap: d(self._judged(tap, target_taps[tap]), training=True)
      for tap, d in self.discriminators.items()
    }
    labels = None
    if self.options.class_wise:
      labels = adversarial.Labels(
        self._labels(source["logits"], source_taps, source_logits),
        self._labels(output["logits"], target_taps, target_logits),
      )
    losses = self.matcher.discriminator_losses(source_logits, target_logits, labels)
    weighted = self.matcher.weighted(losses)
    return _Game(source_logits, target_logits, labels, losses, weighted)

  def _share_of_discriminators(self, game: _Game) -> tf.Tensor:
    """This replica's share of all discriminators' losses, as one scalar.

    Replicas sum their gradients, and dividing outside the tape would yield None. Each
    optimiser scales its loss by its own factor. Each loss depends on one discriminator
    only, so the gradients of the sum are those of every loss.
    """
    return _sum([
      optimizers.scaled(self.discriminator_optimizers[tap], loss / self.num_replicas)
      for tap, loss in game.weighted.items()
    ])  # fmt: skip

  def _losses_of_target(
    self,
    batch: Mapping[str, tf.Tensor],
    source: Mapping[str, Any],
    output: Mapping[str, Any],
    game: _Game,
  ) -> dict[str, tf.Tensor]:
    """Returns {"loss/target": the target's whole loss}, with each of its parts."""
    options = self.options
    alignment = self.matcher.alignment_loss(game.target_logits, game.labels)
    weight_drift = drift.squared_distance(self.weight_pairs, options.drift_reduction)
    target = options.gan_weight * alignment + options.drift_weight * weight_drift
    losses = {"loss/alignment": alignment, "loss/drift": weight_drift}
    for term in self.terms:
      value = term({**batch, "source_taps": source["taps"]}, output)
      target += term.weight * value
      losses[f"loss/{term.name}"] = value
    return {"loss/target": target, **losses}

  def _move_target(
    self,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    accuracies: Mapping[str, tf.Tensor],
  ) -> dict[str, tf.Tensor]:
    """Updates the target network unless a gate is closed; returns the gate's metric."""
    gradients = optimizers.unscaled(self.target_optimizer, gradients)
    if not self.is_gated:
      self.target_optimizer.apply_gradients(zip(gradients, variables))
      return {}
    # While the discriminators are near chance, their gradients to the target are noise.
    accuracy = replicas.mean(tf.add_n(list(accuracies.values())) / len(accuracies))
    is_open = accuracy > self.options.gate_accuracy
    optimizers.apply_if(self.target_optimizer, is_open, zip(gradients, variables))
    return {"gate/open": tf.cast(is_open, tf.float32)}

  def _move_discriminators(self, gradients: Mapping[str, Sequence[tf.Tensor]]) -> None:
    for tap, d in self.discriminators.items():
      optimizer = self.discriminator_optimizers[tap]
      unscaled = optimizers.unscaled(optimizer, gradients[tap])
      optimizer.apply_gradients(zip(unscaled, d.trainable_variables))

  def _of_source(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """Taps of the frozen source network, computed or cached; logits if classes count."""
    kept = batch.get("source_taps")
    if kept is not None:
      return {"taps": kept, "logits": kept.get(chosen_taps.LOGITS)}
    # Without discriminators nothing needs the source's taps: skip the pass.
    if not self.discriminators:
      return {"taps": {}}
    return self.source(batch["source"], training=False)

  def _played(self, output: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """The taps that have a discriminator."""
    return chosen_taps.of_output(output, self.discriminators)

  def _labels(
    self,
    logits: tf.Tensor,
    taps: Mapping[str, tf.Tensor],
    judged: Mapping[str, tf.Tensor],
  ) -> dict[str, tf.Tensor]:
    """Soft class labels of each tap's activations, from the network's own predictions.

    Args:
      logits: the network's, float32 [B, ..., classes].
      taps: {tap: the network's activations}.
      judged: {tap: its discriminator's logits}.
    """
    options = self.options
    soft = class_wise.soft_labels(
      logits, options.class_temperature, options.class_confidence
    )
    labels = {tap: self._judged(tap, class_wise.at_size(soft, taps[tap])) for tap in judged}
    # A patch discriminator has fewer outputs than its tap has locations.
    return {tap: class_wise.at_size(found, judged[tap]) for tap, found in labels.items()}

  def _judged(self, tap: str, maps: tf.Tensor) -> tf.Tensor:
    """The part of a tap that its discriminator sees: all of it, or a grid of locations."""
    limit = self.options.discriminator_locations
    if not limit or maps.shape.rank != 4:
      return maps
    # The optimiser's count is in the checkpoint, so a resumed run has the same grids.
    step = self.discriminator_optimizers[tap].iterations
    return thinned(maps, limit, tf.cast(step, tf.int32))


def _sum(values: Sequence[tf.Tensor]) -> tf.Tensor:
  """The sum of scalars; unlike `tf.add_n`, of an empty list too."""
  return tf.add_n(list(values)) if values else tf.constant(0.0)


def thinned(maps: tf.Tensor, limit: int, step: tf.Tensor) -> tf.Tensor:
  """At most `limit` locations of each map, on an even grid that moves with the step.

  Args:
    maps: float [B, H, W, channels], with static H and W.
    limit: 1 or more.
    step: int32 [].

  Returns:
    float [B, H', W', channels], H' * W' <= limit. Over the steps, every location occurs.
  """
  height, width = maps.shape[1:3]
  stride = max(1, math.ceil(math.sqrt(height * width / limit)))
  while (height // min(stride, height)) * (width // min(stride, width)) > limit:
    stride += 1
  if stride == 1:
    return maps
  rows, columns = height // min(stride, height), width // min(stride, width)
  # Possible offsets of the grid: more of them where the stride does not divide a side.
  num_tops, num_lefts = height - (rows - 1) * stride, width - (columns - 1) * stride
  offset = step % (num_tops * num_lefts)
  grid = maps[:, offset // num_lefts :: stride, offset % num_lefts :: stride]
  return grid[:, :rows, :columns]
