"""What a run prints at its end."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

import rich.console
import rich.table

from tfdam import runtime

_STAGE_TITLES = {"source_only": "source only", "gaussian": "Gaussian", "adapted": "adapted"}
_SPLITS = ("test", "transductive")


def print_stages(stages: Mapping, title: str, notes: Sequence[str] = ()) -> None:
  """Prints accuracies: stages in rows, splits in columns.

  Args:
    stages: {stage: {split: scores}}, as in results.json.
    notes: lines for below the table.
  """
  splits = [
    split for split in _SPLITS if any(split in scores for scores in stages.values())
  ]
  table = rich.table.Table(title=title)
  table.add_column("accuracy, %")
  for split in splits:
    table.add_column(split, justify="right")
  for stage, scores in stages.items():
    cells = [f"{100 * scores[s]['accuracy']:.2f}" if s in scores else "-" for s in splits]
    table.add_row(_STAGE_TITLES[stage], *cells)
  if not splits:
    table.caption = "The target has no labels: nothing was scored."
  _console().print(table)
  for note in notes:
    print(f"Note: {note}")


def alarm_notes(results: Mapping) -> list[str]:
  """What the watch saw during adaptation, a line an alarm."""
  return [
    f"alarm at step {a['step']} of adaptation: {a['what']}"
    for a in results.get("alarms", [])
  ]


def print_classes(stages: Mapping, split: str, class_names: Sequence[str]) -> None:
  """Prints each class's accuracy on one split."""
  table = rich.table.Table(title=f"accuracy per class, {split}, %")
  table.add_column("")
  for name in class_names:
    table.add_column(name, justify="right")
  for stage, scores in stages.items():
    values = scores[split]["per_class_accuracy"]
    table.add_row(
      _STAGE_TITLES[stage], *("-" if v is None else f"{100 * v:.1f}" for v in values)
    )
  _console().print(table)


def next_command(target: str, workdir: str) -> str:
  """The line that runs `target` on a run folder, typed from where the user stands."""
  here = runtime.resolve_path(".")
  inside = workdir.startswith(here + os.sep)
  shown = os.path.relpath(workdir, here) if inside else workdir
  return runtime.command(target, f"--workdir={shlex.quote(shown)}")


def _console() -> rich.console.Console:
  # A fixed width away from a terminal, where rich would assume 80 columns and wrap.
  return rich.console.Console(width=None if sys.stdout.isatty() else 120, highlight=False)
