"""Asks inference.py's processes in turn until each has answered enough queries."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from benchmarks import inference_candidates, inference_report
from tfdam import progress

Workers = dict[str, inference_candidates.Worker]
# Warm-up queries before the first round, and before each later one, as other candidates
# have used the caches since.
_FIRST_WARM_UP, _WARM_UP = 5, 2


class Budget(NamedTuple):
  """How long each candidate is timed, in each way.

  Attributes:
    queries: number of queries.
    seconds: of timing.
    needs_both: whether both have to be reached; if not, either is enough.
  """

  queries: int
  seconds: float
  needs_both: bool

  def is_met(self, queries: int, seconds: float) -> bool:
    met = (queries >= self.queries, seconds >= self.seconds)
    return all(met) if self.needs_both else any(met)


class Timed(NamedTuple):
  """The measurements.

  Attributes:
    candidates: {name: {"latency_ms": {way: summary}, "peak_resident_mb", and "profile" for
      ONNX Runtime}}.
    gflop_per_s: of a matrix product, by round; empty if that could not be measured.
    num_rounds: of the candidate with the most rounds.
    others_cpu_share: the share of the machine's processor time that went to other programs
      and other virtual machines; None except on Linux.
  """

  candidates: dict[str, dict[str, Any]]
  gflop_per_s: list[float]
  num_rounds: int
  others_cpu_share: float | None


class _Series:
  """The queries of one candidate in one way."""

  def __init__(self, worker: inference_candidates.Worker, way: str):
    self.way = way
    self.rounds: list[list[float]] = []
    self._worker = worker
    self._seconds = 0.0

  def measure(self, budget: Budget, num_rounds: int, seed: Sequence[int]) -> None:
    """Measures one round, with its share of the budget."""
    answer = self._worker.ask(
      "time", way=self.way, seed=list(seed), both=budget.needs_both,
      warm_up=_WARM_UP if self.rounds else _FIRST_WARM_UP,
      queries=math.ceil(budget.queries / num_rounds), seconds=budget.seconds / num_rounds,
    )  # fmt: skip
    self.rounds.append(answer["ms"])
    self._seconds += answer["seconds"]

  def is_done(self, budget: Budget) -> bool:
    return budget.is_met(sum(map(len, self.rounds)), self._seconds)


def measure(
  workers: Workers, ways: Sequence[str], budget: Budget, num_rounds: int, seed: int
) -> Timed:
  """Times all candidates, then measures their memory and profiles them.

  Args:
    workers: by name; "gemm", if given, measures the machine's limit.
    ways: "host", "resident".
    budget: of each candidate, in each way.
    num_rounds: the least number of rounds; candidates get more until the budget is met.
    seed: of the order of the images.
  """
  candidates = {name: worker for name, worker in workers.items() if name != "gemm"}
  series = {name: [_Series(w, way) for way in ways] for name, w in candidates.items()}
  busy, ours, start = _busy_seconds(), _own_seconds(workers), time.perf_counter()
  gflop_per_s, rounds_done = _rounds(workers, series, budget, num_rounds, seed)
  share = None
  if busy is not None:
    others = (_busy_seconds() or 0.0) - busy - (_own_seconds(workers) - ours)
    every = (time.perf_counter() - start) * (os.cpu_count() or 1)
    share = max(0.0, others / every)
  logging.info("inference: profiling.")
  found = {}
  for name, worker in candidates.items():
    found[name] = {
      "latency_ms": {s.way: inference_report.summary(s.rounds) for s in series[name]},
      "peak_resident_mb": worker.ask("usage")["peak_resident_mb"],
    }
    if inference_candidates.KINDS[name].worker == "onnx":
      found[name]["profile"] = worker.ask("profile")
  return Timed(found, gflop_per_s, rounds_done, share)


def _rounds(
  workers: Workers,
  series: Mapping[str, Sequence[_Series]],
  budget: Budget,
  num_rounds: int,
  seed: int,
) -> tuple[list[float], int]:
  """Returns GFLOP/s by round, and the number of rounds."""
  gflop_per_s: list[float] = []
  waiting = [one for ways in series.values() for one in ways]
  done, total = 0, num_rounds * len(waiting)
  with progress.bar("timing", 0, total, "turns") as shown:
    for number in itertools.count():
      if number >= num_rounds:
        waiting = [one for one in waiting if not one.is_done(budget)]
      if not waiting:
        return gflop_per_s, number
      if "gemm" in workers:
        gflop_per_s.append(workers["gemm"].ask("gemm")["gflop_per_s"])
      # In alternating order, so that no candidate always follows the same one.
      for one in waiting if number % 2 == 0 else reversed(waiting):
        one.measure(budget, num_rounds, (seed, number))
        done += 1
        shown.update(min(done, total), {})
  raise AssertionError("counting has no end")


def _own_seconds(workers: Workers) -> float:
  """Returns the processor seconds of this process and of the workers."""
  asked = sum(worker.ask("usage")["cpu_seconds"] for worker in workers.values())
  return time.process_time() + asked


def _busy_seconds() -> float | None:
  """Returns all processor seconds of this machine so far; None except on Linux."""
  try:
    with open("/proc/stat") as file:
      user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
  except OSError:
    return None
  return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
