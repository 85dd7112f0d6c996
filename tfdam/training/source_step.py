"""One update of the source network on labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.training import optimizers, replicas


class SourceStep:
  """Cross-entropy and L2 on the kernels, one replica.

  Attributes:
    metric_names: names of what a call returns.
  """

  metric_names = ("loss/cross_entropy", "loss/l2", "metric/train_accuracy")

  def __init__(
    self,
    model: tf.keras.Model,
    optimizer: tf.keras.optimizers.Optimizer,
    options: config_lib.Source,
    num_replicas: int,
    class_weights: Sequence[float] | None = None,
    ignored: int | None = None,
  ):
    """Args:
    class_weights: of each class in the loss; None: all the same.
    ignored: the label of pixels that do not count.
    """
    self.model = model
    self.optimizer = optimizer
    self.l2_weight = options.l2
    self.num_replicas = num_replicas
    self.class_weights = class_weights
    self.ignored = ignored
    # Biases and normalisation parameters are vectors; only kernels decay.
    self.kernels = [v for v in model.trainable_variables if len(v.shape) > 1]

  def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Updates the model once.

    Args:
      batch: {"image": float32 [B, H, W, C], "label": integers [B] or [B, H, W]}, this
        replica's; and "noise", float32 [B, ...], where the network drops channels.

    Returns:
      {name in metric_names: float32 []}.
    """
    variables = self.model.trainable_variables
    labels, counted = self._counted(batch["label"])
    with tf.GradientTape() as tape:
      chance = {"noise": batch["noise"]} if "noise" in batch else {}
      logits = self.model(batch["image"], training=True, **chance)["logits"]
      cross_entropy = _mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits),
        self._weighted(labels, counted),
      )
      l2 = tf.add_n([tf.nn.l2_loss(kernel) for kernel in self.kernels])
      # Replicas sum their gradients; dividing outside the tape would yield None.
      loss = (cross_entropy + self.l2_weight * l2) / self.num_replicas
      loss = optimizers.scaled(self.optimizer, loss)
    gradients = optimizers.unscaled(self.optimizer, tape.gradient(loss, variables))
    self.optimizer.apply_gradients(zip(gradients, variables))
    right = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
    accuracy = _mean(tf.cast(right, tf.float32), counted)
    values = (cross_entropy, self.l2_weight * l2, accuracy)
    return dict(zip(self.metric_names, values))

  def _counted(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Labels that all name a class, and 1 or 0 for each: whether it counts."""
    if self.ignored is None:
      return labels, None
    counted = tf.not_equal(labels, self.ignored)
    labels = tf.cast(tf.where(counted, labels, tf.zeros_like(labels)), tf.int32)
    return labels, tf.cast(counted, tf.float32)

  def _weighted(self, labels: tf.Tensor, counted: tf.Tensor | None) -> tf.Tensor | None:
    """How much each label weighs in the loss."""
    if self.class_weights is None:
      return counted
    weights = tf.gather(tf.constant(self.class_weights, tf.float32), labels)
    return weights if counted is None else weights * counted


def _mean(values: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
  """The weighted mean; over replicas, their mean is that of the global batch."""
  if weights is None:
    return tf.reduce_mean(values)
  # A batch without a single label has a loss of 0.
  total = tf.maximum(replicas.mean(tf.reduce_sum(weights)), 1e-8)
  return tf.reduce_sum(values * weights) / total
