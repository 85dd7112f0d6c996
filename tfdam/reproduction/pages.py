"""Writes an experiment's pages: its tables beside the paper's, curves, and the runs.

  <experiment>.md        tables for documentation
  <experiment>.html      a page with tables and charts, in one file
  <experiment>-*.svg     charts for documentation

TensorFlow is not imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from tfdam import experiment as experiment_lib
from tfdam.reporting.report import page as page_lib
from tfdam.reproduction import curves, label_free, tables
from tfdam.reproduction import store as store_lib

_MARKUP = re.compile(r"\*\*|`")
_STEPS = "steps of adaptation"


def write(
  experiment: experiment_lib.Experiment,
  filled: Sequence[tables.Filled],
  filler: tables.Filler,
  folder: str,
) -> list[str]:
  """Writes an experiment's files into a results folder; returns the paths to show.

  Files of a quick look have its limit in their names, so that they replace no results.
  """
  limit = filler.planner.limit_steps
  name = experiment.name + (f"-at_most_{limit}_steps" if limit else "")
  base = os.path.join(folder, name)
  figures = _figures(experiment, filled, filler)
  for figure, (title, spec) in figures.items():
    tables.write(f"{base}-{figure}.svg", curves.picture(spec, title))
  tables.write(f"{base}.md", _markdown(experiment, filled, name, figures))
  _page(experiment, filled, filler, figures).write(f"{base}.html")
  return [f"{base}.md", f"{base}.html"]


def _figures(
  experiment: experiment_lib.Experiment,
  filled: Sequence[tables.Filled],
  filler: tables.Filler,
) -> dict[str, tuple[str, dict[str, Any]]]:
  """Returns {name: (title, spec)} for every chart that has points."""
  found = {}
  for one in filled:
    spread = curves.over_rows(one)
    if one.table.chart and spread:
      x, y = one.table.chart
      spec = curves.chart(spread, x, y, logarithmic=True)
      found[one.table.name] = (one.table.title, spec)
  for lines in experiment.curves:
    spread = curves.over_steps(lines, filler)
    if spread:
      found[lines.name] = (lines.title, curves.chart(spread, _STEPS, lines.y))
  return found


def _markdown(
  experiment: experiment_lib.Experiment,
  filled: Sequence[tables.Filled],
  name: str,
  figures: dict[str, tuple[str, dict[str, Any]]],
) -> str:
  parts = [f"# {experiment.title}", experiment.about]
  for one in filled:
    parts += [f"## {one.table.title}", one.markdown()]
  for figure, (title, _) in figures.items():
    parts.append(f"![{title}]({name}-{figure}.svg)")
  return "\n\n".join(part for part in parts if part) + "\n"


def _page(
  experiment: experiment_lib.Experiment,
  filled: Sequence[tables.Filled],
  filler: tables.Filler,
  figures: dict[str, tuple[str, dict[str, Any]]],
) -> page_lib.Page:
  page = page_lib.Page(experiment.title, f"tfdam, experiment {experiment.name}")
  page.add_text(_MARKUP.sub("", experiment.about))
  for one in filled:
    page.add_section(one.table.title)
    columns = [one.table.corner, *one.table.columns]
    page.add_table(page_lib.Table(columns, one.cells()))
    for note in one.notes:
      page.add_text(_MARKUP.sub("", note))
    if one.table.name in figures:
      title, spec = figures[one.table.name]
      page.add_chart(spec, f"{title}: the numbers of the table above.")
  for lines in experiment.curves:
    if lines.name in figures:
      page.add_section(lines.title)
      page.add_chart(figures[lines.name][1], f"{lines.title} over {_STEPS}.")
      page.add_text("Mean over seeds; the band is from the lowest to the highest.")
  _add_label_free(page, filler)
  _add_runs(page, filler)
  return page


def _add_label_free(page: page_lib.Page, filler: tables.Filler) -> None:
  """Adds a section on how far scores without labels can be trusted."""
  found = label_free.rankings(filler.chosen.values())
  if not any(ranking.num_stages for ranking in found):
    return
  page.add_section("Scores without labels")
  page.add_text(
    "Scores that need no labels of the target, and their Spearman rank correlation with the"
    " test score over all stages of all runs above: 1 or -1 if a score puts networks in the"
    " right or in the reverse order, 0 if it says nothing. Nothing was chosen by them."
  )
  rows = [
    [
      r.title,
      r.better,
      str(r.num_stages),
      "" if r.correlation is None else f"{r.correlation:.2f}",
    ]
    for r in found
  ]
  columns = ["score", "better where it is", "stages", "rank correlation"]
  page.add_table(page_lib.Table(columns, rows))


def _add_runs(page: page_lib.Page, filler: tables.Filler) -> None:
  """Adds the table of runs from which the numbers come."""
  page.add_section("Runs")
  rows = [_run_cells(record) for record in filler.chosen.values()]
  if not rows:
    page.add_text("No run is recorded yet.")
    return
  columns = ["run", "seed", "source network", "machine", "TensorFlow", "minutes"]
  page.add_table(page_lib.Table(columns, rows), folded=f"{len(rows)} runs")
  record = next(iter(filler.chosen.values()))
  page.add_text("Each can be repeated by its command, as the first one by:")
  page.add_code(record.get("command", ""))


def _run_cells(record: store_lib.Record) -> list[str]:
  session: Any = record.get("session", {})
  devices = session.get("devices") or []
  machine = ", ".join(devices) if any("GPU" in d for d in devices) else session.get("cpu")
  seconds = record.get("timing", {}).get("seconds")
  return [
    record["name"],
    str(record["seed"]),
    record["source_network"],
    f"{machine}, {session.get('cores')} core(s)",
    str(session.get("tensorflow")),
    "" if seconds is None else f"{seconds / 60:.1f}",
  ]
