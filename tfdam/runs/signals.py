"""SIGTERM and SIGINT: no step is interrupted, and the exit status names the signal."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Callable, Iterator

_CAUGHT = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def deferred() -> Iterator[list[signal.Signals]]:
  """Collects signals in the yielded list, for the loop to act on between two calls.

  A SIGINT after another signal ends the process at once.
  """
  pending: list[signal.Signals] = []

  def remember(number: int, frame: types.FrameType | None) -> None:
    if number == signal.SIGINT and pending:
      raise SystemExit(128 + number)
    pending.append(signal.Signals(number))

  with _handled(remember):
    yield pending


@contextlib.contextmanager
def exit_at_once() -> Iterator[None]:
  """Turns a signal into SystemExit(128 + number), for work short enough to repeat."""

  def leave(number: int, frame: types.FrameType | None) -> None:
    raise SystemExit(128 + number)

  with _handled(leave):
    yield


@contextlib.contextmanager
def _handled(handler: Callable) -> Iterator[None]:
  before = {number: signal.signal(number, handler) for number in _CAUGHT}
  try:
    yield
  finally:
    for number, former in before.items():
      signal.signal(number, former)
