"""Discriminators that tell classes as well as domains (FADA, Wang et al., ECCV 2020).

Each has 2K outputs: class k of the source, then class k of the target. What an activation
is of, the networks' own predictions say, softened. With K = 1 all of it is
objectives.GanSoftmax.
"""

from __future__ import annotations

import tensorflow as tf


def soft_labels(logits: tf.Tensor, temperature: float, most: float) -> tf.Tensor:
  """Predictions as labels that no gradient reaches.

  Args:
    logits: float32 [B, ..., K].
    temperature: divides them; above 1 they are softer.
    most: a probability above it counts as this much.

  Returns:
    float32 [B, ..., K].
  """
  chances = tf.nn.softmax(tf.stop_gradient(logits) / temperature)
  return tf.minimum(chances, most)


def at_size(labels: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
  """Labels for each location of a tap.

  Args:
    labels: float32 [B, K], of whole images, [B, 1, 1, K], or [B, H, W, K].
    maps: float [B, channels] or [B, H', W', channels].

  Returns:
    float32 [B, K], [B, 1, 1, K] or [B, H', W', K], means over the pixels of a location.

  Raises:
    ValueError: labels of pixels, and a tap without locations.
  """
  if labels.shape.rank == 2:
    return labels if maps.shape.rank == 2 else labels[:, tf.newaxis, tf.newaxis]
  if maps.shape.rank != 4:
    raise ValueError(f"labels of pixels do not fit activations of shape {maps.shape}")
  size, own_size = (tuple(x.shape[1:3]) for x in (maps, labels))
  if own_size in (size, (1, 1)):
    return labels
  return tf.stop_gradient(tf.image.resize(labels, size, "area"))


def discriminator(
  source_logits: tf.Tensor,
  target_logits: tf.Tensor,
  source_labels: tf.Tensor,
  target_labels: tf.Tensor,
) -> tf.Tensor:
  """Cross-entropy with domain times class: what the discriminator minimises, float32 [].

  Args:
    source_logits: float32 [B, ..., 2K].
    target_logits: the same.
    source_labels: float32 [B, ..., K], or of a shape that broadcasts to it.
    target_labels: the same.
  """
  own, _ = _halves(source_logits)
  _, other = _halves(target_logits)
  return 0.5 * (_cross_entropy(own, source_labels) + _cross_entropy(other, target_labels))


def alignment(target_logits: tf.Tensor, target_labels: tf.Tensor) -> tf.Tensor:
  """What the target network minimises: its activations as the source's, of their class."""
  own, _ = _halves(target_logits)
  return _cross_entropy(own, target_labels)


def looks_source(logits: tf.Tensor) -> tf.Tensor:
  """The verdict on the domain alone, bool [B, ...]."""
  own, other = _halves(logits)
  return tf.reduce_logsumexp(own, axis=-1) > tf.reduce_logsumexp(other, axis=-1)


def _halves(logits: tf.Tensor) -> list[tf.Tensor]:
  """Log-probabilities of the source's classes and of the target's."""
  return tf.split(tf.nn.log_softmax(logits), 2, axis=-1)


def _cross_entropy(log_chances: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  return -tf.reduce_mean(tf.reduce_sum(labels * log_chances, axis=-1))
