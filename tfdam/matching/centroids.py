"""Class-wise centroids: where each class lies on average, on one tap.

After Xie, Zheng, Chen and Chen, "Learning Semantic Representations for Unsupervised Domain
Adaptation" (MSTN), ICML 2018: a mini-batch has few images of a class, and some have a wrong
label; a centroid that moves slowly evens both out.
"""

from __future__ import annotations

import tensorflow as tf


def totals(
  activations: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor, num_classes: int
) -> tf.Tensor:
  """Sums of activations by class; those of several batches may be added.

  Args:
    activations: float32 [B, D].
    labels: integers [B], from 0 to num_classes - 1.
    counted: float32 [B], 1 or 0: whether an image counts.

  Returns:
    float32 [num_classes, D + 1]; the last column is the number of images.
  """
  members = tf.one_hot(labels, num_classes) * counted[:, tf.newaxis]
  with_ones = tf.concat([activations, tf.ones_like(activations[:, :1])], axis=-1)
  return tf.matmul(members, with_ones, transpose_a=True)


def moved(
  centroids: tf.Tensor, seen: tf.Tensor, found: tf.Tensor, momentum: float
) -> tuple[tf.Tensor, tf.Tensor]:
  """Moves centroids towards those of a batch.

  A class that the batch lacks keeps its centroid; one that is seen for the first time
  begins at the batch's, not at zero.

  Args:
    centroids: float32 [..., classes, D].
    seen: float32 [..., classes], 1 where a class has a centroid.
    found: float32 [..., classes, D + 1], what `totals` gives, or a multiple of it.
    momentum: the weight of the past, below 1.

  Returns:
    centroids and seen, after the batch.
  """
  counts = found[..., -1:]
  present = counts > 0
  of_batch = found[..., :-1] / tf.where(present, counts, tf.ones_like(counts))
  kept = tf.where(present, momentum * seen[..., tf.newaxis], tf.ones_like(counts))
  now_seen = tf.maximum(seen, tf.cast(present[..., 0], seen.dtype))
  return kept * centroids + (1.0 - kept) * of_batch, now_seen


def squared_distance(source: tf.Tensor, target: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
  """The squared distance between both centroids of a class; a mean over units and classes.

  Args:
    source: float32 [classes, D].
    target: the same.
    known: float32 [classes], 1 where both have been seen; other classes add nothing.

  Returns:
    float32 [].
  """
  of_class = tf.reduce_mean(tf.math.squared_difference(target, source), axis=-1)
  return tf.reduce_mean(known * of_class)
