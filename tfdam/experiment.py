"""What an experiment is: tables and curves of numbers that runs leave, row by row.

A file in configs/experiments/ has `get_experiment()`, which returns an `Experiment`;
`tfdam.reproduce` runs what it needs and writes what it shows. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

# Commands that leave what a cell shows.
TRAIN, ORACLE, SOURCE_OR_NOT = "tfdam.train", "tfdam.oracle", "tfdam.source_or_not"


@dataclasses.dataclass(frozen=True)
class Run:
  """A run, but for its seed.

  Attributes:
    config: a config file below the project with its argument after a colon, such as
      "configs/digits/mnist_to_usps.py:release,gam".
    fields: {dotted name: value} of what differs from it.
    command: TRAIN, or ORACLE, which trains nothing.
    then: commands that look at the finished run, such as SOURCE_OR_NOT.
    starts_from: a run of the same seed whose network this one's source training goes on
      from; None: from random weights.
    starts_stage: which of its networks.
  """

  config: str
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  command: str = TRAIN
  then: tuple[str, ...] = ()
  starts_from: Run | None = None
  starts_stage: str = ""

  def __hash__(self) -> int:
    fields = tuple(sorted(self.fields.items()))
    return hash((self.config, fields, self.command, self.starts_from, self.starts_stage))

  def changed(self, **fields: Any) -> Run:
    """The same with other fields; "__" stands for the dot of a name."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return dataclasses.replace(self, fields={**self.fields, **named})


@dataclasses.dataclass(frozen=True)
class Cell:
  """A number that each seed of a run leaves.

  Attributes:
    run: whose.
    path: to it in the run's record, such as ("stages", "adapted", "test", "accuracy"); of
      a list of layers, a layer's name.
    unit: "%" for a fraction that is shown in percent; empty: it is shown as it is.
    shown: of several seeds "mean" (and deviation) or "lowest".
  """

  run: Run
  path: tuple[str, ...]
  unit: str = "%"
  shown: str = "mean"


@dataclasses.dataclass(frozen=True)
class Row:
  """A line of a table.

  Attributes:
    name: what --rows calls it; of lower-case letters, digits and underscores.
    title: what the table calls it.
    cells: {column: a cell, or text as it was published}.
    x: its place on the table's chart.
    note: what a reader of its numbers has to know.
  """

  name: str
  title: str
  cells: Mapping[str, Cell | str]
  x: float | None = None
  note: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows that are compared with one another.

  Attributes:
    name: what documentation calls it between its markers.
    title: above it.
    columns: in their order; the first one, of rows' titles, not among them.
    rows: from top to bottom.
    corner: the title of the first column.
    about: what the numbers are, and by which protocol; a sentence or more, below it.
    chart: how its columns are drawn over the rows' `x`: the title of x and of y; None: not.
  """

  name: str
  title: str
  columns: tuple[str, ...]
  rows: tuple[Row, ...]
  corner: str = ""
  about: str = ""
  chart: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Curves:
  """Numbers over the steps of adaptation, a line a run.

  Attributes:
    name: what documentation and pictures call them.
    title: above them.
    lines: {what a line is called: the run}.
    measure: of each line of a run's curve, such as "test", or "dead" channels.
    y: the title of the axis.
  """

  name: str
  title: str
  lines: Mapping[str, Run]
  measure: str = "test"
  y: str = ""
  about: str = ""


@dataclasses.dataclass(frozen=True)
class Experiment:
  """What one command runs and reports.

  Attributes:
    name: its file's.
    title: of its page.
    about: below the title.
    tables: in the order of the page.
    curves: below them.
    seeds: how many, from 0 on, where --seeds says nothing.
  """

  name: str
  title: str
  about: str
  tables: tuple[Table, ...] = ()
  curves: tuple[Curves, ...] = ()
  seeds: int = 5

  def runs(self) -> Iterator[tuple[str, Run]]:
    """Yields (row's name, run) of every cell and line, in the order of the page."""
    for table in self.tables:
      for row in table.rows:
        for cell in row.cells.values():
          if isinstance(cell, Cell):
            yield row.name, cell.run
    for curves in self.curves:
      yield from curves.lines.items()


def score(run: Run, stage: str, split: str = "test", measure: str = "accuracy") -> Cell:
  """A score of one stage of a run."""
  return Cell(run, ("stages", stage, split, measure))
