"""Shrinks images by averaging, with operations that every runtime has.

Scenes are shrunk in this way before training. ONNX' own Resize averages only from opset 18
on, and tf2onnx cannot convert TensorFlow's.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

# Pixels of the result per matrix product. More pixels mean fewer products with more zeros.
_BLOCK = 32


def shrink(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
  """Resizes as Pillow's `BILINEAR` and `tf.image.resize(antialias=True)` do.

  Args:
    images: float32 [B, H, W, C], all sizes but B known.
    height: of the result, in pixels.
    width: the same.

  Returns:
    float32 [B, height, width, C].
  """
  _, rows, columns, channels = images.shape
  x = tf.reshape(images, [-1, rows, columns * channels])
  x = tf.concat(
    [tf.matmul(w, x[:, first:last]) for first, last, w in _blocks(rows, height)], axis=1
  )
  # A pixel's channels lie side by side and have the same weights.
  wide = [
    (channels * first, channels * last, np.kron(w.T, np.eye(channels, dtype=w.dtype)))
    for first, last, w in _blocks(columns, width)
  ]
  x = tf.concat([tf.matmul(x[..., first:last], w) for first, last, w in wide], axis=-1)
  return tf.reshape(x, [-1, height, width, channels])


def weights(size: int, result: int) -> np.ndarray:
  """Returns the weight of each pixel in each pixel of the result, float32 [result, size].

  The weights are a triangle around the position that a result's pixel comes from. It is two
  pixels wide, or two pixels of the result if there are fewer of these. Rows sum to one, at
  the edges too.
  """
  scale = size / result
  centers = (np.arange(result)[:, np.newaxis] + 0.5) * scale
  distances = np.abs(np.arange(size) + 0.5 - centers)
  triangles = np.maximum(0.0, 1.0 - distances / max(scale, 1.0))
  return (triangles / triangles.sum(axis=1, keepdims=True)).astype(np.float32)


def _blocks(size: int, result: int) -> list[tuple[int, int, np.ndarray]]:
  """Returns [(first, last + 1, weights of these pixels)] for each block of the result."""
  whole = weights(size, result)
  blocks = []
  for start in range(0, result, _BLOCK):
    block = whole[start : start + _BLOCK]
    (used,) = np.nonzero(block.any(axis=0))
    first, last = int(used[0]), int(used[-1]) + 1
    blocks.append((first, last, block[:, first:last]))
  return blocks
