"""The losses that discriminators and target network minimise."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf


class Objective(Protocol):
  """Losses of logits [B, ..., NUM_OUTPUTS], averaged over images and locations.

  Attributes:
    NUM_OUTPUTS: how many outputs the discriminator has.
  """

  NUM_OUTPUTS: int

  @staticmethod
  def discriminator(source_logits: tf.Tensor, target_logits: tf.Tensor) -> tf.Tensor:
    """The discriminator's loss, float32 []."""

  @staticmethod
  def alignment(target_logits: tf.Tensor) -> tf.Tensor:
    """The target network's loss, float32 []."""

  @staticmethod
  def looks_source(logits: tf.Tensor) -> tf.Tensor:
    """Whether the discriminator takes an activation for the source's, bool [B, ...]."""


class Gan(Objective):
  """The classical GAN with one sigmoid output: source 1, target 0 (Eq. 3, Sec. 4.2).

  The target minimises -log D. The gradient of log(1 - D) would vanish while the
  discriminator wins (Goodfellow et al. 2014, Sec. 3).
  """

  NUM_OUTPUTS = 1

  @staticmethod
  def discriminator(source_logits: tf.Tensor, target_logits: tf.Tensor) -> tf.Tensor:
    # -log sigmoid(x) = softplus(-x).
    on_source = tf.reduce_mean(tf.nn.softplus(-source_logits))
    return on_source + tf.reduce_mean(tf.nn.softplus(target_logits))

  @staticmethod
  def alignment(target_logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.softplus(-target_logits))

  @staticmethod
  def looks_source(logits: tf.Tensor) -> tf.Tensor:
    return logits[..., 0] > 0


class GanSoftmax(Objective):
  """The two-way softmax of the authors' release: source is class 0, target class 1.

  The release averages over a joint batch, hence half the sum of the two domains' means.
  """

  NUM_OUTPUTS = 2

  @staticmethod
  def discriminator(source_logits: tf.Tensor, target_logits: tf.Tensor) -> tf.Tensor:
    on_source = -tf.reduce_mean(tf.nn.log_softmax(source_logits)[..., 0])
    on_target = -tf.reduce_mean(tf.nn.log_softmax(target_logits)[..., 1])
    return 0.5 * (on_source + on_target)

  @staticmethod
  def alignment(target_logits: tf.Tensor) -> tf.Tensor:
    return -tf.reduce_mean(tf.nn.log_softmax(target_logits)[..., 0])

  @staticmethod
  def looks_source(logits: tf.Tensor) -> tf.Tensor:
    return logits[..., 0] > logits[..., 1]


class LeastSquares(Objective):
  """Least-squares GAN: source 1, target 0; the target aims at 1 (Mao et al. 2016)."""

  NUM_OUTPUTS = 1

  @staticmethod
  def discriminator(source_logits: tf.Tensor, target_logits: tf.Tensor) -> tf.Tensor:
    on_source = 0.5 * tf.reduce_mean(tf.square(source_logits - 1.0))
    return on_source + 0.5 * tf.reduce_mean(tf.square(target_logits))

  @staticmethod
  def alignment(target_logits: tf.Tensor) -> tf.Tensor:
    return 0.5 * tf.reduce_mean(tf.square(target_logits - 1.0))

  @staticmethod
  def looks_source(logits: tf.Tensor) -> tf.Tensor:
    return logits[..., 0] > 0.5
