"""Class-wise centroids: the mean activation of each class at one tap.

After Xie, Zheng, Chen and Chen, "Learning Semantic Representations for Unsupervised Domain
Adaptation" (MSTN), ICML 2018. A mini-batch has few images of each class, and some of their
labels are wrong; a moving average evens both out.
"""

from __future__ import annotations

import tensorflow as tf


def totals(
  activations: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor, num_classes: int
) -> tf.Tensor:
  """Sums of activations by class; sums of several batches may be added.

  Args:
    activations: float32 [B, D].
    labels: integers [B], from 0 to num_classes - 1.
    counted: float32 [B], 1 for images that count, else 0.

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

  A class that is not in the batch keeps its centroid. A class that is seen for the first
  time starts at the batch's centroid, not at zero.

  Args:
    centroids: float32 [..., classes, D].
    seen: float32 [..., classes], 1 where a class has a centroid.
    found: float32 [..., classes, D + 1], the result of `totals` or a multiple of it.
    momentum: weight of the old centroid, in [0, 1).

  Returns:
    (centroids, seen) after the batch, in the same shapes.
  """
  counts = found[..., -1:]
  present = counts > 0
  of_batch = found[..., :-1] / tf.where(present, counts, tf.ones_like(counts))
  kept = tf.where(present, momentum * seen[..., tf.newaxis], tf.ones_like(counts))
  now_seen = tf.maximum(seen, tf.cast(present[..., 0], seen.dtype))
  return kept * centroids + (1.0 - kept) * of_batch, now_seen


def squared_distance(source: tf.Tensor, target: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
  """The squared distance between both domains' centroids, averaged over units and classes.

  Args:
    source: float32 [classes, D].
    target: float32 [classes, D].
    known: float32 [classes], 1 for classes seen in both domains; others contribute 0.

  Returns:
    float32 [].
  """
  of_class = tf.reduce_mean(tf.math.squared_difference(target, source), axis=-1)
  return tf.reduce_mean(known * of_class)
