"""What the players of CycleGAN minimise (Zhu et al. 2017, Sec. 3), and CyCADA's addition.

Images are in [-1, 1], as there, on which the published weights depend.
"""

from __future__ import annotations

import tensorflow as tf


def deception(judged: tf.Tensor) -> tf.Tensor:
  """Of a generator: mean((D(G(x)) - 1)^2).

  Args:
    judged: float32 [B, H, W, 1], of translated images.
  """
  return tf.reduce_mean(tf.square(judged - 1.0))


def discrimination(real: tf.Tensor, translated: tf.Tensor) -> tf.Tensor:
  """Of a discriminator: half of mean((D(y) - 1)^2) + mean(D(G(x))^2).

  Args:
    real: float32 [B, H, W, 1], of images of its domain.
    translated: the same, of translated ones.
  """
  return 0.5 * (deception(real) + tf.reduce_mean(tf.square(translated)))


def distance(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
  """Mean absolute difference, of cycle consistency and identity.

  Args:
    images: float32 [B, H, W, C].
    others: the same shape.
  """
  return tf.reduce_mean(tf.abs(images - others))


def disagreement(labels_of: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  """Cross-entropy of translated images with what was seen in them before (CyCADA, Eq. 4).

  Args:
    labels_of: float32 [..., classes], logits of the images; their largest are the labels.
    logits: the same, of the translated images.
  """
  labels = tf.argmax(labels_of, axis=-1)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  return tf.reduce_mean(losses)
