"""An experiment's tables as text, with mean and deviation over recorded seeds.

TensorFlow is not imported.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tfdam import config as config_lib
from tfdam import experiment as experiment_lib
from tfdam import files, stored
from tfdam.reproduction import plan
from tfdam.reproduction import store as store_lib

OTHER_NETWORK, NOT_RUN, FAILED = "†", "not run", "failed"
_END = "<!-- end -->"


@dataclasses.dataclass(frozen=True)
class Numbers:
  """The numbers of a cell.

  Attributes:
    values: {seed: number}; in percent if the cell has that unit.
    wanted: how many seeds the table asks for.
    others: seeds whose source network differs from that of the rows beside this one.
    failed: seeds whose run ended without a result, or could not begin.
    shown: "mean" or "lowest".
    digits: after the decimal point.
  """

  values: Mapping[int, float]
  wanted: int
  others: tuple[int, ...] = ()
  failed: tuple[int, ...] = ()
  shown: str = "mean"
  digits: int = 2

  @property
  def missing(self) -> str:
    """Says how many seeds there are, if some but not all are; empty otherwise."""
    found = len(self.values)
    is_partial = 0 < found < self.wanted and self.shown != "lowest"
    return f" ({found} of {self.wanted} seeds)" if is_partial else ""

  def __str__(self) -> str:
    return self.text() + self.missing

  def text(self) -> str:
    """Returns the number, without how many seeds it comes from."""
    if not self.values:
      return FAILED if self.failed else NOT_RUN
    found = list(self.values.values())
    if self.shown == "lowest":
      return f"{min(found):.{self.digits}f}"
    text = f"{statistics.mean(found):.{self.digits}f}"
    if len(found) > 1:
      text += f" ± {statistics.stdev(found):.{self.digits}f}"
    return text + (OTHER_NETWORK if self.others else "")


@dataclasses.dataclass(frozen=True)
class Filled:
  """A table with its numbers.

  Attributes:
    table: of the experiment.
    rows: {row's name: {column: numbers, or the published text}}.
    notes: lines below the table.
  """

  table: experiment_lib.Table
  rows: Mapping[str, Mapping[str, Numbers | str]]
  notes: tuple[str, ...]

  def cells(self) -> list[list[str]]:
    """Returns the cells' text, row by row, titles first.

    Seeds that all cells of a row lack are in its title.
    """
    return [self._cells(row) for row in self.table.rows]

  def _cells(self, row: experiment_lib.Row) -> list[str]:
    found = [self.rows[row.name].get(column, "") for column in self.table.columns]
    numbers = [cell for cell in found if isinstance(cell, Numbers)]
    missing = {cell.missing for cell in numbers}
    if len(missing) != 1:
      return [row.title, *map(str, found)]
    texts = (cell.text() if isinstance(cell, Numbers) else cell for cell in found)
    return [row.title + missing.pop(), *texts]

  def markdown(self) -> str:
    """Returns the table and its notes as Markdown, without the title."""
    lines = [
      f"| {' | '.join([self.table.corner, *self.table.columns])} |",
      "|" + "---|" * (1 + len(self.table.columns)),
      *(f"| {' | '.join(cells)} |" for cells in self.cells()),
    ]
    return "\n".join([*lines, "", *self.notes]).rstrip()


class Filler:
  """Finds the numbers of an experiment's cells."""

  def __init__(
    self,
    jobs: Sequence[plan.Job],
    store: store_lib.Store,
    planner: plan.Planner,
    seeds: Sequence[int],
    failures: Mapping[plan.Job, str] | None = None,
  ):
    """Chooses the records.

    Args:
      jobs: of all rows of the experiment.
      store: of records.
      planner: makes jobs.
      seeds: that tables ask for.
      failures: {job: why it has no result}.
    """
    self.planner, self.seeds = planner, seeds
    self.failures = failures or {}
    # A record of older code is a result too, although the run is due again.
    self.chosen = store.choose(jobs, old_code=True)
    self._networks = _networks(self.chosen)

  def fill(self, table: experiment_lib.Table) -> Filled:
    """Returns a table with its numbers."""
    rows = {
      row.name: {
        column: self.numbers(cell) if isinstance(cell, experiment_lib.Cell) else cell
        for column, cell in row.cells.items()
      }
      for row in table.rows
    }
    return Filled(table, rows, tuple(self._notes(table, rows)))

  def records(self, run: experiment_lib.Run) -> dict[int, tuple[plan.Job, Any]]:
    """Returns a run's records, {seed: (job, its record)}."""
    found = {}
    for seed in self.seeds:
      job = self.planner.job(run, seed)
      if job in self.chosen:
        found[seed] = (job, self.chosen[job])
    return found

  def numbers(self, cell: experiment_lib.Cell) -> Numbers:
    """Returns the numbers of a cell."""
    values, others = {}, []
    for seed, (job, record) in self.records(cell.run).items():
      value = at(record, cell.path)
      if value is None:
        continue
      values[seed] = 100 * value if cell.unit else value
      if record["source_network"] != self._networks[job.group]:
        others.append(seed)
    wanted = 1 if cell.run.command == experiment_lib.ORACLE else len(self.seeds)
    if wanted == 1:
      values = dict(list(values.items())[:1])
    jobs = [self.planner.job(cell.run, seed) for seed in self.seeds]
    failed = [job.seed for job in jobs if job in self.failures]
    return Numbers(
      values, wanted, tuple(others), tuple(failed), cell.shown,
      2 if cell.unit else 3,
    )  # fmt: skip

  def _notes(
    self, table: experiment_lib.Table, rows: Mapping[str, Mapping[str, Any]]
  ) -> list[str]:
    """Returns the notes below a table."""
    notes = [table.about] if table.about else []
    notes += [f"{row.title}: {row.note}" for row in table.rows if row.note]
    if self.planner.limit_steps:
      notes.insert(
        0,
        f"**A quick look: no stage took more than {self.planner.limit_steps} steps. These"
        " are no results.**",
      )
    if any(getattr(cell, "others", ()) for row in rows.values() for cell in row.values()):
      notes.append(
        f"{OTHER_NETWORK} Some seeds start from another source network than the other rows,"
        " so that part of the difference is due to that."
      )
    notes += self._data_notes(table)
    for reason, titles in self._reasons(table).items():
      notes.append(f"{', '.join(titles)}: no result. {reason}")
    return [note for note in dict.fromkeys(notes) if note]

  def _data_notes(self, table: experiment_lib.Table) -> list[str]:
    """Returns the runs' notes on their data, such as that it is a part of the official set.

    Notes on limits and skews, which the row's title names, are left out.
    """
    found: dict[str, None] = {}
    for run in (run for row in table.rows for run in _runs(row)):
      for _, record in self.records(run).values():
        found.update(dict.fromkeys(record.get("notes", [])))
    asked_for = ("source ", "target ")
    return [f"Note: {note}." for note in found if not note.startswith(asked_for)]

  def _reasons(self, table: experiment_lib.Table) -> dict[str, list[str]]:
    """Returns {why rows have no result: their titles}."""
    found: dict[str, dict[str, None]] = {}
    for row in table.rows:
      for run in _runs(row):
        for job in (self.planner.job(run, seed) for seed in self.seeds):
          if job in self.failures:
            reason = " ".join(self.failures[job].split())
            found.setdefault(reason, {})[row.title] = None
    return {reason: list(titles) for reason, titles in found.items()}


def _runs(row: experiment_lib.Row) -> list[experiment_lib.Run]:
  cells = row.cells.values()
  return [cell.run for cell in cells if isinstance(cell, experiment_lib.Cell)]


def _networks(
  chosen: Mapping[plan.Job, store_lib.Record],
) -> dict[tuple[str, str, int], str]:
  """Returns {group: the source network of most of its records}."""
  found = {}
  for group, jobs in store_lib.groups(chosen).items():
    names = [chosen[job]["source_network"] for job in jobs]
    found[group] = max(sorted(set(names)), key=names.count)
  return found


def at(record: Mapping[str, Any], path: Sequence[str]) -> float | None:
  """Returns a number of a record by its path; None if there is none."""
  value: Any = record
  for name in path:
    if isinstance(value, list):  # a list of layers
      value = next((item for item in value if item.get("layer") == name), None)
    else:
      value = value.get(name) if isinstance(value, Mapping) else None
  return value if isinstance(value, (int, float)) else None


def write_into(path: str, filled: Mapping[str, str]) -> None:
  """Puts tables between their markers in a Markdown file.

  Args:
    path: of the file.
    filled: {name: Markdown}; a table lies between `<!-- name -->` and `<!-- end -->`.

  Raises:
    config.UserError: the file has none of the markers, or a marker has no end.
  """
  with files.open_regular(path) as file:
    text = file.read().decode()
  changed, count = replaced(text, filled)
  if not count:
    raise config_lib.UserError(
      f"{files.shown(path)} has no place for a table; expected a line such as"
      f" '<!-- {next(iter(filled), 'table1/mnist_to_usps')} -->' and, below it, '{_END}'."
      " Set --into to a file that has."
    )
  if changed != text:
    stored.write_text(path, changed)


def replaced(text: str, filled: Mapping[str, str]) -> tuple[str, int]:
  """Puts tables between their markers in Markdown; returns the text and their number."""
  count = 0
  for name, table in filled.items():
    start = f"<!-- {name} -->\n"
    before, marker, rest = text.partition(start)
    _, end, after = rest.partition(_END)
    if marker and end:
      text = f"{before}{marker}{table}\n{end}{after}"
      count += 1
  return text, count


def write(path: str, text: str) -> None:
  """Writes a page of text; makes its folder."""
  os.makedirs(os.path.dirname(path), exist_ok=True)
  stored.write_text(path, text)
