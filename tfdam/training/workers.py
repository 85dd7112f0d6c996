"""Several workers, one run: who writes, what all have to agree on, and when one dies.

TensorFlow's collective operations pair up by their order, so every worker makes the same
calls in the same order. What a worker alone knows (which checkpoint is whole, whether a
signal came) is shared before it decides anything. Saving, restoring and reading a network
are done by all of them: a variable that is averaged when it is read, as a moving statistic
may be, waits for every worker.

All that stands here does nothing, and costs nothing, with one worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam import cluster as cluster_lib
from tfdam import config as config_lib
from tfdam.data import pairs
from tfdam.training import checkpoints as checkpoints_lib
from tfdam.training import run_folder, supervisor

_SIGNALS = (signal.SIGTERM, signal.SIGINT)  # SIGTERM goes before
# A network file system may remember for so long that a file was not there.
_SECONDS_FOR_A_FILE = 60.0
# Writing gigabytes to one takes its time, too.
_SECONDS_TO_SAVE = 60.0
_SECONDS_FOR_OTHERS = 10.0


class WorkerLost(config_lib.UserError):
  """Another worker is gone; the run can be started again."""

  # EX_TEMPFAIL of sysexits.h: unlike a user's mistake, trying again is worth it.
  exit_status = 75


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

  def per_replica(context):
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
  return _sum(strategy, value if team.is_chief else tf.zeros_like(value))


def barrier(strategy: tf.distribute.Strategy) -> None:
  """Returns when every worker has come here."""
  agree(strategy, 0)


def first_signal(
  strategy: tf.distribute.Strategy, pending: Sequence[signal.Signals]
) -> signal.Signals | None:
  """The signal to leave on, the same on every worker, whichever it was sent to."""
  if cluster(strategy) is None:
    return pending[0] if pending else None
  counts = _sum(strategy, tf.constant([pending.count(s) for s in _SIGNALS], tf.int64))
  return next((s for s, count in zip(_SIGNALS, counts.numpy()) if count), None)


class Checkpoints(checkpoints_lib.Checkpoints):
  """A stage's checkpoints, saved and restored by all workers together."""

  def __init__(
    self,
    strategy: tf.distribute.Strategy,
    folder: run_folder.RunFolder,
    stage: str,
    objects: Mapping[str, Any],
    keep: int,
    prepare: Callable[[], None],
  ):
    super().__init__(folder.checkpoints(stage), objects, keep, prepare)
    self._strategy = strategy
    self._shared = os.path.join(folder.shared_path, "checkpoints", stage)

  def save(self, step: int, info: Mapping[str, Any]) -> None:
    """Writes one checkpoint; no worker goes on before the chief's is whole."""
    supervisor.allow(_SECONDS_TO_SAVE)
    super().save(step, info)
    supervisor.allow(_SECONDS_FOR_OTHERS)
    barrier(self._strategy)

  def newest(self) -> str | None:
    """The checkpoint that the chief resumes from, whatever another worker sees."""
    chief = is_chief(self._strategy)
    place = super().newest() if chief else None
    step = agree(self._strategy, int(os.path.basename(place)) if place else -1)
    if chief or step < 0:
      return place
    place = os.path.join(self._shared, f"{step:08d}")
    damage = checkpoints_lib.find_damage(place)
    if damage:
      raise config_lib.UserError(
        f"This worker cannot read the checkpoint {place} that the chief resumes from"
        f" ({damage}). Set --workdir to a folder that all workers share."
      )
    return place


@contextlib.contextmanager
def own_folder(
  strategy: tf.distribute.Strategy, folder: run_folder.RunFolder
) -> Iterator[run_folder.RunFolder]:
  """Yields where this worker writes: the run folder, or for all but the chief a throwaway.

  So nothing that writes has to know which worker it runs on.
  """
  if is_chief(strategy):
    yield folder
    return
  with tempfile.TemporaryDirectory(prefix="tfdam-worker-") as path:
    yield run_folder.RunFolder(path, shared_path=folder.path)


