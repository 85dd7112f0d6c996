"""What a terminal shows of work that takes long."""

import io

import pytest
import rich.console
import rich.progress
import rich.text

from tfdam import progress

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
