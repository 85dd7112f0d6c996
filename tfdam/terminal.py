"""Prints tables and sentences that fit the terminal, in colours only where it has them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import rich.box
import rich.cells
import rich.console
import rich.table
import rich.text

# The width where there is no terminal. No name is broken there: a line may be longer.
_COLUMNS = 80
# A long name may be continued on the next line after one of these.
_PIECES = re.compile(r"[^/_:,.=-]*[/_:,.=-]+|[^/_:,.=-]+")
_NUMBERS = re.compile(r"\([^()]*\)\S*|\S+(?: (?:±|of) \S+)?")
# However narrow the terminal is, a name of up to 12 letters stays whole, and at least 6
# letters of a longer one stay together.
_SHORT_NAME, _LEAST_OF_A_NAME = 12, 6


class _Console(rich.console.Console):
  def on_broken_pipe(self) -> None:
    """Lets runtime.run handle it, as for all output; rich would exit with status 1."""
    raise


def is_watched() -> bool:
  """Returns whether standard output is a terminal."""
  return bool(sys.stdout and sys.stdout.isatty())


def width() -> int | None:
  """Returns the terminal's columns; None if standard output is no terminal."""
  return shutil.get_terminal_size((_COLUMNS, 24)).columns if is_watched() else None


def console(stderr: bool = False, columns: int | None = None) -> rich.console.Console:
  """Returns the console for everything but plain lines.

  With NO_COLOR (no-color.org) it has no colours, and no bold or dim letters either, which
  rich would keep.

  Args:
    stderr: whether it writes to standard error.
    columns: its width; None for the terminal's.
  """
  if columns is None and not stderr:
    columns = width()  # Rich assumes 80 columns for a dumb terminal.
  colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
  # Names are the user's: "[m8]" and ":car:" in them are no markup.
  return _Console(
    stderr=stderr, width=columns, color_system=colours, highlight=False, markup=False,
    emoji=False,
  )  # fmt: skip


def say(text: str) -> None:
  """Prints a sentence, on a terminal wrapped between words."""
  columns = width()
  if columns is not None:
    text = textwrap.fill(text, columns, break_long_words=False, break_on_hyphens=False)
  print(text)


def show(table: rich.table.Table) -> None:
  """Prints a table that fits the terminal; elsewhere it fits 80 columns if words allow."""
  columns = width()
  room = columns or max(_COLUMNS, _needed(table))
  shown = fitted(table, room, breaks_names=columns is not None)
  title, shown.title = shown.title, None
  out = console(columns=max(room, _outer(shown)))
  if title:
    _print_title(out, str(title), _outer(shown), columns)
  out.print(shown)


def _print_title(
  out: rich.console.Console, title: str, table_width: int, columns: int | None
) -> None:
  """Prints the title centred above the table, or left-aligned if it is longer."""
  lines = [title] if columns is None else _broken(title, columns, True).split("\n")
  if len(lines) == 1:
    lines = [title.center(table_width).rstrip()]
  for line in lines:
    out.print(rich.text.Text(line, "table.title"), soft_wrap=True)


def fitted(table: rich.table.Table, room: int, breaks_names: bool) -> rich.table.Table:
  """Returns a copy of the table in which no line is longer than the terminal.

  Headings are broken between words first, then cells, then long names. Numbers, which are
  right-aligned, are never broken. At each of these levels the lines between columns are
  left out before more is broken.

  Args:
    table: the table.
    room: columns of the terminal.
    breaks_names: whether words, and cells marked as `no_wrap`, may be broken; if not, the
      copy may be wider.
  """
  columns = [_Column(column) for column in table.columns]
  is_open = False
  for level in range(5 if breaks_names else 2):
    least = [column.least(level, breaks_names) for column in columns]
    for is_open in (False, True) if breaks_names else (False,):
      found = _shrunk([c.widest(level) for c in columns], least, room, is_open)
      if _sum(found, is_open) <= room:
        return _copy(table, columns, found, is_open)
  return _copy(table, columns, least, is_open)


class _Column:
  """A column: its width, and how narrow it can be."""

  def __init__(self, column: rich.table.Column):
    self.header = _plain(column.header)
    self.cells: Sequence[Any] = list(column.cells)
    self.justify = column.justify
    self.is_name = column.justify != "right"
    self._no_wrap = column.no_wrap
    self.texts = [self.header, *map(_plain, self.cells)]
    self.natural = _longest(line for text in self.texts for line in text.split("\n"))

  def widest(self, level: int) -> int:
    """The width to aim at; headings of numbers are broken before any cell is."""
    return self.least(0, False) if level and not self.is_name else self.natural

  def least(self, level: int, breaks_names: bool) -> int:
    """How narrow the column can be.

    Args:
      level: what may be broken. 0: headings; 1: cells, too; 2: names, into pieces; 3: long
        names, anywhere; 4: all names, anywhere.
      breaks_names: as in `fitted`.
    """
    if self._no_wrap and not breaks_names:
      return self.natural
    words = [word for text in self.texts for word in _words(text, self.is_name)]
    if not level or not (breaks_names or self.is_name):
      return _longest([*self.header.split(), *"\n".join(self.texts[1:]).split("\n")])
    if not self.is_name or level == 1:
      return _longest(words)
    longest = _longest(piece for word in words for piece in _PIECES.findall(word))
    if level == 2 or (level == 3 and longest <= _SHORT_NAME):
      return longest
    return min(longest, _LEAST_OF_A_NAME)


