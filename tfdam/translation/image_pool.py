"""Translated images of earlier steps, which discriminators are shown again.

Shrivastava et al., CVPR 2017, Sec. 2.3, as CycleGAN uses it: a discriminator that sees the
newest images alone forgets what the generator did before.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfdam.training import replicas


class ImagePool(tf.Module):
  """Keeps images, and gives old ones for new ones half of the time.

  Each place of a batch has slots of its own, and all replicas keep the whole pool: what is
  shown depends neither on how many there are, nor on where a run was stopped.

  Attributes:
    images: float32 [slots, B, H, W, C], B of the global batch.
  """

  def __init__(self, size: int, batch_shape: tuple[int, ...], seed: int, name: str):
    """Makes the pool, empty.

    Args:
      size: images that it holds, rounded up to a multiple of B; 0: none.
      batch_shape: [B, H, W, C].
      seed: decides which images are exchanged, together with the step.
    """
    super().__init__(name=name)
    self._seed = seed
    slots = math.ceil(size / batch_shape[0])
    # Every replica assigns the same.
    self.images = tf.Variable(
      tf.zeros([slots, *batch_shape]),
      trainable=False,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      name="images",
    )

  def __call__(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Exchanges this replica's images, and changes the pool.

    Args:
      images: float32 [B / replicas, H, W, C].
      step: int32 [], how many there were before.

    Returns:
      The same shape.
    """
    if not self.images.shape[0]:
      return images
    every = replicas.gathered(images)
    pool = tf.convert_to_tensor(self.images)
    shown, pool = exchanged(pool, every, step, self._seed)
    self.images.assign(pool)
    return replicas.own_part(shown, images.shape[0])


def exchanged(
  pool: tf.Tensor, images: tf.Tensor, step: tf.Tensor, seed: int
) -> tuple[tf.Tensor, tf.Tensor]:
  """What is shown for a batch of images, and the pool afterwards.

  As long as slots are free, images are kept and shown. Then each is, by a fair coin, either
  shown, or kept in place of an older one, which is shown.

  Args:
    pool: float32 [slots, B, H, W, C].
    images: float32 [B, H, W, C].
    step: int32 [].
  """
  slots, size = pool.shape[:2]
  draws = tf.random.stateless_uniform([2, size], tf.stack([tf.constant(seed), step]))
  is_filling = step < slots
  chance = tf.cast(draws[1] * slots, tf.int32)
  slot = tf.where(is_filling, tf.fill([size], step % slots), chance)
  is_kept = tf.logical_or(is_filling, draws[0] < 0.5)
  is_old = tf.logical_and(is_kept, tf.logical_not(is_filling))
  older = tf.gather_nd(pool, tf.stack([slot, tf.range(size)], axis=1))
  shown = tf.where(is_old[:, None, None, None], older, images)
  changes = tf.logical_and(tf.range(slots)[:, None] == slot, is_kept)
  return shown, tf.where(changes[..., None, None, None], images, pool)
