"""A progress bar on a terminal, or one line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import rich.console
import rich.progress
import rich.table
from absl import flags, logging

from tfdam import files

_SECONDS_BETWEEN_LINES = 10.0
# Titles of the bars that are open.
_open: list[str] = []


@contextlib.contextmanager
def bar(title: str, done: int, total: int, unit: str = "steps") -> Iterator[Any]:
  """Yields an object with `begin(done)`, for the first step, and `update(done, metrics)`.

  Inside another bar it writes lines, because two bars would draw over each other. It then
  writes none at its end, because short and frequent work need not be reported each time.

  Args:
    title: shown at the left.
    done: number of units already done.
    total: number of units in all.
    unit: what is counted, in the plural.
  """
  title = files.shown(title)
  console = rich.console.Console(stderr=True)
  is_outer = not _open
  _open.append(title)
  try:
    if not is_outer or not _is_watched(console):
      yield _Lines(title, done, total, unit, tells_end=is_outer)
      return
    with rich.progress.Progress(*_columns(), console=console, expand=True) as shown:
      task = shown.add_task(title, total=total, completed=done, rate="", losses="")
      yield _Bar(shown, task, done, unit)
  finally:
    _open.remove(title)


def _is_watched(console: rich.console.Console) -> bool:
  """Whether to draw a bar: on a terminal or in a notebook."""
  if not (sys.stderr.isatty() or console.is_jupyter):
    return False
  # A command that logs only warnings draws no bar, such as workers other than the chief. A
  # program that uses the library has not parsed absl's flags.
  return not flags.FLAGS.is_parsed() or logging.get_verbosity() >= logging.INFO


def _columns() -> list[rich.progress.ProgressColumn]:
  """A bar's columns. A narrow terminal cuts losses, then the title, but never numbers."""

  def column(min_width: int | None = None, ratio: int | None = None) -> rich.table.Column:
    return rich.table.Column(no_wrap=True, min_width=min_width, ratio=ratio)

  return [
    rich.progress.TextColumn("{task.description}", markup=False, table_column=column()),
    rich.progress.BarColumn(bar_width=12),
    rich.progress.MofNCompleteColumn(table_column=column(min_width=11)),
    rich.progress.TextColumn(
      "{task.fields[rate]}", markup=False, table_column=column(min_width=12)
    ),
    rich.progress.TimeRemainingColumn(table_column=column(min_width=7)),
    rich.progress.TextColumn(
      "{task.fields[losses]}", markup=False, table_column=column(ratio=1)
    ),
  ]


class _Bar:
  """A rich progress bar with steps/s, time left and the losses."""

  def __init__(
    self, shown: rich.progress.Progress, task: rich.progress.TaskID, done: int, unit: str
  ):
    self._shown, self._task, self._unit = shown, task, unit
    self.begin(done)

  def begin(self, done: int) -> None:
    self._start, self._first = time.perf_counter(), done

  def update(self, done: int, metrics: Mapping[str, float]) -> None:
    rate = (done - self._first) / (time.perf_counter() - self._start)
    shown_rate = f"{rate:.1f} {self._unit}/s"
    losses = _brief(metrics)
    self._shown.update(self._task, completed=done, rate=shown_rate, losses=losses)


class _Lines:
  """Log lines for a file or a pipe."""

  def __init__(self, title: str, done: int, total: int, unit: str, tells_end: bool):
    self._title, self._total, self._unit = title, total, unit
    self._tells_end = tells_end
    self.begin(done)

  def begin(self, done: int) -> None:
    self._start, self._first = time.perf_counter(), done
    self._last_line = self._start

  def update(self, done: int, metrics: Mapping[str, float]) -> None:
    now = time.perf_counter()
    is_end = self._tells_end and done >= self._total
    if now - self._last_line < _SECONDS_BETWEEN_LINES and not is_end:
      return
    self._last_line = now
    rate = (done - self._first) / (now - self._start)
    left = (self._total - done) / rate
    logging.info(
      "%s %d/%d, %.1f %s/s, %.0f s left%s",
      *(self._title, done, self._total, rate, self._unit, left, _brief(metrics, ", ")),
    )


def _brief(metrics: Mapping[str, float], lead: str = "") -> str:
  """Formats losses and discriminator accuracies; prepends `lead` if there are any."""
  parts = []
  for name, value in metrics.items():
    kind, _, rest = name.partition("/")
    if kind == "loss":
      parts.append(f"{rest} {value:.3g}")
    elif name.endswith("/accuracy"):
      parts.append(f"D({rest.rpartition('/')[0]}) {value:.0%}")
  return lead + " ".join(parts) if parts else ""
