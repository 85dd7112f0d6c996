"""What gaps print: tables without colour codes, and numbers for them and for JSON."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import rich.console
import rich.table

from tfdam import files

# A line is as long as it needs to be: a wrapped name could not be copied.
_WIDTH = 10_000


def draw(
  title: str,
  columns: Sequence[str],
  rows: Sequence[Sequence[str]],
  most: int | None = None,
) -> str:
  """Draws a table like those at the end of a run.

  Args:
    columns: their headings; "layer" is set to the left, all others to the right.
    rows: a text a column.
    most: rows that are shown, with a line about the others; None: all.
  """
  table = rich.table.Table(title=title, title_justify="left")
  for name in columns:
    table.add_column(name, justify="left" if name == "layer" else "right", no_wrap=True)
  shown = rows[:most]
  for row in shown:
    table.add_row(*map(files.shown, row))
  text = io.StringIO()
  # Said outright: a notebook or a variable of the environment would have it otherwise.
  rich.console.Console(
    file=text,
    width=_WIDTH,
    color_system=None,
    force_terminal=False,
    force_jupyter=False,
    highlight=False,
    markup=False,
    emoji=False,
  ).print(table)
  lines = [line.rstrip() for line in text.getvalue().splitlines()]
  if len(rows) > len(shown):
    lines.append(f"and {len(rows) - len(shown)} more")
  return "\n".join(lines)


def number(value: float) -> str:
  """Three digits; "-" for none."""
  return f"{value:.3f}" if math.isfinite(value) else "-"


def percent(share: float) -> str:
  """Of a fraction, without digits; "-" for none."""
  return str(round(100 * share)) if math.isfinite(share) else "-"


def plain(value: float) -> float | None:
  """Python's own number, as JSON has it; None for none."""
  return float(value) if math.isfinite(value) else None
