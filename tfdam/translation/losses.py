"""The losses of CycleGAN (Zhu et al. 2017, Sec. 3), and CyCADA's semantic loss.

Images are in [-1, 1], as in the papers, whose loss weights depend on this range.
"""

from __future__ import annotations

import tensorflow as tf


def deception(judged: tf.Tensor) -> tf.Tensor:
  """A generator's adversarial loss: mean((D(G(x)) - 1)^2).

  Args:
    judged: float32 [B, H, W, 1], the discriminator's output for translated images.

  Returns:
    float32 [].
  """
  return tf.reduce_mean(tf.square(judged - 1.0))


def discrimination(real: tf.Tensor, translated: tf.Tensor) -> tf.Tensor:
  """A discriminator's loss: half of mean((D(y) - 1)^2) + mean(D(G(x))^2).

  Args:
    real: float32 [B, H, W, 1], the discriminator's output for images of its domain.
    translated: the same for translated images.

  Returns:
    float32 [].
  """
  return 0.5 * (deception(real) + tf.reduce_mean(tf.square(translated)))


def distance(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
  """The mean absolute difference, for cycle consistency and identity.

  Args:
    images: float32 [B, H, W, C].
    others: float32 [B, H, W, C].

  Returns:
    float32 [].
  """
  return tf.reduce_mean(tf.abs(images - others))


def disagreement(labels_of: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  """Cross-entropy of translated images, labelled by predictions before (CyCADA, Eq. 4).

  Args:
    labels_of: float32 [..., classes], logits of the original images; the argmax is the
      label.
    logits: float32 [..., classes], logits of the translated images.

  Returns:
    float32 [], in nats.
  """
  labels = tf.argmax(labels_of, axis=-1)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  return tf.reduce_mean(losses)
