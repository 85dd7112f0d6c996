"""Communication between replicas inside a step."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def mean(value: tf.Tensor) -> tf.Tensor:
  """Returns the mean of a tensor over all replicas, on each of them; differentiable."""
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return value
  return context.all_reduce(tf.distribute.ReduceOp.SUM, value) / tf.cast(
    context.num_replicas_in_sync, value.dtype
  )


def gathered(value: tf.Tensor) -> tf.Tensor:
  """Concatenates the batches of all replicas, in order, on each of them.

  Args:
    value: [B, ...], of the same shape on all replicas.

  Returns:
    [B * replicas, ...].
  """
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return value
  every = context.all_gather(value, axis=0)
  return tf.ensure_shape(
    every, [value.shape[0] * context.num_replicas_in_sync, *value.shape[1:]]
  )


def own_part(every: tf.Tensor, size: int) -> tf.Tensor:
  """The part of a result of `gathered` that came from this replica.

  Args:
    every: [B * replicas, ...].
    size: B.

  Returns:
    [B, ...].
  """
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return every
  first = context.replica_id_in_sync_group * size
  return every[first : first + size]


def assign(variables: Sequence[tf.Variable], values: Sequence[tf.Variable]) -> None:
  """Copies values to variables, on each replica from its own copy."""

  def update(strategy: tf.distribute.Strategy) -> None:
    for variable, value in zip(variables, values):
      strategy.extended.update(variable, lambda v, new: v.assign(new), args=(value,))

  tf.distribute.get_replica_context().merge_call(update)
