"""What `transforms.to_network` does, for NumPy arrays of 8 bits and without TensorFlow."""

from __future__ import annotations

import numpy as np

# ITU-R BT.601 luma, as the release converts SVHN.
LUMA = (0.2989, 0.5870, 0.1140)


def as_network_sees(
  images: np.ndarray, height: int, width: int, channels: int
) -> np.ndarray:
  """Resizes images to a network's size and channels, rounded to 8 bits.

  Args:
    images: uint8 [N, H, W, 1 or 3].
    height: of the result, in pixels.
    width: of the result, in pixels.
    channels: 1 (grey) or 3 (RGB; grey images are repeated).

  Returns:
    uint8 [N, height, width, channels].
  """
  stored = images.shape[-1]
  if images.shape[1:3] == (height, width) and stored == channels:
    return images
  floats = images.astype(np.float32)
  if stored == 3 and channels == 1:
    floats = (floats * np.array(LUMA, np.float32)).sum(axis=-1, keepdims=True)
  for axis, size in ((1, height), (2, width)):
    floats = _resized(floats, axis, size)
  if stored == 1 and channels == 3:
    floats = np.repeat(floats, 3, axis=-1)
  return np.clip(np.rint(floats), 0, 255).astype(np.uint8)


def _resized(images: np.ndarray, axis: int, size: int) -> np.ndarray:
  """Resizes one axis of floats [N, H, W, C] linearly, as tf.image.resize does."""
  stored = images.shape[axis]
  if stored == size:
    return images
  places = (np.arange(size) + 0.5) * (stored / size) - 0.5
  below = np.floor(places)
  first = np.maximum(below, 0).astype(int)
  second = np.minimum(below + 1, stored - 1).astype(int)
  shape = [1] * images.ndim
  shape[axis] = size
  second_share = (places - below).astype(np.float32).reshape(shape)
  low, high = images.take(first, axis), images.take(second, axis)
  return low + (high - low) * second_share
