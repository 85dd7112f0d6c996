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


def gathered(value: tf.Tensor) -> tf.Tensor:
  """The batches of all replicas in one, in their order, known to each.

  Args:
    value: [B, ...], as large on each replica.
  """
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return value
  every = context.all_gather(value, axis=0)
  return tf.ensure_shape(
    every, [value.shape[0] * context.num_replicas_in_sync, *value.shape[1:]]
  )


def own_part(every: tf.Tensor, size: int) -> tf.Tensor:
  """What `gathered` took from this replica: `size` of the first axis."""
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return every
  first = context.replica_id_in_sync_group * size
  return every[first : first + size]


def assign(variables: Sequence[tf.Variable], values: Sequence[tf.Variable]) -> None:
  """Gives variables the values of others, each replica's of its own."""

  def update(strategy: tf.distribute.Strategy) -> None:
    for variable, value in zip(variables, values):
      strategy.extended.update(variable, lambda v, new: v.assign(new), args=(value,))

  tf.distribute.get_replica_context().merge_call(update)
