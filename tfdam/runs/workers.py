"""Several workers in one run: who writes, what all must agree on, and what if one dies.

All workers save, restore and read networks together: a variable that is averaged when it is
read, such as a moving statistic, waits for every worker. The communication itself is in
training/distribution.py.

With one worker these functions do nothing and cost nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam import cluster as cluster_lib
from tfdam import config as config_lib
from tfdam.runs import checkpoints as checkpoints_lib
from tfdam.runs import run_folder, supervisor
from tfdam.training import distribution

# A network file system may cache for so long that a file does not exist.
_SECONDS_FOR_A_FILE = 60.0
# Time to write gigabytes to a network file system.
_SECONDS_TO_SAVE = 60.0
_SECONDS_FOR_OTHERS = 10.0


class WorkerLost(config_lib.UserError):
  """Another worker is gone; the run can be started again."""

  # EX_TEMPFAIL of sysexits.h: unlike a user's mistake, trying again is worth it.
  exit_status = 75


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
    """Writes one checkpoint; all workers wait until the chief's is whole."""
    supervisor.allow(_SECONDS_TO_SAVE)
    super().save(step, info)
    supervisor.allow(_SECONDS_FOR_OTHERS)
    distribution.barrier(self._strategy)

  def newest(self) -> str | None:
    """The checkpoint that the chief resumes from, on all workers.

    Raises:
      config.UserError: this worker cannot read it.
    """
    chief = distribution.is_chief(self._strategy)
    place = super().newest() if chief else None
    step = distribution.agree(self._strategy, int(os.path.basename(place)) if place else -1)
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
  """Yields the folder to which this worker writes: only the chief's is the run folder.

  The other workers get temporary folders, so code that writes need not know its worker.
  """
  if distribution.is_chief(strategy):
    yield folder
    return
  with tempfile.TemporaryDirectory(prefix="tfdam-worker-") as path:
    yield run_folder.RunFolder(path, shared_path=folder.path)


def check_shared(strategy: tf.distribute.Strategy, folder: run_folder.RunFolder) -> None:
  """Raises config.UserError on a worker that does not see what the chief wrote."""
  if distribution.cluster(strategy) is None:
    return
  distribution.barrier(strategy)  # From here on, the chief has written config.json.
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

  Without this check, workers could use different learning rates, or wait for a call that
  another worker never makes; and only the chief's weights would be saved.

  Args:
    strategy: the run's.
    folder: the run folder.
    config: this worker's.
    digests: {role: {file: MD5}} of the data that this worker reads.
  """
  team = distribution.cluster(strategy)
  if team is None:
    return
  fields = config_lib.shared_fields(config)
  roles = ("source", "target", run_folder.NETWORK)
  trained_on = {role: digests.get(role) for role in roles}
  text = json.dumps([fields, trained_on], sort_keys=True)
  own = zlib.crc32(text.encode())
  differs = own != distribution.agree(strategy, own)
  flags = tf.one_hot(team.index, len(team.addresses), dtype=tf.int64) * int(differs)
  differing = np.flatnonzero(distribution.total(strategy, flags).numpy())
  others = [team.describe(int(i)) for i in differing]
  if not others:
    return
  raise config_lib.UserError(
    f"{', '.join(others)} was started with another config or other data than the chief."
    f"{_unlike_chief(folder, config) if differs else ''} Start all workers with the same"
    " command and the same data."
  )


def _unlike_chief(folder: run_folder.RunFolder, config: config_lib.Config) -> str:
  """Describes the fields in which this worker differs from the run's config.json."""
  chief = run_folder.RunFolder(folder.shared_path).read_config()
  there = config_lib.shared_fields(chief)
  here = config_lib.shared_fields(config)
  found = [f"{k}: {v!r} here, {there[k]!r} there" for k, v in here.items() if v != there[k]]
  if found:
    return f" {'; '.join(found)}."
  # If the run is resumed, the chief's `loop` fields may differ from config.json.
  return (
    " No field differs from config.json: the data differs, or the chief was started with"
    " other fields."
  )


@contextlib.contextmanager
def loss_explained(
  strategy: tf.distribute.Strategy, folder: run_folder.RunFolder
) -> Iterator[None]:
  """Turns TensorFlow's errors after the loss of another worker into WorkerLost.

  TensorFlow notices a closed connection at once, and a silent worker by its heartbeat.

  Raises:
    WorkerLost: another worker is gone.
  """
  try:
    yield
  except tf.errors.OpError as error:
    team = distribution.cluster(strategy)
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
  """A sentence, without its full stop, on what was saved of the run in a run folder."""
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
