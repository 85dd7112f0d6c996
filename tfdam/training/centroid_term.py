"""The term of the target's loss that pulls each class towards its place in the source.

Not in the paper; see PAPER.md [31] and matching/centroids.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import centroids
from tfdam.training import replicas


class CentroidTerm(tf.Module):
  """Squared distance between both domains' moving centroids of each class, at one tap.

  The source's centroids come from the frozen source network and the source's labels. The
  target's come from the target network and its own predictions. Gradients flow only through
  the current batch's part of the target's centroids. Replicas share sums and counts, so
  centroids are those of the global batch. They move even while `adapt.gate_accuracy` keeps
  the target from moving.

  Attributes:
    name: "centroids".
    weight: weight of the term in the loss.
    tap: the tap that has centroids; a map counts as one vector per image.
    values: float32 [2, classes, D], the source's centroids, then the target's.
    seen: float32 [2, classes], 1 where a class has a centroid.
  """

  def __init__(
    self, options: config_lib.Adapt, taps: Mapping[str, tf.Tensor], classes: int
  ):
    """Makes the centroids' variables, with no class seen yet.

    Args:
      options: weight, tap, momentum and confidence.
      taps: {tap: activations}, in network order, to find shapes from.
      classes: number of classes.
    """
    super().__init__(name="centroids")
    self.weight = options.centroid_weight
    self.tap = chosen_tap(options, list(taps))
    self._momentum = options.centroid_momentum
    self._confidence = options.centroid_confidence
    self._num_classes = classes

    def zeros(*shape: int) -> tf.Variable:
      # Once sums are shared, every replica computes the same values.
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
    # Sums would overflow in half precision.
    return centroids.totals(tf.cast(images, tf.float32), labels, counted, self._num_classes)


def chosen_tap(options: config_lib.Adapt, names: list[str]) -> str:
  """`adapt.centroid_tap`; if that is empty, the last but one of `adapt.taps`.

  The last tap is often the logits; the one before feeds them.

  Args:
    options: names the taps.
    names: all taps of the network, in network order.
  """
  played = [name for name in names if name in options.tap_weights]
  return options.centroid_tap or played[-2:][0]
