"""How far predicted label shares are from estimated ones (Zhang et al. 2017, Sec. 3.1).

Logarithms of means are taken through logarithms, so that a class that a network rules out
has a gradient all the same.
"""

from __future__ import annotations

import tensorflow as tf


def of_images(logits: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
  """Cross-entropy of each image's mean prediction against its shares.

  C(p, q) = -sum_k p_k log q_k, q = mean over pixels of softmax(logits).

  Args:
    logits: float32 [B, H, W, K].
    shares: float32 [B, K], each row's sum 1.

  Returns:
    float32 [B], in nats; at least the entropy of the shares.
  """
  num_pixels = tf.cast(tf.reduce_prod(tf.shape(logits)[1:3]), tf.float32)
  summed = tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=[1, 2])
  return -tf.reduce_sum(shares * (summed - tf.math.log(num_pixels)), axis=-1)


def of_landmarks(
  logits: tf.Tensor, numbers: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Cross-entropy of the mean prediction in each landmark, whose shares are one class.

  Args:
    logits: float32 [B, H, W, K].
    numbers: uint8 [B, H, W], the landmark that a pixel belongs to; L or more: to none.
    classes: uint8 [B, L], of each landmark.

  Returns:
    float32 [B, L], in nats, 0 where no pixel belongs to it; and 1 or 0: whether one does.
  """
  batch, most = tf.shape(classes)[0], classes.shape[1]
  # One place more an image, for all pixels outside of landmarks, whatever class they have.
  padded = tf.pad(tf.cast(classes, tf.int32), [[0, 0], [0, 1]])
  padded = tf.minimum(padded, logits.shape[-1] - 1)  # of places that have no landmark
  numbers = tf.minimum(tf.cast(numbers, tf.int32), most)
  wanted = tf.gather(padded, numbers, batch_dims=1)
  log_chances = -tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
  places = numbers + (most + 1) * tf.range(batch)[:, tf.newaxis, tf.newaxis]
  num_places = batch * (most + 1)
  counts = tf.math.unsorted_segment_sum(tf.ones_like(log_chances), places, num_places)
  top = tf.math.unsorted_segment_max(log_chances, places, num_places)
  seen = counts > 0
  top = tf.stop_gradient(tf.where(seen, top, 0.0))
  summed = tf.math.unsorted_segment_sum(
    tf.exp(log_chances - tf.gather(top, places)), places, num_places
  )
  # Where there is nothing, a mean of 1: no loss, and nothing to divide by 0.
  mean = tf.where(seen, summed, 1.0) / tf.where(seen, counts, 1.0)
  losses = tf.reshape(-(tf.math.log(mean) + top), [batch, most + 1])[:, :-1]
  return losses, tf.cast(tf.reshape(seen, [batch, most + 1])[:, :-1], tf.float32)
