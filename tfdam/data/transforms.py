"""From stored images to what a network sees. Pure functions of tensors."""

from __future__ import annotations

import math

import tensorflow as tf

from tfdam import config as config_lib

# ITU-R BT.601 luma, as the release converts SVHN.
_LUMA = (0.2989, 0.5870, 0.1140)


def to_network(images: tf.Tensor, size: int, channels: int) -> tf.Tensor:
  """Scales to [0, 1], converts the colour space, resizes bilinearly.

  Args:
    images: uint8 [B, H, W, 1 or 3].
    size: height and width of the result, in pixels.
    channels: 1 (grey) or 3 (RGB; grey images are repeated).

  Returns:
    float32 [B, size, size, channels], in [0, 1].
  """
  floats = tf.cast(images, tf.float32) / 255.0
  if images.shape[-1] == 3 and channels == 1:
    # Before the resize, as in the release.
    floats = tf.reduce_sum(floats * tf.constant(_LUMA), axis=-1, keepdims=True)
  elif images.shape[-1] == 1 and channels == 3:
    floats = tf.repeat(floats, 3, axis=-1)
  if images.shape[1:3] != (size, size):
    floats = tf.image.resize(floats, (size, size), method="bilinear")
  return floats


def random_affine(
  images: tf.Tensor,
  seed: tf.Tensor,
  options: config_lib.Augment,
  part: int = 0,
  num_parts: int = 1,
) -> tf.Tensor:
  """Rotates, scales, shears and shifts each image about its centre, by chance.

  Args:
    images: float32 [B, H, W, C]; what comes in from outside is 0.
    seed: int [2]; the same seed moves the same way.
    options: bounds of the uniform draws.
    part: which of `num_parts` equal parts of a batch these images are: each image moves
      as it does in the whole batch.

  Returns:
    float32 [B, H, W, C].
  """
  size = tf.shape(images)[0]
  draws = tf.random.stateless_uniform([size * num_parts, 5], seed, -1.0, 1.0)
  draws = draws[part * size : (part + 1) * size]
  angle, scale, shear, right, down = tf.unstack(draws, axis=1)
  angle = angle * (options.rotation * math.pi / 180.0)
  scale = 1.0 + scale * options.scale
  shear = shear * options.shear
  height, width = images.shape[1], images.shape[2]
  # From where each pixel comes: a rotation after a shear, over a scale.
  cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
  a, b = cos, cos * shear - sin
  c, d = sin, sin * shear + cos
  x, y = (width - 1) / 2.0, (height - 1) / 2.0
  left = x - a * x - b * y + right * options.translation
  top = y - c * x - d * y + down * options.translation
  zeros = tf.zeros_like(a)
  matrices = tf.stack([a, b, left, c, d, top, zeros, zeros], axis=1)
  return tf.raw_ops.ImageProjectiveTransformV3(
    images=images, transforms=matrices, output_shape=[height, width], fill_value=0.0,
    interpolation="BILINEAR", fill_mode="CONSTANT",
  )  # fmt: skip
