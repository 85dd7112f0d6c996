"""From stored images to what a network sees. Pure functions of tensors."""

from __future__ import annotations

import tensorflow as tf

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
