"""Several runs side by side: headline scores, classes, and curves."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfdam.reporting.report import charts, curves, run_page, scores, sentences
from tfdam.reporting.report import page as page_lib
from tfdam.vocabulary import Stage

Runs = Sequence[run_page.Material]


def page(runs: Runs) -> page_lib.Page:
  """Makes the page that compares runs; they may have different classes or domains."""
  names = _names(runs)
  domains = list(dict.fromkeys(run.title for run in runs))
  made = page_lib.Page(f"{len(runs)} runs", "; ".join(domains))
  found = [scores.Scores(run.results) for run in runs]
  _add_headlines(made, runs, names, found)
  _add_classes(made, names, found)
  _add_curves(made, runs, names)
  _add_fields(made, runs, names)
  return made


def _names(runs: Runs) -> list[str]:
  """Returns distinct short names of the runs: as much of their paths as is needed."""
  parts = [run.path.rstrip(os.sep).split(os.sep) for run in runs]
  for depth in range(1, max(map(len, parts)) + 1):
    names = ["/".join(path[-depth:]) for path in parts]
    if len(set(names)) == len(names):
      return names
  return ["/".join(path) for path in parts]


def _add_headlines(
  made: page_lib.Page, runs: Runs, names: Sequence[str], every: Sequence[scores.Scores]
) -> None:
  stages = [s for s in Stage if any(s in found.stages for found in every)]
  # Between different domains, the largest number is not the best one.
  is_fair = len({(run.title, found.split) for run, found in zip(runs, every)}) == 1
  best = _best([found.headline(found.last) for found in every]) if is_fair else None
  rows: list[list[page_lib.Value]] = []
  for run, name, found in zip(runs, names, every):
    row: list[page_lib.Value] = [
      name,
      run.title,
      f"{run.config.recipe} {run.config.method}",
    ]
    row.append(str(run.config.seed))
    for stage in stages:
      text = scores.number(found.headline(stage), 2)
      is_best = best is not None and found.headline(stage) == best
      row.append(page_lib.Cell(text, "best" if is_best and stage == found.last else ""))
    row.append(scores.cell(found.change if found.first != found.last else None))
    row.append(str(len(run.results.get("alarms", []))))
    rows.append(row)
  headlines = list(dict.fromkeys(found.name for found in every if found.stages))
  title = sentences.listed(headlines) or "score"
  splits = {found.split for found in every} - {""}
  where = "test" if splits == {"test"} else " or ".join(sorted(splits)) or "target"
  made.add_section(f"{title[:1].upper()}{title[1:]} of every stage")
  made.add_table(
    page_lib.Table(
      ["run", "domains", "method", "seed", *(s.shown for s in stages), "change", "alarms"],
      rows,
      f"In percent, of the target's {where} images; change in points, from the first stage"
      f" to the last.{' The best last stage is bold.' if best is not None else ''}",
    )
  )
  shown = [
    scores.as_change(
      scores.ClassScore(
        name,
        {stage: found.headline(stage) for stage in found.stages},
        found.change,
      ),
      found.first,
      found.last,
    )
    for name, found in zip(names, every)
    if found.first != found.last
  ]
  changes = [change for change in shown if change is not None]
  if changes:
    made.add_chart(
      charts.changes(changes, f"{title}, %", ("first stage", "last stage"), (0, 100)),
      "The headline score of every run, first and last stage.",
    )


def _best(values: Sequence[float | None]) -> float | None:
  there = [value for value in values if value is not None]
  return max(there) if there else None


def _add_classes(
  made: page_lib.Page, names: Sequence[str], every: Sequence[scores.Scores]
) -> None:
  """Adds a table with columns for each run's last stage and its change."""
  of_runs = [
    {row.name: row for row in found.classes()} if found.stages else {} for found in every
  ]
  classes = list(dict.fromkeys(name for of_run in of_runs for name in of_run))
  if not classes:
    return
  made.add_section("Class by class")
  columns = ["class"]
  for name in names:
    columns += [name, "change"]
  rows: list[list[page_lib.Value]] = []
  for name in classes:
    row: list[page_lib.Value] = [name]
    for found, of_run in zip(every, of_runs):
      score = of_run.get(name)
      row.append(scores.number(score.by_stage.get(found.last)) if score else "-")
      moved = score.change if score and found.first != found.last else None
      row.append(scores.cell(moved))
    rows.append(row)
  caption = (
    f"In percent, after each run's last stage; change in points: {scores.UP} gained,"
    f" {scores.DOWN} lost against its first stage."
  )
  made.add_table(page_lib.Table(columns, rows, caption))


def _add_curves(made: page_lib.Page, runs: Runs, names: Sequence[str]) -> None:
  """Adds a chart of every loss and every score over steps, with a line for each run."""
  every: dict[tuple[str, str], list[charts.Point]] = {}
  for run, name in zip(runs, names):
    chosen = [
      (stage, loss) for stage, of in curves.losses(run.lines).items() for loss in of
    ]
    chosen += [(Stage.ADAPTED.value, score) for score in curves.score_names(run.lines)]
    for stage, number in chosen:
      found = curves.points(run.lines, stage, number, name)
      every.setdefault((stage, number), []).extend(found)
  if not any(every.values()):
    return
  made.add_section("Curves")
  stages = scores.ordered(dict.fromkeys(stage for stage, _ in every))
  for stage in stages:
    made.add_heading(scores.stage_title(stage))
    made.add_charts([
      (charts.lines(found, "step", "", height=170),
       f"{number} over the steps of {stage}, one line per run.",
       number.rpartition("/")[2].replace("_", " "))
      for (of, number), found in every.items()
      if of == stage and found
    ], wide=True)  # fmt: skip


def _add_fields(made: page_lib.Page, runs: Runs, names: Sequence[str]) -> None:
  """Adds a table of the fields in which the runs differ."""
  every = [dict(run_page.field_values(run.config)) for run in runs]
  rows = [
    [field, *(of_run[field] for of_run in every)]
    for field in every[0]
    if len({of_run[field] for of_run in every}) > 1
  ]
  if rows:
    made.add_section("Fields in which they differ")
    made.add_table(page_lib.Table(["field", *names], rows))
