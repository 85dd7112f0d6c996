"""Turns stored images into what a network sees, with pure functions of tensors."""

from __future__ import annotations

import math

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import array_transforms


def to_network(
  images: tf.Tensor, height: int | None, width: int | None, channels: int
) -> tf.Tensor:
  """Scales to [0, 1], converts the colour space, resizes bilinearly.

  Args:
    images: uint8 [B, H, W, 1 or 3].
    height: of the result, in pixels; None keeps the images' size.
    width: the same.
    channels: 1 (grey) or 3 (RGB; grey images are repeated).

  Returns:
    float32 [B, height, width, channels], in [0, 1].
  """
  floats = tf.cast(images, tf.float32) / 255.0
  if images.shape[-1] == 3 and channels == 1:
    # Grey before the resize, as in the release.
    luma = tf.constant(array_transforms.LUMA)
    floats = tf.reduce_sum(floats * luma, axis=-1, keepdims=True)
  elif images.shape[-1] == 1 and channels == 3:
    floats = tf.repeat(floats, 3, axis=-1)
  if height is not None and images.shape[1:3] != (height, width):
    floats = tf.image.resize(floats, (height, width), method="bilinear")
  return floats


def random_affine(
  images: tf.Tensor,
  seed: tf.Tensor,
  options: config_lib.Augment,
  part: int = 0,
  num_parts: int = 1,
) -> tf.Tensor:
  """Randomly rotates, scales, shears and shifts each image about its centre.

  Args:
    images: float32 [B, H, W, C]; pixels from outside the image are 0.
    seed: int [2]; the same seed gives the same moves.
    options: bounds of the uniform draws.
    part: which of `num_parts` equal parts of a batch these images are; an image moves as it
      would in the whole batch.
    num_parts: the number of parts.

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
  # The inverse map, from a result's pixel to its origin: rotation times shear, over scale.
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


def random_views(
  count: int,
  seed: tf.Tensor,
  data: config_lib.Data,
  crop: tuple[int, int],
  changes: config_lib.Augment | None = None,
  part: int = 0,
  num_parts: int = 1,
) -> tf.Tensor:
  """Draws a random view of each image: a crop, which may be mirrored and moved.

  Args:
    count: number of images.
    seed: int [2]; the same seed draws the same views.
    data: `height` and `width` of the images, and whether to `flip`.
    crop: height and width of the views, in pixels.
    changes: bounds of rotation, scale, shear and translation; None for none of them.
    part: which of `num_parts` equal parts of a batch these images are.
    num_parts: the number of parts.

  Returns:
    float32 [count, 8], projective transforms from view to image. Without `changes` they map
    pixels to whole pixels.
  """
  # More numbers than `random_affine` draws, so in another shape; both stay as they are.
  draws = tf.random.stateless_uniform([count * num_parts, 8], seed)
  draws = draws[part * count : (part + 1) * count]
  free = tf.constant([data.height - crop[0], data.width - crop[1]], tf.float32)
  # Whole pixels from 0 to `free`, all equally likely.
  corner = tf.floor(draws[:, :2] * (free + 1.0))
  mirrored = (draws[:, 2] < 0.5) & data.flip
  side = tf.where(mirrored, -1.0, 1.0)
  half = [(crop[0] - 1) / 2.0, (crop[1] - 1) / 2.0]
  top, left = corner[:, 0] + half[0], corner[:, 1] + half[1]
  cos, sin, shear = tf.ones_like(side), tf.zeros_like(side), tf.zeros_like(side)
  if changes is not None:
    signed = 2.0 * draws[:, 3:] - 1.0
    angle = signed[:, 0] * (changes.rotation * math.pi / 180.0)
    scale = 1.0 + signed[:, 1] * changes.scale
    shear = signed[:, 2] * changes.shear
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    left += signed[:, 3] * changes.translation
    top += signed[:, 4] * changes.translation
  a, b = side * cos, cos * shear - sin
  c, d = side * sin, sin * shear + cos
  left -= a * half[1] + b * half[0]
  top -= c * half[1] + d * half[0]
  zeros = tf.zeros_like(side)
  return tf.stack([a, b, left, c, d, top, zeros, zeros], axis=1)


def view_images(images: tf.Tensor, views: tf.Tensor, crop: tuple[int, int]) -> tf.Tensor:
  """Applies views to images, with bilinear interpolation; edges are mirrored.

  Args:
    images: float32 [B, H, W, C].
    views: what `random_views` returned, float32 [B, 8].
    crop: height and width of the result, in pixels.

  Returns:
    float32 [B, *crop, C].
  """
  return tf.raw_ops.ImageProjectiveTransformV3(
    images=images, transforms=views, output_shape=list(crop), fill_value=0.0,
    interpolation="BILINEAR", fill_mode="REFLECT",
  )  # fmt: skip


def view_labels(labels: tf.Tensor, views: tf.Tensor, crop: tuple[int, int]) -> tf.Tensor:
  """Applies views to label maps, uint8 [B, H, W]: nearest pixels, mirrored edges."""
  seen = tf.raw_ops.ImageProjectiveTransformV3(
    images=labels[..., tf.newaxis], transforms=views, output_shape=list(crop),
    fill_value=0.0, interpolation="NEAREST", fill_mode="REFLECT",
  )  # fmt: skip
  return seen[..., 0]


def random_light(
  images: tf.Tensor,
  seed: tf.Tensor,
  changes: config_lib.Augment,
  part: int = 0,
  num_parts: int = 1,
) -> tf.Tensor:
  """Randomly changes the brightness, contrast and saturation of each image.

  Args:
    images: float32 [B, H, W, C], in [0, 1].
    seed: int [2]; the same seed gives the same changes.
    changes: bounds of the uniform draws.
    part: which of `num_parts` equal parts of a batch these images are.
    num_parts: the number of parts.

  Returns:
    float32 [B, H, W, C], in [0, 1].
  """
  if not (changes.brightness or changes.contrast or changes.saturation):
    return images
  count = images.shape[0]
  other = seed + tf.constant([1, 0], seed.dtype)  # independent of the view's draws
  draws = tf.random.stateless_uniform([count * num_parts, 3], other, -1.0, 1.0)
  draws = draws[part * count : (part + 1) * count, :, tf.newaxis, tf.newaxis, tf.newaxis]
  grey = tf.reduce_mean(images, axis=-1, keepdims=True)
  images = grey + (images - grey) * (1.0 + draws[:, 0] * changes.saturation)
  mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
  images = mean + (images - mean) * (1.0 + draws[:, 1] * changes.contrast)
  return tf.clip_by_value(images + draws[:, 2] * changes.brightness, 0.0, 1.0)
