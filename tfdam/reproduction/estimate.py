"""Estimates how long runs take from recorded rates. TensorFlow is not imported."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from tfdam import config as config_lib
from tfdam import experiment as experiment_lib
from tfdam.reproduction import plan
from tfdam.reproduction import store as store_lib

# The fields that a step's time depends on besides the network's, for each stage.
_OF_SOURCE = ("source.global_batch_size", "source.augment")
_OF_ADAPT = (
  "adapt.global_batch_size", "adapt.taps", "adapt.objective", "adapt.augment",
  "adapt.discriminator", "adapt.information_weight", "adapt.source_label_weight",
  "adapt.self_training_weight", "adapt.curriculum_weight",
)  # fmt: skip
_OF_NETWORK = (
  "model.name", "model.width", "model.depth", "data.height", "data.width",
  "data.channels",
)  # fmt: skip
# Time besides steps: start, matching, scores and pictures.
_OTHER_SECONDS = 30.0


class Rates:
  """Estimates of the jobs' times in seconds, from the medians of measured rates."""

  def __init__(self, jobs: Iterable[plan.Job], store: store_lib.Store):
    """Reads the measured rates.

    Args:
      jobs: the jobs whose records are used.
      store: of records.
    """
    self._rates: dict[tuple, list[float]] = {}
    for job in jobs:
      for record in store.find(job, old_code=True).values():
        for stage, shape in _shapes(job.config).items():
          rate = record.get("timing", {}).get(f"{stage}_steps_per_s")
          if rate:
            self._rates.setdefault(shape, []).append(rate)

  def seconds(self, job: plan.Job, with_source: bool) -> float | None:
    """Returns how long a job takes, in seconds; None if nothing similar was measured.

    Args:
      job: the job.
      with_source: whether its source network has yet to be trained.
    """
    if job.run.command == experiment_lib.ORACLE:
      return _OTHER_SECONDS
    shapes, total = _shapes(job.config), _OTHER_SECONDS
    stages = {"adapt": job.config.adapt.steps + job.config.adapt.warmup_steps}
    if with_source or job.parent:
      stages["source"] = job.config.source.steps
    for stage, num_steps in stages.items():
      if num_steps and shapes[stage] not in self._rates:
        return None
      if num_steps:
        total += num_steps / statistics.median(self._rates[shapes[stage]])
    return total

  def of_all(self, jobs: Sequence[plan.Job], num_slots: int) -> tuple[float, int]:
    """Returns the seconds for all jobs, and how many of them have no estimate.

    Args:
      jobs: in order.
      num_slots: how many run at a time.
    """
    total, unknown = 0.0, 0
    seen: set[tuple[str, int]] = set()
    for job in jobs:
      training = job.source_key, job.seed
      seconds = self.seconds(job, training not in seen)
      seen.add(training)
      total += seconds or 0.0
      unknown += seconds is None
    return total / max(1, min(num_slots, len(jobs))), unknown


def _shapes(config: config_lib.Config) -> dict[str, tuple]:
  def values(stage: str, names: Iterable[str]) -> tuple:
    return stage, *(config_lib.get(config, name) for name in (*_OF_NETWORK, *names))

  return {"source": values("source", _OF_SOURCE), "adapt": values("adapt", _OF_ADAPT)}


def shown(seconds: float) -> str:
  """Returns a time as text, such as "2 h 05 min" or "40 s"."""
  if seconds < 60:
    return f"{seconds:.0f} s"
  minutes = round(seconds / 60)
  return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
