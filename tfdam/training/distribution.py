"""What workers tell one another, and how batches are shared out among them and replicas.

TensorFlow's collective operations pair up by their order, so every worker makes the same
calls in the same order. What a worker alone knows (which checkpoint is whole, whether a
signal came) is shared before it decides anything.

All that stands here does nothing, and costs nothing, with one worker.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfdam import cluster as cluster_lib
from tfdam.data import pairs

_SIGNALS = (signal.SIGTERM, signal.SIGINT)  # SIGTERM goes before


def cluster(strategy: tf.distribute.Strategy) -> cluster_lib.Cluster | None:
  """The workers that train under a strategy; None: this process alone."""
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return cluster_lib.from_environment()
  return None


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Whether this process keeps the run folder and talks to the user."""
  team = cluster(strategy)
  return team is None or team.is_chief


def share(strategy: tf.distribute.Strategy) -> pairs.Share:
  """This worker's part of every global batch."""
  team = cluster(strategy)
  return pairs.Share(team.index, len(team.addresses)) if team else pairs.WHOLE


def announce(strategy: tf.distribute.Strategy, stage: str) -> None:
  """One line a stage from the workers whose log is otherwise silent."""
  team = cluster(strategy)
  if team and not team.is_chief:
    print(f"{team}: {stage}", file=sys.stderr)


def distribute(
  strategy: tf.distribute.Strategy, batches: Callable[[], tf.data.Dataset]
) -> tf.distribute.DistributedDataset:
  """Hands each replica its slice of this worker's share of every batch, in order.

  Args:
    batches: makes the data set of this worker's shares.
  """
  team = cluster(strategy)
  num_workers = len(team.addresses) if team else 1
  num_local = strategy.num_replicas_in_sync // num_workers

  def per_replica(context: tf.distribute.InputContext) -> tf.data.Dataset:
    dataset = batches()
    if num_local > 1:
      size = tf.nest.flatten(dataset.element_spec)[0].shape[0]
      dataset = dataset.rebatch(size // num_local, drop_remainder=True)
    # TensorFlow would otherwise ask all workers before each batch whether any is left.
    infinite = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return dataset.apply(infinite)

  return strategy.distribute_datasets_from_function(per_replica)


def agree(strategy: tf.distribute.Strategy, value: int) -> int:
  """The chief's value, on every worker."""
  return int(from_chief(strategy, tf.constant(value, tf.int64)))


def from_chief(strategy: tf.distribute.Strategy, value: Any) -> Any:
  """The chief's tensor, on every worker; the same shape and type on all of them."""
  team = cluster(strategy)
  if team is None:
    return value
  return total(strategy, value if team.is_chief else tf.zeros_like(value))


def barrier(strategy: tf.distribute.Strategy) -> None:
  """Returns when every worker has come here."""
  agree(strategy, 0)


def first_signal(
  strategy: tf.distribute.Strategy, pending: Sequence[signal.Signals]
) -> signal.Signals | None:
  """The signal to leave on, the same on every worker, whichever it was sent to."""
  if cluster(strategy) is None:
    return pending[0] if pending else None
  counts = total(strategy, tf.constant([pending.count(s) for s in _SIGNALS], tf.int64))
  return next((s for s, count in zip(_SIGNALS, counts.numpy()) if count), None)


def total(strategy: tf.distribute.Strategy, value: Any) -> tf.Tensor:
  """The sum over all workers, known to each."""
  # identity: TensorFlow may have put an equal constant on a device of no worker.
  summed = strategy.reduce(tf.distribute.ReduceOp.SUM, tf.identity(value), axis=None)
  return tf.convert_to_tensor(summed)
