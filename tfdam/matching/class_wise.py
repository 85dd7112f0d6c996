"""Discriminators that tell classes as well as domains (FADA, Wang et al., ECCV 2020).

Each discriminator has 2K outputs: the K classes in the source, then the same K classes in
the target. The class of an activation is the network's own softened prediction. With K = 1
this is objectives.GanSoftmax.
"""

from __future__ import annotations

import tensorflow as tf


def soft_labels(logits: tf.Tensor, temperature: float, most: float) -> tf.Tensor:
  """Turns predictions into soft labels; gradients stop here.

  Args:
    logits: float32 [B, ..., K].
    temperature: divides the logits; above 1, labels are softer.
    most: upper bound of a probability; higher ones are clipped to it.

  Returns:
    float32 [B, ..., K].
  """
  chances = tf.nn.softmax(tf.stop_gradient(logits) / temperature)
  return tf.minimum(chances, most)


def at_size(labels: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
  """Resizes labels to the locations of a tap.

  Args:
    labels: float32 [B, K] for whole images, [B, 1, 1, K], or [B, H, W, K] for pixels.
    maps: the tap's activations, float [B, channels] or [B, H', W', channels].

  Returns:
    float32 [B, K], [B, 1, 1, K] or [B, H', W', K]; pixel labels are averaged per location.

  Raises:
    ValueError: labels are of pixels, but the tap has no locations.
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
  """The discriminator's loss: cross-entropy over all pairs of domain and class.

  Args:
    source_logits: float32 [B, ..., 2K].
    target_logits: float32 [B, ..., 2K].
    source_labels: float32 [B, ..., K], or a shape that broadcasts to it.
    target_labels: the same.

  Returns:
    float32 [].
  """
  own, _ = _halves(source_logits)
  _, other = _halves(target_logits)
  return 0.5 * (_cross_entropy(own, source_labels) + _cross_entropy(other, target_labels))


def alignment(target_logits: tf.Tensor, target_labels: tf.Tensor) -> tf.Tensor:
  """The target network's loss: its activations should pass for the source's of their class.

  Args:
    target_logits: float32 [B, ..., 2K].
    target_labels: float32 [B, ..., K], or a shape that broadcasts to it.

  Returns:
    float32 [].
  """
  own, _ = _halves(target_logits)
  return _cross_entropy(own, target_labels)


def looks_source(logits: tf.Tensor) -> tf.Tensor:
  """Whether logits [B, ..., 2K] say "source", whatever the class; bool [B, ...]."""
  own, other = _halves(logits)
  return tf.reduce_logsumexp(own, axis=-1) > tf.reduce_logsumexp(other, axis=-1)


def _halves(logits: tf.Tensor) -> list[tf.Tensor]:
  """Log-probabilities of the source's K classes and of the target's K classes."""
  return tf.split(tf.nn.log_softmax(logits), 2, axis=-1)


def _cross_entropy(log_chances: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  return -tf.reduce_mean(tf.reduce_sum(labels * log_chances, axis=-1))
