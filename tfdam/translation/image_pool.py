"""A pool of translated images from earlier steps, which discriminators see again.

After Shrivastava et al., CVPR 2017, Sec. 2.3, as used in CycleGAN. A discriminator that
sees only the newest images forgets what the generator made before.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfdam.training import replicas


class ImagePool(tf.Module):
  """Stores images, and half of the time returns an old image in place of a new one.

  Each place of a batch has its own slots, and every replica keeps the whole pool. So the
  result depends neither on the number of replicas nor on where a run was interrupted.

  Attributes:
    images: float32 [slots, B, H, W, C], where B is the global batch.
  """

  def __init__(self, size: int, batch_shape: tuple[int, ...], seed: int, name: str):
    """Makes an empty pool.

    Args:
      size: number of images, rounded up to a multiple of B; 0 for no pool.
      batch_shape: (B, H, W, C) of the global batch.
      seed: determines which images are exchanged, together with the step.
      name: of the pool.
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
      step: int32 [], the number of steps done.

    Returns:
      float32 [B / replicas, H, W, C], old images in place of some.
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
  """Exchanges a batch of images with the pool.

  While slots are free, images are stored and returned. After that, each image is either
  returned, or stored in place of an older one, which is returned; both are equally likely.

  Args:
    pool: float32 [slots, B, H, W, C].
    images: float32 [B, H, W, C].
    step: int32 [], the number of steps done.
    seed: as for ImagePool.

  Returns:
    (images to show, the new pool), in the same shapes as `images` and `pool`.
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
