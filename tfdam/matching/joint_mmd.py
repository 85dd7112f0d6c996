"""Joint maximum mean discrepancy of several layers: JAN, "Long et al." in Table 1.

After Long, Zhu, Wang, Jordan, "Deep transfer learning with joint adaptation networks",
ICML 2017. The distance is between the layers' joint distributions, in the tensor product
of their kernels' feature spaces (the quadratic-time estimate, Eq. 8 there).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

Activations = Mapping[str, tf.Tensor]


def loss(
  source: Activations, target: Activations, num_kernels: Mapping[str, int]
) -> tf.Tensor:
  """Squared joint MMD, by the estimate that is never negative.

    K(i, j) = product over layers of sum over widths of exp(-|x_i - x_j|^2 / width)
    loss    = mean K(source, source) + mean K(target, target) - 2 mean K(source, target)

  Args:
    source: {layer: float32 [B, ...]}; all axes but the first make one feature vector.
    target: the same layers and shapes.
    num_kernels: {layer: number of Gaussian widths}. Each width is twice the one before; the
      middle one is the mean squared distance within the joint batch, which is cheaper than
      the median of the usual heuristic.

  Returns:
    float32 [].
  """
  size = tf.shape(next(iter(source.values())))[0]
  kernels = [
    _kernel(_rows(source[layer], target[layer]), count)
    for layer, count in num_kernels.items()
  ]
  joint = _product(kernels)
  within_source = tf.reduce_mean(joint[:size, :size])
  within_target = tf.reduce_mean(joint[size:, size:])
  return within_source + within_target - 2.0 * tf.reduce_mean(joint[:size, size:])


def _rows(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
  """Feature vectors of the source, then of the target, float32 [2 B, features]."""
  both = tf.cast(tf.concat([source, target], axis=0), tf.float32)
  return tf.reshape(both, [tf.shape(both)[0], -1])


def _kernel(rows: tf.Tensor, count: int) -> tf.Tensor:
  """A sum of Gaussian kernels.

  Args:
    rows: float32 [N, features].
    count: number of kernel widths.

  Returns:
    float32 [N, N].
  """
  norms = tf.reduce_sum(tf.square(rows), axis=1, keepdims=True)
  products = tf.matmul(rows, rows, transpose_b=True)
  # Rounding may leave a small negative number where two rows are alike.
  distances = tf.nn.relu(norms - 2.0 * products + tf.transpose(norms))
  pairs = tf.cast(tf.shape(rows)[0], tf.float32)
  pairs = pairs * (pairs - 1.0)
  # No gradient through the width: else the loss could fall by changing the scale alone.
  middle = tf.stop_gradient(tf.reduce_sum(distances) / pairs)
  middle = tf.maximum(middle, 1e-12)
  widths = [middle * 2.0 ** (i - count // 2) for i in range(count)]
  return tf.add_n([tf.exp(-distances / width) for width in widths])


def _product(kernels: Sequence[tf.Tensor]) -> tf.Tensor:
  joint = kernels[0]
  for kernel in kernels[1:]:
    joint = joint * kernel
  return joint