def check_shared(strategy: tf.distribute.Strategy, folder: run_folder.RunFolder) -> None:
  """Raises config.UserError on a worker that does not see what the chief wrote."""
  if cluster(strategy) is None:
    return
  barrier(strategy)  # the chief has written config.json
  path = os.path.join(folder.shared_path, "config.json")
  deadline = time.monotonic() + _SECONDS_FOR_A_FILE
  while not os.path.exists(path):
    if time.monotonic() > deadline:
      raise config_lib.UserError(
        f"This worker does not see {path}, which the chief wrote. Set --workdir to a folder"
        " that all workers share."
      )
    time.sleep(0.5)


def check_same(
  strategy: tf.distribute.Strategy,
  folder: run_folder.RunFolder,
  config: config_lib.Config,
  digests: Mapping[str, Any],
) -> None:
  """Raises config.UserError on every worker if one has another config or other data.

  Otherwise each would step by its own learning rate, or wait for a call that another does
  not make, and only the chief's weights would be saved.

  Args:
    digests: {role: {file: MD5}} of what this worker reads.
  """
  team = cluster(strategy)
  if team is None:
    return
  fields = config_lib.shared_fields(config)
  roles = ("source", "target", run_folder.NETWORK)
  trained_on = {role: digests.get(role) for role in roles}
  text = json.dumps([fields, trained_on], sort_keys=True)
  own = zlib.crc32(text.encode())
  differs = own != agree(strategy, own)
  flags = tf.one_hot(team.index, len(team.addresses), dtype=tf.int64) * int(differs)
  others = [team.describe(int(i)) for i in np.flatnonzero(_sum(strategy, flags).numpy())]
  if not others:
    return
  raise config_lib.UserError(
    f"{', '.join(others)} was started with another config or other data than the chief."
    f"{_unlike_chief(folder, config) if differs else ''} Start all workers with the same"
    " command and the same data."
  )


def _unlike_chief(folder: run_folder.RunFolder, config: config_lib.Config) -> str:
  """The fields in which this worker differs from what the run began with."""
  chief = run_folder.RunFolder(folder.shared_path).read_config()
  there = config_lib.shared_fields(chief)
  here = config_lib.shared_fields(config)
  found = [f"{k}: {v!r} here, {there[k]!r} there" for k, v in here.items() if v != there[k]]
  if found:
    return f" {'; '.join(found)}."
  # A resumed run's chief may have been given other `loop` fields than config.json has.
  return " No field differs from config.json: the data does, or what the chief was given."


@contextlib.contextmanager
def loss_explained(
  strategy: tf.distribute.Strategy, folder: run_folder.RunFolder
) -> Iterator[None]:
  """Turns what TensorFlow raises when another worker is gone into WorkerLost.

  TensorFlow notices a closed connection at once, and a silent worker by its heartbeat.
  """
  try:
    yield
  except tf.errors.OpError as error:
    team = cluster(strategy)
    if team is None or not _is_loss(error):
      raise
    raise WorkerLost(
      f"{_lost_worker(str(error), team)} no longer answers; its own log may say why."
      f" {saved(folder.shared_path)}: start all workers again with the same command to"
      " resume."
    ) from error


def _is_loss(error: tf.errors.OpError) -> bool:
  gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
  return isinstance(error, gone) or "Collective ops is aborted" in str(error)


def _lost_worker(message: str, team: cluster_lib.Cluster) -> str:
  """The first other worker among the device names in an error's text."""
  named = re.findall(r"/job:(chief|worker)(?:/replica:0)?/task:(\d+)", message)
  for job, number in named:
    task = f"{job}:{number}"
    if task in team.tasks and team.tasks.index(task) != team.index:
      return team.describe(team.tasks.index(task))
  return "Another worker"


def saved(path: str) -> str:
  """What the run folder holds of the run."""
  folder = os.path.join(path, "checkpoints")
  stages = os.listdir(folder) if os.path.isdir(folder) else []
  found = [
    (os.path.getmtime(os.path.join(folder, stage, f"{steps[-1]:08d}")), stage, steps[-1])
    for stage in stages
    if (steps := checkpoints_lib.steps(os.path.join(folder, stage)))
  ]
  if not found:
    return "Nothing was saved yet"
  _, stage, step = max(found)
  return f"The run was saved at step {step} of {stage}"


def _sum(strategy: tf.distribute.Strategy, value: Any) -> tf.Tensor:
  # identity: TensorFlow may have put an equal constant on a device of no worker.
  total = strategy.reduce(tf.distribute.ReduceOp.SUM, tf.identity(value), axis=None)
  return tf.convert_to_tensor(total)
