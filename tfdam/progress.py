"""A progress bar on a terminal, or one line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import logging as std_logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import rich.console
import rich.file_proxy
import rich.progress
import rich.table
from absl import flags, logging

from tfdam import files, terminal

_SECONDS_BETWEEN_LINES = 10.0
# Shorter silences are not mentioned, on a terminal and in a log.
_SECONDS_UNWATCHED, _SECONDS_UNTOLD = 1.0, 5.0
_SECONDS_BETWEEN_LOOKS = 0.25
# Titles of the bars within whose bodies the program is.
_open: list[str] = []
# The object that tells of silence, if there is one.
_tellers: list[_Teller] = []


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
  console = terminal.console(stderr=True)
  is_outer = not _open
  _open.append(title)
  _end_silence()
  try:
    if not is_outer or not _is_watched(console):
      yield _Lines(title, done, total, unit, tells_end=is_outer)
      return
    with (
      rich.progress.Progress(*_columns(), console=console, expand=True) as shown,
      _log_above(),
    ):
      task = shown.add_task(title, total=total, completed=done, rate="", losses="")
      yield _Bar(shown, task, done, unit)
  finally:
    _open.remove(title)
    _end_silence()


@contextlib.contextmanager
def _log_above() -> Iterator[None]:
  """Writes lines of the log above the open bar, not into it."""
  handler = logging.get_absl_handler().python_handler
  before = handler.setStream(sys.stderr)  # The bar has replaced sys.stderr by now.
  try:
    yield
  finally:
    if before:
      handler.setStream(before)


@contextlib.contextmanager
def waiting(title: str = "at work") -> Iterator[_Teller]:
  """Shows how long nothing has been shown: no bar, and no line of the log.

  On a terminal a line with a spinner shows it, and disappears with the next output.
  Elsewhere the log has it. The work inside must not print anything itself.

  Yields an object with `now(title)`, which changes the title.

  Args:
    title: what is being done.
  """
  if _tellers:
    with _tellers[0].about(title):
      yield _tellers[0]
    return
  teller = _Teller(title)
  _tellers.append(teller)
  try:
    with teller.listening():
      yield teller
  finally:
    _tellers.remove(teller)


class _Teller(std_logging.Handler):
  """A thread that notices silence, and a handler of the log that notices its end."""

  def __init__(self, title: str):
    super().__init__()
    self._title = files.shown(title)
    self._console = terminal.console(stderr=True)
    self._shown: rich.progress.Progress | None = None
    # Reentrant: a signal handler may log while this thread writes its own line.
    self._changing = threading.RLock()
    self._over = threading.Event()
    self._thread = threading.Thread(target=self._listen, daemon=True)
    self.heard()

  @contextlib.contextmanager
  def listening(self) -> Iterator[None]:
    logger = logging.get_absl_logger()
    logger.addHandler(self)
    self._thread.start()
    try:
      yield
    finally:
      self._over.set()
      self._thread.join()
      logger.removeHandler(self)
      self.heard()

  def now(self, title: str) -> None:
    """Changes the title; this does not end the silence."""
    with self._changing:
      self._title = files.shown(title)
      if self._shown:
        self._shown.update(self._shown.task_ids[0], description=self._title)

  @contextlib.contextmanager
  def about(self, title: str) -> Iterator[None]:
    """Changes the title inside a `with` block."""
    before, self._title = self._title, files.shown(title)
    self.heard()
    try:
      yield
    finally:
      self._title = before
      self.heard()

  def emit(self, record: std_logging.LogRecord) -> None:
    if threading.current_thread() is not self._thread:
      self.heard()

  def heard(self) -> None:
    """Ends a silence."""
    with self._changing:
      if self._shown:
        self._shown.stop()
      self._shown, self._start = None, time.monotonic()
      self._next = _SECONDS_UNTOLD

  def _listen(self) -> None:
    while not self._over.wait(_SECONDS_BETWEEN_LOOKS):
      with self._changing:
        silent, is_due = time.monotonic() - self._start, False
        if _is_watched(self._console):
          # Rich replaces sys.stderr while a bar of another module is open.
          is_drawn = bool(_open) or isinstance(sys.stderr, rich.file_proxy.FileProxy)
          if is_drawn:
            self.heard()
          elif silent > _SECONDS_UNWATCHED and not self._shown:
            self._show()
        elif silent >= self._next:
          is_due, self._next = True, self._next + _SECONDS_BETWEEN_LINES
      if is_due:  # Outside the lock, because the log has one as well.
        logging.info("%s (%.0f s so far)", [self._title, *_open][-1], silent)

  def _show(self) -> None:
    columns = (
      rich.progress.SpinnerColumn(),
      rich.progress.TextColumn("{task.description}", markup=False),
      rich.progress.TimeElapsedColumn(),
    )
    # No redirection: standard output belongs to its reader.
    self._shown = rich.progress.Progress(
      *columns, console=self._console, transient=True, redirect_stdout=False,
      redirect_stderr=False,
    )  # fmt: skip
    self._shown.add_task(self._title, total=None)
    self._shown.start()


def _end_silence() -> None:
  for teller in _tellers:
    teller.heard()


def _is_watched(console: rich.console.Console) -> bool:
  """Whether output goes to a terminal that can move its cursor, or to a notebook."""
  if not (sys.stderr.isatty() or console.is_jupyter) or console.is_dumb_terminal:
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
