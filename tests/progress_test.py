"""What a terminal shows of work that takes long."""

import io
import sys
import threading
from unittest import mock

import pytest
import rich.console
import rich.progress
import rich.text
from absl import logging

from tfdam import progress

# For a hang to end the test.
_HANGS = 60.0
_LOSSES = "target 0.0733 alignment 0.661 drift 0.144 discriminator 0.963 D(block06) 73 %"


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("title", ["adapted", "scoring ONNX Runtime, int8", "[/b][red]"])
def test_a_narrow_terminal_shows_steps_and_rate_and_what_fits_of_the_losses(width, title):
  written = io.StringIO()
  console = rich.console.Console(width=width, force_terminal=True, file=written)
  bar = rich.progress.Progress(*progress._columns(), console=console, expand=True)
  bar.add_task(title, total=10_000, completed=1_234, rate="12.3 steps/s", losses=_LOSSES)
  console.print(bar.get_renderable())
  plain = rich.text.Text.from_ansi(written.getvalue()).plain.rstrip("\n")
  assert len(plain.splitlines()) == 1
  for part in (title[:7], "1234/10000", "12.3 steps/s"):
    assert part in plain
  assert "alignment" in plain or width < 100


def test_a_bar_within_another_draws_none(monkeypatch):
  monkeypatch.setattr(progress, "_is_watched", lambda console: True)
  with progress.bar("adapted", 0, 10) as outer:
    with progress.bar("scoring test", 0, 10) as inner:
      assert isinstance(outer, progress._Bar)
      assert isinstance(inner, progress._Lines)
  with progress.bar("again", 0, 10) as after:
    assert isinstance(after, progress._Bar)


def test_the_end_of_a_bar_within_another_is_not_told(monkeypatch):
  said = []
  monkeypatch.setattr(progress, "_is_watched", lambda console: False)
  monkeypatch.setattr(progress.logging, "info", lambda *args: said.append(args[1]))
  monkeypatch.setattr(progress.time, "perf_counter", iter(range(100)).__next__)
  with progress.bar("adapted", 0, 10) as outer:
    for _ in range(3):
      with progress.bar("scoring test", 0, 10) as inner:
        inner.update(10, {})
    outer.update(10, {})
  assert said == ["adapted"]


@pytest.fixture
def impatient(monkeypatch):
  """Every silence is worth a word; yields what the log was given, and when it was."""
  for name in ("_SECONDS_UNWATCHED", "_SECONDS_UNTOLD"):
    monkeypatch.setattr(progress, name, -1.0)
  monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LOOKS", 0.001)
  monkeypatch.setattr(progress, "_is_watched", lambda console: False)
  told, lines = threading.Event(), []
  monkeypatch.setattr(
    progress.logging, "info", lambda *args: (lines.append(args[0] % args[1:]), told.set())
  )
  return told, lines


def wait_for(start, told, lines):
  """Returns when a line begins so; others may have been on their way."""
  while not any(line.startswith(start) for line in lines):
    told.clear()
    assert told.wait(_HANGS)


def test_a_silence_is_told_where_no_terminal_is(impatient):
  told, lines = impatient
  with progress.waiting("reading\x1b[2J"):
    assert told.wait(_HANGS)
  assert lines[0] == r"reading\x1b[2J (0 s so far)"
  assert not progress._tellers


def test_one_thread_tells_of_what_is_innermost(impatient):
  told, lines = impatient
  before = threading.active_count()
  with progress.waiting("exporting"), progress.waiting("calibrating"):
    assert threading.active_count() == before + 1
    wait_for("calibrating (", told, lines)
  assert threading.active_count() == before


def test_a_silence_within_a_bar_is_the_bars(impatient):
  told, lines = impatient
  with progress.waiting("at work"), progress.bar("adapted", 0, 10):
    wait_for("adapted (", told, lines)


def shown_silence():
  teller = progress._tellers[0]
  teller._shown = mock.Mock()
  return teller._shown


def test_a_line_of_the_log_or_a_bar_ends_what_is_shown_of_a_silence(monkeypatch):
  monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LOOKS", _HANGS)
  with progress.waiting():
    shown = shown_silence()
    logging.warning("a line")
    assert shown.stop.called
    shown = shown_silence()
    with progress.bar("adapted", 0, 10):
      assert shown.stop.called
    shown = shown_silence()
  assert shown.stop.called


def test_a_terminal_shows_a_silence_unless_there_is_a_bar(monkeypatch):
  monkeypatch.setattr(progress, "_SECONDS_UNWATCHED", -1.0)
  monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LOOKS", 0.001)
  monkeypatch.setattr(progress, "_is_watched", lambda console: True)
  shown = threading.Event()
  monkeypatch.setattr(progress._Teller, "_show", lambda self: shown.set())
  with progress.bar("adapted", 0, 10), progress.waiting():
    with progress.waiting("again"):
      pass
    assert not shown.is_set()
  with progress.waiting():
    assert shown.wait(_HANGS)


def test_the_log_stands_above_a_bar_and_goes_back(monkeypatch):
  monkeypatch.setattr(progress, "_is_watched", lambda console: True)
  handler = logging.get_absl_handler().python_handler
  before = handler.stream
  with progress.bar("adapted", 0, 10):
    assert handler.stream is sys.stderr
  assert handler.stream is before
