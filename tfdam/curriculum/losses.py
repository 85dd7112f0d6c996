"""Losses between predicted and estimated label shares (Zhang et al. 2017, Sec. 3.1).

Means of probabilities are computed from their logarithms, so that gradients do not vanish
for a class whose probability rounds to 0.
"""

from __future__ import annotations

import tensorflow as tf


def of_images(logits: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
  """Cross-entropy between each image's estimated shares and its mean prediction.

  C(p, q) = -sum_k p_k log q_k, q = mean over pixels of softmax(logits).

  Args:
    logits: float32 [B, H, W, K].
    shares: float32 [B, K]; each row sums to 1.

  Returns:
    float32 [B], in nats; at least the entropy of the shares.
  """
  num_pixels = tf.cast(tf.reduce_prod(tf.shape(logits)[1:3]), tf.float32)
  summed = tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=[1, 2])
  return -tf.reduce_sum(shares * (summed - tf.math.log(num_pixels)), axis=-1)


def of_landmarks(
  logits: tf.Tensor, numbers: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Cross-entropy between each landmark's class and the mean prediction on its pixels.

  Args:
    logits: float32 [B, H, W, K].
    numbers: uint8 [B, H, W], the number of each pixel's landmark; L or more for none.
    classes: uint8 [B, L], the class of each landmark.

  Returns:
    (losses, seen), float32 [B, L] each: the loss in nats, and 1 if the landmark has pixels;
    both are 0 if it has none.
  """
  batch, most = tf.shape(classes)[0], classes.shape[1]
  # One more place per image, for all pixels outside of landmarks; its class is arbitrary.
  padded = tf.pad(tf.cast(classes, tf.int32), [[0, 0], [0, 1]])
  padded = tf.minimum(padded, logits.shape[-1] - 1)  # Unused places may hold no class.
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
  # A place without pixels gets a mean of 1: its loss is 0, and nothing is divided by 0.
  mean = tf.where(seen, summed, 1.0) / tf.where(seen, counts, 1.0)
  losses = tf.reshape(-(tf.math.log(mean) + top), [batch, most + 1])[:, :-1]
  return losses, tf.cast(tf.reshape(seen, [batch, most + 1])[:, :-1], tf.float32)
