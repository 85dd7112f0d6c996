"""Runs jobs, some at a time, until all rows of every group are from one source network.

A group is the jobs of one seed and target that start from the same source training. Another
kind of machine rounds differently and gives another source network. So only when the
group's first run has ended here is it known whether earlier records can be compared with
it. TensorFlow is not imported.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence

from absl import logging

from tfdam import config as config_lib
from tfdam import experiment as experiment_lib
from tfdam import progress, stored
from tfdam.reproduction import keys, plan, worker
from tfdam.reproduction import store as store_lib

_NETWORKS = "source_networks.json"
_SECONDS_BETWEEN_LOOKS = 0.5
_DAMAGED = "Remove it: the source networks are looked at again then."


class Scheduler:
  """Runs the jobs of a plan.

  Attributes:
    jobs: all of them, in order.
    failures: {job: why it has no result}.
  """

  def __init__(
    self,
    jobs: Iterable[plan.Job],
    store: store_lib.Store,
    places: worker.Places,
    limit_steps: int = 0,
    skipped: Mapping[plan.Job, str] | None = None,
  ):
    """Makes a scheduler; nothing is run yet.

    Args:
      jobs: parents before their children.
      store: of records.
      places: where runs lie.
      limit_steps: the most steps of a stage, for the records; 0 for no limit.
      skipped: {job: why it cannot run}.
    """
    self.jobs = list(jobs)
    self.store, self.places, self.limit_steps = store, places, limit_steps
    self.failures: dict[plan.Job, str] = dict(skipped or {})
    self._networks = self._read_networks()

  def missing(self) -> list[plan.Job]:
    """Returns the jobs that have to be run, as far as is known now, in order."""
    groups = store_lib.groups(self.jobs).values()
    return [job for group in groups for job in self._missing_of(group)]

  def _missing_of(self, group: Sequence[plan.Job]) -> list[plan.Job]:
    records = {job: self.store.find(job) for job in group}
    best = store_lib.best_network(records)
    here = self._network_here(group[0])
    if best is not None and all(best in of for of in records.values()):
      return []
    wanted = [job for job in group if here is None or here not in records[job]]
    # Jobs without a record first: their source network tells whether other records count.
    wanted.sort(key=lambda job: best in records[job])
    wanted = [job for job in wanted if not self.why_not(job)]
    # A child needs its parent's network, even if the parent has a record.
    parents = [
      job.parent for job in wanted if job.parent and not self._is_whole(job.parent)
    ]
    return list(dict.fromkeys([*parents, *wanted]))

  def why_not(self, job: plan.Job) -> str:
    """Returns why a job cannot get a result; empty if it has one or may get it."""
    if job not in self.failures and job.parent and self.why_not(job.parent):
      return f"{job.parent.name}, whose network it starts from, has no result"
    return self.failures.get(job, "")

  def _is_whole(self, job: plan.Job) -> bool:
    """Whether a run has finished and its folder still has the checkpoints."""
    return bool(self.store.find(job)) and os.path.isdir(
      os.path.join(self.places.run(job), "checkpoints")
    )

  def run(self, slots: Sequence[worker.Slot], title: str) -> None:
    """Runs the missing jobs, one per slot at a time.

    A job that fails is noted, and the others go on. If this ends early, running jobs save
    their state and end.
    """
    total = sum(map(num_steps, self.missing()))
    if not total:
      return
    free, workers, shown_done = list(slots), list[worker.Worker](), 0
    with progress.bar(title, 0, total) as shown:
      try:
        while True:
          self._start(free, workers)
          if not workers and not self.missing():
            return
          time.sleep(_SECONDS_BETWEEN_LOOKS)
          for one in [one for one in workers if one.poll() is not None]:
            workers.remove(one)
            free.append(one.slot)
            self._finish(one)
          done = min(total, total - self._steps_left(workers))
          if done > shown_done:
            shown.update(done, {})
            shown_done = done
      finally:
        for one in workers:
          one.stop()
        for one in workers:
          one.wait()

  def _start(self, free: list[worker.Slot], workers: list[worker.Worker]) -> None:
    """Starts jobs in free slots."""
    codes = self.store.same_bits()
    for job in self._startable([one.job for one in workers])[: len(free)]:
      worker.begin(job, self.places, keys.of_code(), codes)
      logging.info("%s: starts; its log is %s.", job.name, self.places.log(job))
      workers.append(worker.Worker(job, free.pop(0), self.places))

  def _startable(self, working: Sequence[plan.Job]) -> list[plan.Job]:
    """Returns the jobs that may start beside the running ones, in order."""
    found = []
    # Only one job per source network that has yet to be trained: others would wait for it.
    busy = {_training(job) for job in working if not self._is_trained(job)}
    for job in self.missing():
      waits = job.parent and (job.parent in working or not self._is_whole(job.parent))
      is_busy = _training(job) in busy or not self.places.is_free(job)
      if job in working or waits or is_busy:
        continue
      if not self._is_trained(job):
        busy.add(_training(job))
      found.append(job)
    return found

  def _steps_left(self, workers: Sequence[worker.Worker]) -> int:
    working = {one.job for one in workers}
    left = sum(num_steps(job) for job in self.missing() if job not in working)
    return left + sum(
      max(0, num_steps(job) - store_lib.num_steps_done(self.places.run(job), job.config))
      for job in working
    )

  def _finish(self, one: worker.Worker) -> None:
    job = one.job
    try:
      if not one.poll():
        raise config_lib.UserError(one.reason())
      record = store_lib.make(
        job, self.places.run(job), self.limit_steps, worker.shown_command(job),
        len(one.slot.cores),
      )  # fmt: skip
    except config_lib.UserError as error:
      self.failures[job] = str(error)
      logging.error("%s failed: %s", job.name, error)
      return
    self.store.add(record)
    self._note_network(job, record["source_network"])
    minutes = (time.monotonic() - one.started) / 60
    logging.info("%s: ended after %.1f minutes.", job.name, minutes)

  def _network_here(self, job: plan.Job) -> str | None:
    """Returns the source network of a job's group on this machine; None if unknown."""
    return self._networks.get(_training(job), {}).get(job.target)

  def _is_trained(self, job: plan.Job) -> bool:
    """Whether the job's source network is in this machine's cache."""
    return bool(self._networks.get(_training(job)))

  def _note_network(self, job: plan.Job, network: str) -> None:
    self._networks.setdefault(_training(job), {})[job.target] = network
    path = os.path.join(self.places.folder, _NETWORKS)
    stored.write_text(path, json.dumps(self._networks, indent=1) + "\n")

  def _read_networks(self) -> dict[str, dict[str, str]]:
    """Returns {training: {target: source network}} for this machine's cache."""
    if not os.path.isdir(self.places.cache):
      return {}
    path = os.path.join(self.places.folder, _NETWORKS)
    return stored.read(path, dict[str, dict[str, str]], _DAMAGED) or {}


def _training(job: plan.Job) -> str:
  """Returns a name for the training of a job's source network."""
  return f"{job.source_key}-{job.seed}-{keys.of_code()}"


def num_steps(job: plan.Job) -> int:
  """Returns a job's number of steps, including source training; 1 if it trains nothing."""
  if job.run.command == experiment_lib.ORACLE:
    return 1
  return max(1, job.config.source.steps + job.config.adapt.steps)
