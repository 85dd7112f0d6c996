"""Weight drift: the term of Eq. (1) and (3) that keeps the target near its anchor."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

WeightPairs = Sequence[tuple[tf.Tensor, tf.Tensor]]


def squared_distance(pairs: WeightPairs, reduction: str) -> tf.Tensor:
  """Squared distance between two networks' trainable weights.

  Args:
    pairs: (anchor, weight) of the same shape; leave moving statistics out.
    reduction: "sum" over all weights (Eq. 3), or "mean" over each variable and then the sum
      over variables (as in the authors' release).

  Returns:
    float32 [].
  """
  reduce = {"sum": tf.reduce_sum, "mean": tf.reduce_mean}[reduction]
  return tf.add_n(
    [reduce(tf.math.squared_difference(weight, anchor)) for anchor, weight in pairs]
  )


def pair_weights(
  anchor: Sequence[tf.Variable], weights: Sequence[tf.Variable]
) -> list[tuple[tf.Variable, tf.Variable]]:
  """Pairs two networks' trainable variables, in order.

  Raises:
    ValueError: the numbers or shapes of variables differ. An anchor that is already frozen
      has no trainable variables, and drift would silently be zero.
  """
  shapes = [tuple(v.shape) for v in anchor], [tuple(v.shape) for v in weights]
  if shapes[0] != shapes[1]:
    raise ValueError(f"Cannot pair weights of shapes {shapes[0]} and {shapes[1]}.")
  return list(zip(anchor, weights))
