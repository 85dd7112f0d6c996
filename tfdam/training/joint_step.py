"""One update of JAN: cross-entropy on the source, and joint MMD of several layers."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import drift, joint_mmd
from tfdam.training import optimizers

# As in JAN's experiments: five widths for features, one for class probabilities.
_KERNELS, _KERNELS_OF_PROBABILITIES = 5, 1


class JointStep:
  """Cross-entropy on the source and joint MMD between the domains, on one replica.

  Unlike in AdaptStep, one network processes both domains, so the source's labels keep it
  accurate (Long et al. 2017, Eq. 9). Each replica measures the distance in its own batch.

  Attributes:
    metric_names: names of the metrics that a call returns.
  """

  metric_names = ("loss/target", "loss/cross_entropy", "loss/alignment", "loss/drift")

  def __init__(
    self,
    network: tf.keras.Model,
    taps: list[str],
    weight_pairs: drift.WeightPairs,
    optimizer: tf.keras.optimizers.Optimizer,
    options: config_lib.Adapt,
    num_replicas: int,
  ):
    """Takes the network, its taps and its optimiser.

    Args:
      network: starts as a copy of the source, or Gaussian-matched.
      taps: the layers to match. The network's last tap is its logits, which are matched as
        probabilities.
      weight_pairs: (anchor, weight) pairs, for drift.
      optimizer: the network's optimiser.
      options: weights of the losses.
      num_replicas: replicas whose gradients are summed.
    """
    self.network = network
    self.optimizer = optimizer
    self.weight_pairs = weight_pairs
    self.options = options
    self.num_replicas = num_replicas
    self.logits_tap = network.TAPS[-1]
    self.num_kernels = {
      tap: _KERNELS_OF_PROBABILITIES if tap == self.logits_tap else _KERNELS for tap in taps
    }

  def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Updates the network once.

    Args:
      batch: this replica's {"source": float32 [B, H, W, C], "source_label": int64 [B],
        "target": float32 [B, H, W, C]}.

    Returns:
      {name in metric_names: float32 []}.
    """
    options, variables = self.options, self.network.trainable_variables
    with tf.GradientTape() as tape:
      source = self.network(batch["source"], training=False)
      target = self.network(batch["target"], training=False)
      cross_entropy = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(
          labels=batch["source_label"], logits=source["logits"]
        )
      )
      alignment = joint_mmd.loss(
        self._layers(source["taps"]), self._layers(target["taps"]), self.num_kernels
      )
      weight_drift = drift.squared_distance(self.weight_pairs, options.drift_reduction)
      loss = cross_entropy + options.gan_weight * alignment
      loss += options.drift_weight * weight_drift
      # Replicas sum their gradients; dividing outside the tape would yield None.
      share = optimizers.scaled(self.optimizer, loss / self.num_replicas)
    gradients = optimizers.unscaled(self.optimizer, tape.gradient(share, variables))
    self.optimizer.apply_gradients(zip(gradients, variables))
    return dict(zip(self.metric_names, (loss, cross_entropy, alignment, weight_drift)))

  def _layers(self, taps: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    layers = {tap: taps[tap] for tap in self.num_kernels}
    if self.logits_tap in layers:
      layers[self.logits_tap] = tf.nn.softmax(layers[self.logits_tap])
    return layers
