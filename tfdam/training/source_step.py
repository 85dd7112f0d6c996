"""One update of the source network on labelled images."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.training import cross_entropy, optimizers


class SourceStep:
  """Cross-entropy, and L2 regularisation of the kernels, on one replica.

  Attributes:
    metric_names: names of the metrics that a call returns.
  """

  metric_names = ("loss/cross_entropy", "loss/l2", "metric/train_accuracy")

  def __init__(
    self,
    model: tf.keras.Model,
    optimizer: tf.keras.optimizers.Optimizer,
    options: config_lib.Source,
    num_replicas: int,
    loss: cross_entropy.CrossEntropy | None = None,
  ):
    """Takes the network, its optimiser and its loss.

    Args:
      model: the network.
      optimizer: its optimiser.
      options: the weight of L2.
      num_replicas: replicas whose gradients are summed.
      loss: the cross-entropy; if None, all images and classes count equally.
    """
    self.model = model
    self.optimizer = optimizer
    self.l2_weight = options.l2
    self.num_replicas = num_replicas
    self.loss = loss or cross_entropy.CrossEntropy()
    # Only kernels are regularised; biases and parameters of norms are vectors.
    self.kernels = [v for v in model.trainable_variables if len(v.shape) > 1]

  def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Updates the model once.

    Args:
      batch: this replica's {"image": float32 [B, H, W, C], "label": integers [B] or
        [B, H, W]}, and "noise", float32 [B, num_noise], if the network has dropout.

    Returns:
      {name in metric_names: float32 []}.
    """
    variables = self.model.trainable_variables
    labels, counted = self.loss.counted(batch["label"])
    with tf.GradientTape() as tape:
      chance = {"noise": batch["noise"]} if "noise" in batch else {}
      logits = self.model(batch["image"], training=True, **chance)["logits"]
      data_loss = self.loss(logits, labels, counted)
      l2 = tf.add_n([tf.nn.l2_loss(kernel) for kernel in self.kernels])
      # Replicas sum their gradients; dividing outside the tape would yield None.
      loss = (data_loss + self.l2_weight * l2) / self.num_replicas
      loss = optimizers.scaled(self.optimizer, loss)
    gradients = optimizers.unscaled(self.optimizer, tape.gradient(loss, variables))
    self.optimizer.apply_gradients(zip(gradients, variables))
    right = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
    accuracy = cross_entropy.mean(tf.cast(right, tf.float32), counted)
    values = (data_loss, self.l2_weight * l2, accuracy)
    return dict(zip(self.metric_names, values))
