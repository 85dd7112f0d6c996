"""Experiments: tables and curves of results, described by the runs that they need.

A file in configs/experiments/ has `get_experiment()`, which returns an `Experiment`.
`tfdam.reproduce` does the runs and writes the tables. Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

# Commands that give the numbers of cells.
TRAIN, ORACLE, SOURCE_OR_NOT = "tfdam.train", "tfdam.oracle", "tfdam.source_or_not"


@dataclasses.dataclass(frozen=True)
class Run:
  """A run without its seed.

  Attributes:
    config: a config file below the project, with its argument after a colon, such as
      "configs/digits/mnist_to_usps.py:release,gam".
    fields: {dotted name: value} of the fields that differ from the config file.
    command: TRAIN, or ORACLE, which trains nothing.
    then: commands to run on the finished run, such as SOURCE_OR_NOT.
    starts_from: a run with the same seed, whose network is the start of this run's source
      training; None to start from random weights.
    starts_stage: the stage whose network is used.
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
    """A copy with other fields; "__" stands for the dot in a name."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return dataclasses.replace(self, fields={**self.fields, **named})


@dataclasses.dataclass(frozen=True)
class Cell:
  """A number from each seed of a run.

  Attributes:
    run: the run.
    path: keys to the number in the run's record, such as ("stages", "adapted", "test",
      "accuracy"); in a list of layers, the key is a layer's name.
    unit: "%" to show a fraction in percent; empty to show the number as it is.
    shown: how to show several seeds: "mean" (with standard deviation) or "lowest".
  """

  run: Run
  path: tuple[str, ...]
  unit: str = "%"
  shown: str = "mean"


@dataclasses.dataclass(frozen=True)
class Row:
  """A line of a table.

  Attributes:
    name: its name for --rows, in lower-case letters, digits and underscores.
    title: its title in the table.
    cells: {column: a cell, or a published number as text}.
    x: its place on the x axis of the table's chart.
    note: what a reader of its numbers must know.
  """

  name: str
  title: str
  cells: Mapping[str, Cell | str]
  x: float | None = None
  note: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of rows to compare.

  Attributes:
    name: its name in the markers of documentation.
    title: shown above the table.
    columns: titles in order, without the first column, which has the rows' titles.
    rows: from top to bottom.
    corner: the title of the first column.
    about: what the numbers are, and by which protocol; shown below the table.
    chart: titles of the x and y axes of a chart of the columns; None for no chart.
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
  """A chart of numbers over the steps of adaptation, with one line per run.

  Attributes:
    name: its name in documentation and in the names of pictures.
    title: shown above the chart.
    lines: {title of a line: its run}.
    measure: the number to draw from a run's curve, such as "test", or "dead" channels.
    y: the title of the y axis.
    about: what the lines are; shown with the chart.
  """

  name: str
  title: str
  lines: Mapping[str, Run]
  measure: str = "test"
  y: str = ""
  about: str = ""


@dataclasses.dataclass(frozen=True)
class Experiment:
  """What `tfdam.reproduce` runs and reports.

  Attributes:
    name: the name of its file.
    title: the title of its page.
    about: shown below the title.
    tables: in the order of the page.
    curves: shown below the tables.
    seeds: the number of seeds, from 0 on, unless --seeds is set.
  """

  name: str
  title: str
  about: str
  tables: tuple[Table, ...] = ()
  curves: tuple[Curves, ...] = ()
  seeds: int = 5

  def runs(self) -> Iterator[tuple[str, Run]]:
    """Yields (name of row or line, run) for all cells and lines, in page order."""
    for table in self.tables:
      for row in table.rows:
        for cell in row.cells.values():
          if isinstance(cell, Cell):
            yield row.name, cell.run
    for curves in self.curves:
      yield from curves.lines.items()


def score(run: Run, stage: str, split: str = "test", measure: str = "accuracy") -> Cell:
  """A cell with the score of one stage of a run."""
  return Cell(run, ("stages", stage, split, measure))
