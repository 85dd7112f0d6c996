"""What replicas tell one another inside a step."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def mean(value: tf.Tensor) -> tf.Tensor:
  """The mean of a tensor over all replicas, known to each; differentiable."""
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return value
  return context.all_reduce(tf.distribute.ReduceOp.SUM, value) / tf.cast(
    context.num_replicas_in_sync, value.dtype
  )


def assign(variables: Sequence[tf.Variable], values: Sequence[tf.Variable]) -> None:
  """Gives variables the values of others, each replica's of its own."""

  def update(strategy: tf.distribute.Strategy) -> None:
    for variable, value in zip(variables, values):
      strategy.extended.update(variable, lambda v, new: v.assign(new), args=(value,))

  tf.distribute.get_replica_context().merge_call(update)
