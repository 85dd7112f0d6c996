"""Tables of gaps without colour codes, and their numbers as text and for JSON."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import rich.console
import rich.table

from tfdam import files, terminal

# Lines are never wrapped, so that names can be copied.
_WIDTH = 10_000


def draw(
  title: str,
  columns: Sequence[str],
  rows: Sequence[Sequence[str]],
  most: int | None = None,
  width: int | None = None,
) -> str:
  """Draws a table like those at the end of a run.

  Args:
    columns: their headings; "layer" is set to the left, all others to the right.
    rows: a text a column.
    most: rows that are shown, with a line about the others; None: all.
    width: columns of the terminal that it has to fit; None: no name is broken.
  """
  table = rich.table.Table(title=title, title_justify="left")
  for name in columns:
    table.add_column(name, justify="left" if name == "layer" else "right", no_wrap=True)
  shown = rows[:most]
  for row in shown:
    table.add_row(*map(files.shown, row))
  if width is not None:
    table = terminal.fitted(table, width, breaks_names=True)
    table.title_justify = "left"
  text = io.StringIO()
  # Explicit, because notebooks and environment variables change the defaults.
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
  """Returns a number with three digits; "-" for nan and infinity."""
  return f"{value:.3f}" if math.isfinite(value) else "-"


def percent(share: float) -> str:
  """Returns a fraction as whole percent; "-" for nan and infinity."""
  return str(round(100 * share)) if math.isfinite(share) else "-"


def plain(value: float) -> float | None:
  """Returns a Python float for JSON; None for nan and infinity."""
  return float(value) if math.isfinite(value) else None
