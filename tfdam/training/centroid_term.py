"""The term of the target's loss that pulls each class to where the source has it.

Beyond the paper; see PAPER.md [31] and matching/centroids.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import centroids
from tfdam.training import replicas


class CentroidTerm(tf.Module):
  """Squared distance between both domains' moving centroids of each class, on one tap.

  The frozen source network and the source's labels give the source's centroids, the target
  network and its own predictions the target's. The gradient goes through the batch's part
  of the target's centroids alone. Replicas share sums and counts: the centroids are those
  of the global batch. They move whether or not `adapt.gate_accuracy` lets the target move.

  Attributes:
    name: "centroids".
    weight: in the loss.
    tap: whose activations have centroids; maps count as one vector an image.
    values: float32 [2, classes, D], the source's centroids and the target's.
    seen: float32 [2, classes], 1 where a class has a centroid.
  """

  def __init__(
    self, options: config_lib.Adapt, taps: Mapping[str, tf.Tensor], classes: int
  ):
    """Makes the centroids, which no image has moved yet.

    Args:
      taps: activations to learn the shapes from, in network order.
    """
    super().__init__(name="centroids")
    self.weight = options.centroid_weight
    self.tap = chosen_tap(options, list(taps))
    self._momentum = options.centroid_momentum
    self._confidence = options.centroid_confidence
    self._num_classes = classes

    def zeros(*shape: int) -> tf.Variable:
      # After the sums are shared, every replica computes the same.
      return tf.Variable(
        tf.zeros(shape),
        trainable=False,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      )

    self.values = zeros(2, classes, taps[self.tap].shape[1:].num_elements())
    self.seen = zeros(2, classes)

  def __call__(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> tf.Tensor:
    """Moves the centroids, and returns their distance; see class_terms.Term."""
    chances = tf.stop_gradient(tf.nn.softmax(output["logits"]))
    sure = tf.reduce_max(chances, axis=-1) >= self._confidence
    labels = batch["source_label"]
    found = tf.stack([
      self._totals(batch["source_taps"], labels, tf.ones_like(labels, tf.float32)),
      self._totals(output["taps"], tf.argmax(chances, axis=-1), tf.cast(sure, tf.float32)),
    ])  # fmt: skip
    values, seen = centroids.moved(
      tf.convert_to_tensor(self.values), tf.convert_to_tensor(self.seen),
      replicas.mean(found), self._momentum,
    )  # fmt: skip
    self.values.assign(values)
    self.seen.assign(seen)
    source, target = values[0], values[1]
    return centroids.squared_distance(source, target, tf.reduce_prod(seen, axis=0))

  def _totals(self, taps: Mapping[str, tf.Tensor], labels: Any, counted: Any) -> tf.Tensor:
    images = tf.reshape(taps[self.tap], [-1, self.values.shape[-1]])
    # Half precision has no room for sums.
    return centroids.totals(tf.cast(images, tf.float32), labels, counted, self._num_classes)


def chosen_tap(options: config_lib.Adapt, names: list[str]) -> str:
  """`adapt.centroid_tap`; if empty, of `adapt.taps` the last but one.

  That is what the logits, often the last, are made of.

  Args:
    names: the network's taps, in its order.
  """
  played = [name for name in names if name in options.tap_weights]
  return options.centroid_tap or played[-2:][0]
