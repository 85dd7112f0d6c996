"""The training loop: calls of one tf.function that runs N steps each.

Between two calls, the loop writes metrics and checkpoints and handles signals. Within a
call, no Python code runs.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import progress, vocabulary
from tfdam.training import distribution
from tfdam.vocabulary import Stage

_ADVICE: dict[str, str] = {
  Stage.SOURCE_ONLY: "Lower source.learning_rate.",
  Stage.ADAPTED: "Lower adapt.target_learning_rate and"
  " adapt.discriminator_learning_rate, or raise adapt.drift_weight.",
  vocabulary.TRANSLATION: "Lower translation.learning_rate.",
}
# If a call takes this many times as long as those before, and at least this many seconds,
# it no longer computes: it is waiting for other workers.
_SLOWER, _LONG_S = 3.0, 10.0


class Step(Protocol):
  """One update on one replica; returns a float32 scalar for each name in metric_names."""

  @property
  def metric_names(self) -> Sequence[str]: ...

  def __call__(self, batch: Any) -> dict[str, tf.Tensor]: ...


class Record(Protocol):
  """Stores what a loop measures: records.Records in a run folder, or a list in memory."""

  def forget_after(self, stage: str, step: int) -> None: ...

  def write(
    self, stage: str, step: int, values: Mapping[str, float], phase: str
  ) -> None: ...

  def continue_clock(self, seconds: float) -> None: ...

  def elapsed(self) -> dict[str, float]: ...


class Keeper(Protocol):
  """Saves and restores a stage, so that it survives kills and signals.

  In a run folder this is runs/checkpoints.py or, with several workers, runs/workers.py.
  """

  def restore(self) -> Mapping[str, Any] | None:
    """Restores the newest checkpoint; returns the `info` that `save` was given, or None."""
    ...

  def save(self, step: int, info: Mapping[str, Any]) -> None: ...

  def deferred_signals(self) -> contextlib.AbstractContextManager[list[signal.Signals]]:
    """Collects signals that would otherwise end the process in the middle of a step."""
    ...

  def allow(self, seconds: float) -> None:
    """Sets how long the next call may still take after a signal arrives."""
    ...


class Phase(NamedTuple):
  """A part of a stage with one step function, and hence one trace.

  Attributes:
    name: shown in the records of its steps.
    step: the update.
    num_steps: how many updates.
  """

  name: str
  step: Step
  num_steps: int


class Look(NamedTuple):
  """A callback between steps, such as scoring; it must not change any weight.

  Attributes:
    every: steps between two calls, above 0.
    call: takes the number of steps done.
  """

  every: int
  call: Callable[[int], None]


class NonFiniteLoss(config_lib.UserError):
  """Raised when a loss becomes infinite or nan."""


def run(
  stage: str,
  phases: Sequence[Phase],
  batches: Callable[[int], tf.data.Dataset],
  strategy: tf.distribute.Strategy,
  keeper: Keeper | None,
  record: Record,
  options: config_lib.Loop,
  looks: Sequence[Look] = (),
) -> float:
  """Runs a stage to its end, from its newest checkpoint if there is one.

  Args:
    stage: the stage's name in results and summaries.
    phases: in training order.
    batches: takes a step, and returns this worker's data set from that step on.
    strategy: the strategy that distributes the steps.
    keeper: saves and restores everything that changes in this stage; None for no
      checkpoints and no handling of signals.
    record: stores metrics.
    options: how often to log and save.
    looks: callbacks, called in order before the first step, at their steps and at the end.
      Their time is not counted.

  Returns:
    Steps per second of the whole loop, including data and logging but not compilation; nan
    if there was nothing left to do.

  Raises:
    NonFiniteLoss: names the loss and the steps between which it happened.
    SystemExit: 128 + the signal's number, after SIGTERM or SIGINT and a checkpoint.
  """
  work = _Work(stage, phases, strategy, keeper, record, options, looks)
  is_fresh = not work.resume()
  if work.done == work.total:
    if is_fresh:  # A stage without steps also saves its network, for evaluation and export.
      work.save()
    return work.clock.rate()
  iterator = iter(distribution.distribute(strategy, lambda: batches(work.done)))
  if is_fresh:
    for look in looks:
      look.call(0)
  waits: Any = keeper.deferred_signals() if keeper else contextlib.nullcontext([])
  with waits as pending, progress.bar(stage, work.done, work.total) as shown:
    phase_end = 0
    for phase in phases:
      phase_end += phase.num_steps
      if work.done < phase_end:
        work.do(phase, phase_end, iterator, pending, shown)
  leave = distribution.first_signal(strategy, pending)
  if leave:
    raise SystemExit(128 + leave)
  return work.clock.rate()


class _Work:
  """The state of a running stage, and what is done after each call.

  Attributes:
    total: number of steps of the stage.
    done: number of steps done.
    clock: measures their speed.
  """

  def __init__(
    self,
    stage: str,
    phases: Sequence[Phase],
    strategy: tf.distribute.Strategy,
    keeper: Keeper | None,
    record: Record,
    options: config_lib.Loop,
    looks: Sequence[Look],
  ):
    """Takes the arguments of `run`."""
    self._stage, self._strategy, self._keeper = stage, strategy, keeper
    self._record, self._options, self._looks = record, options, looks
    self.total = sum(phase.num_steps for phase in phases)
    self.done, self.clock = 0, _Clock(0, 0.0)

  def resume(self) -> bool:
    """Resumes from the newest checkpoint; returns whether there is one."""
    info: Any = (self._keeper.restore() if self._keeper else None) or {}
    if info:
      self.done = info.get("step", 0)
      self.clock = _Clock(info.get("steps", 0), info.get("seconds", 0.0))
      logging.info("%s: resumed at step %d of %d.", self._stage, self.done, self.total)
    # A fresh start also drops records that a killed run wrote before its first step.
    self._record.forget_after(self._stage, self.done if info else -1)
    self._record.continue_clock(info.get("run_seconds", 0.0))
    return bool(info)

  def save(self) -> None:
    if self._keeper:
      about = {"stage": self._stage, "total": self.total}
      self._keeper.save(
        self.done, {**about, **self.clock.state(), **self._record.elapsed()}
      )

  def do(
    self,
    phase: Phase,
    end: int,
    iterator: Any,
    pending: Sequence[signal.Signals],
    shown: Any,
  ) -> None:
    """Runs a phase up to its last step.

    Args:
      phase: the phase.
      end: number of steps of the stage that are done at the end of the phase.
      iterator: over the batches.
      pending: collects signals that arrive.
      shown: the progress bar (see progress.bar).

    Raises:
      NonFiniteLoss, SystemExit: see `run`.
    """
    # A concrete function cannot trace again, so there is one trace per phase.
    compiled = compile_steps(phase.step, self._strategy)
    many_steps = compiled.get_concrete_function(iterator, tf.constant(0))
    many_steps(iterator, tf.constant(0))  # optimises the graph before the clock starts
    self.clock.resume()
    shown.begin(self.done)
    while self.done < end:
      count = self._steps_at_once(end)
      if self._keeper:
        self._keeper.allow(max(_LONG_S, _SLOWER * self.clock.expected(count)))
      means = {
        name: float(value)
        for name, value in many_steps(iterator, tf.constant(count)).items()
      }
      last, is_kept = self.done + count, self._keeper is not None
      _check_finite(means, self._stage, self.done, last, is_kept)
      self.done = last
      self.clock.count(count)
      self._record.write(self._stage, self.done, means, phase.name)
      shown.update(self.done, means)
      self._look()  # Before the checkpoint: a run resumed from it finds their records.
      self._save_or_leave(pending)
    self.clock.pause()

  def _steps_at_once(self, end: int) -> int:
    """Steps until the next log line, checkpoint, callback or end of the phase."""
    periods = [self._options.checkpoint_every, *(look.every for look in self._looks)]
    due = (every - self.done % every for every in periods)
    return min(self._options.log_every, end - self.done, *due)

  def _look(self) -> None:
    is_last = self.done == self.total
    due = [look for look in self._looks if is_last or self.done % look.every == 0]
    if due:
      self.clock.pause()
      for look in due:
        look.call(self.done)
      self.clock.resume()

  def _save_or_leave(self, pending: Sequence[signal.Signals]) -> None:
    """Saves if a checkpoint is due or a signal has arrived; exits after a signal."""
    leave = distribution.first_signal(self._strategy, pending)
    is_last = self.done == self.total
    if is_last or self.done % self._options.checkpoint_every == 0 or leave:
      self.save()
    if leave and not is_last:
      logging.warning("%s at step %d of %s: saved.", leave.name, self.done, self._stage)
      raise SystemExit(128 + leave)


def compile_steps(step: Step, strategy: tf.distribute.Strategy) -> Any:
  """Compiles a loop of steps on every replica into one function.

  Returns:
    A tf.function (iterator, count int32 []) -> {metric: float32 [], mean over steps and
    replicas}. The count is a tensor, since a Python number would trace for each value.
  """
  names = tuple(step.metric_names)

  def one_step(batch: Any) -> tf.Tensor:
    metrics = step(batch)
    # One vector of all metrics: each reduction across workers costs a round trip.
    return tf.stack([metrics[name] for name in names])

  # Without AutoGraph: rewriting the steps' source takes longer than tracing them, and
  # needs space for temporary files.
  @tf.function(autograph=False)
  def many_steps(iterator: Any, count: tf.Tensor) -> dict[str, tf.Tensor]:
    def one_more(done: tf.Tensor, totals: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
      metrics = strategy.run(one_step, args=(next(iterator),))
      mean = strategy.reduce(tf.distribute.ReduceOp.MEAN, metrics, axis=None)
      return done + 1, totals + mean

    start = (tf.constant(0), tf.zeros([len(names)]))
    _, totals = tf.while_loop(lambda done, _: done < count, one_more, start)
    return dict(zip(names, tf.unstack(totals / tf.cast(count, tf.float32))))

  return many_steps


def _check_finite(
  means: dict[str, float], stage: str, first: int, last: int, is_kept: bool
) -> None:
  # These are means over several steps: one bad step makes them infinite or nan.
  for name, value in means.items():
    if not math.isfinite(value):
      raise NonFiniteLoss(
        f"{name} became {value} between steps {first} and {last} of {stage}."
        f"{' The last checkpoint is from before.' if is_kept else ''}",
        _ADVICE.get(stage, ""),
      )


class _Clock:
  """Counts steps and seconds of the loop, over all processes that ran it."""

  def __init__(self, steps: int, seconds: float):
    self._steps, self._seconds = steps, seconds
    self._since = 0.0

  def resume(self) -> None:
    self._since = time.perf_counter()

  def count(self, steps: int) -> None:
    now = time.perf_counter()
    self._steps, self._seconds = self._steps + steps, self._seconds + now - self._since
    self._since = now

  def pause(self) -> None:
    self.count(0)

  def state(self) -> dict[str, Any]:
    return {"steps": self._steps, "seconds": self._seconds}

  def expected(self, count: int) -> float:
    """Expected seconds for `count` steps; 0 before the first step."""
    return count * self._seconds / self._steps if self._steps else 0.0

  def rate(self) -> float:
    return self._steps / self._seconds if self._seconds else math.nan
