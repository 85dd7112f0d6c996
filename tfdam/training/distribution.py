"""Communication between workers, and the distribution of batches over workers and replicas.

TensorFlow's collective operations are matched by their order, so every worker must make the
same calls in the same order. Facts that one worker alone knows (which checkpoint is whole,
whether a signal came) are therefore shared before any decision depends on them.

With one worker these functions do nothing and cost nothing.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfdam import cluster as cluster_lib
from tfdam.data import pairs

_SIGNALS = (signal.SIGTERM, signal.SIGINT)  # SIGTERM has precedence.


def cluster(strategy: tf.distribute.Strategy) -> cluster_lib.Cluster | None:
  """The workers that train under a strategy; None if this process trains alone."""
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return cluster_lib.from_environment()
  return None


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Whether this process writes the run folder and reports to the user."""
  team = cluster(strategy)
  return team is None or team.is_chief


def share(strategy: tf.distribute.Strategy) -> pairs.Share:
  """This worker's part of every global batch."""
  team = cluster(strategy)
  return pairs.Share(team.index, len(team.addresses)) if team else pairs.WHOLE


def announce(strategy: tf.distribute.Strategy, stage: str) -> None:
  """Prints one line per stage on workers other than the chief, which log nothing else."""
  team = cluster(strategy)
  if team and not team.is_chief:
    print(f"{team}: {stage}", file=sys.stderr)


def distribute(
  strategy: tf.distribute.Strategy, batches: Callable[[], tf.data.Dataset]
) -> tf.distribute.DistributedDataset:
  """Gives each replica its slice of this worker's share of every batch, in order.

  Args:
    strategy: the strategy of the run.
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
    # Else TensorFlow asks all workers before each batch whether one is left.
    infinite = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return dataset.apply(infinite)

  return strategy.distribute_datasets_from_function(per_replica)


def agree(strategy: tf.distribute.Strategy, value: int) -> int:
  """Returns the chief's integer on every worker."""
  return int(from_chief(strategy, tf.constant(value, tf.int64)))


def from_chief(strategy: tf.distribute.Strategy, value: Any) -> Any:
  """Returns the chief's tensor on every worker; shape and dtype must be equal on all."""
  team = cluster(strategy)
  if team is None:
    return value
  return total(strategy, value if team.is_chief else tf.zeros_like(value))


def barrier(strategy: tf.distribute.Strategy) -> None:
  """Waits until every worker has called this."""
  agree(strategy, 0)


def first_signal(
  strategy: tf.distribute.Strategy, pending: Sequence[signal.Signals]
) -> signal.Signals | None:
  """The signal to stop on, the same on all workers, whichever of them received it."""
  if cluster(strategy) is None:
    return pending[0] if pending else None
  counts = total(strategy, tf.constant([pending.count(s) for s in _SIGNALS], tf.int64))
  return next((s for s, count in zip(_SIGNALS, counts.numpy()) if count), None)


def total(strategy: tf.distribute.Strategy, value: Any) -> tf.Tensor:
  """Returns the sum over all workers, on each of them."""
  # identity: TensorFlow may have placed an equal constant on a device of no worker.
  summed = strategy.reduce(tf.distribute.ReduceOp.SUM, tf.identity(value), axis=None)
  return tf.convert_to_tensor(summed)
