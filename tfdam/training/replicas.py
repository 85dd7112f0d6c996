"""What replicas tell one another inside a step."""

from __future__ import annotations

import tensorflow as tf


def mean(value: tf.Tensor) -> tf.Tensor:
  """The mean of a tensor over all replicas, known to each; differentiable."""
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return value
  return context.all_reduce(tf.distribute.ReduceOp.SUM, value) / tf.cast(
    context.num_replicas_in_sync, value.dtype
  )