def _longest(words: Any) -> int:
  return max(map(rich.cells.cell_len, words), default=0)


def _words(text: str, is_name: bool) -> Iterator[str]:
  """Yields the words of each line, each with the line's indent."""
  for line in text.split("\n"):
    for word in _split(line, is_name):
      yield _indent(line) + word


def _split(line: str, is_name: bool) -> list[str]:
  """Splits a line into words; "90.2 ± 0.9" and "(2 of 5 seeds)" count as one word each."""
  return line.split() if is_name else _NUMBERS.findall(line)


def _indent(line: str) -> str:
  return line[: len(line) - len(line.lstrip())]


def _plain(cell: str | rich.text.Text | Any) -> str:
  return cell.plain if isinstance(cell, rich.text.Text) else str(cell)


def _sum(widths: Sequence[int], is_open: bool) -> int:
  """The width of a table's line; an open table has two blanks between columns, no frame."""
  return sum(widths) + (2 * (len(widths) - 1) if is_open else 3 * len(widths) + 1)


def _shrunk(
  natural: Sequence[int], least: Sequence[int], room: int, is_open: bool
) -> list[int]:
  """Returns widths that fit, by narrowing the widest column again and again."""
  widths = [max(pair) for pair in zip(natural, least)]
  while _sum(widths, is_open) > room:
    slack = [i for i in range(len(widths)) if widths[i] > least[i]]
    if not slack:
      break
    widths[max(slack, key=lambda i: widths[i])] -= 1
  return widths


def _needed(table: rich.table.Table) -> int:
  """The width at which no word and no name is broken."""
  return _sum([_Column(column).least(1, False) for column in table.columns], False)


def _outer(table: rich.table.Table) -> int:
  return _sum(
    [column.width or 0 for column in table.columns], table.box is rich.box.SIMPLE_HEAD
  )


def _copy(
  table: rich.table.Table, columns: Sequence[_Column], widths: Sequence[int], is_open: bool
) -> rich.table.Table:
  """Copies the table with its lines broken to the widths."""
  copy = rich.table.Table(
    title=table.title, style=table.style, row_styles=table.row_styles,
    header_style=table.header_style, caption=table.caption,
  )  # fmt: skip
  if is_open:
    copy.box, copy.show_edge, copy.pad_edge = rich.box.SIMPLE_HEAD, False, False
    copy.padding = (0, 1, 0, 0)
  rows = []
  for column, width_ in zip(columns, widths):
    broken = [_broken(text, width_, column.is_name) for text in column.texts]
    # Broken lines may be shorter than the width.
    used = max(rich.cells.cell_len(s) for text in broken for s in text.split("\n"))
    copy.add_column(broken[0], justify=column.justify, width=used, no_wrap=True)
    rows.append([_styled(*pair) for pair in zip(broken[1:], column.cells)])
  for about, cells in zip(table.rows, zip(*rows)):
    copy.add_row(*cells, style=about.style, end_section=about.end_section)
  return copy


def _styled(text: str, cell: Any) -> str | rich.text.Text:
  return rich.text.Text(text, cell.style) if isinstance(cell, rich.text.Text) else text


def _broken(text: str, columns: int, is_name: bool) -> str:
  """Breaks a text into lines of at most `columns` cells, where it can be broken."""
  return "\n".join(
    line for given in text.split("\n") for line in _lines(given, columns, is_name)
  )


def _lines(text: str, columns: int, is_name: bool) -> list[str]:
  if rich.cells.cell_len(text) <= columns:
    return [text]
  indent = _indent(text)
  lines, line = [], indent
  for word in _split(text, is_name):
    between = " " if line.strip() else ""
    for piece in _pieces(word, columns - len(indent), is_name):
      if line.strip() and rich.cells.cell_len(line + between + piece) > columns:
        lines.append(line)
        line, between = indent, ""
      line += between + piece
      between = ""
  return [*lines, line]


def _pieces(word: str, columns: int, is_name: bool) -> list[str]:
  """Returns a word, or the pieces after which a line may end."""
  if not is_name or rich.cells.cell_len(word) <= columns:
    return [word]
  return [
    part
    for piece in _PIECES.findall(word)
    for part in rich.cells.chop_cells(piece, max(1, columns))
  ]
