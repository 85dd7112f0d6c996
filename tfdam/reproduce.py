"""Reproduces a table or a figure of the paper: does the missing runs, and reports.

./bazelw run //tfdam:reproduce -- --experiment=table1 --seeds=5
./bazelw run //tfdam:reproduce -- --experiment=table1 --dry_run
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import rich.table
from absl import flags, logging

from tfdam import config as config_lib
from tfdam import data, files, runtime, terminal
from tfdam import experiment as experiment_lib
from tfdam.reporting import tables as printing
from tfdam.reproduction import bits, estimate, pages, plan, schedule, tables, worker
from tfdam.reproduction import store as store_lib
from tfdam.runs import run_folder, signals

_EXPERIMENT = flags.DEFINE_string(
  "experiment", None, "A name in configs/experiments/, or the path of a file of yours."
)
_SEEDS = flags.DEFINE_integer(
  "seeds", None, "Number of seeds, from 0 on. Default: the experiment's.",
  lower_bound=1, upper_bound=1_000,
)  # fmt: skip
_ROWS = flags.DEFINE_list("rows", [], "Names of the rows to run. Default: all.")
_JOBS = flags.DEFINE_integer(
  "jobs", 1, "Number of runs at a time, each on some of the cores, or on one GPU.",
  lower_bound=1, upper_bound=1_024,
)  # fmt: skip
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Show what would run, and for how long.")
_LIMIT_STEPS = flags.DEFINE_integer(
  "limit_steps", 0, "For a quick look: at most so many steps per stage. 0 for no limit.",
  lower_bound=0, upper_bound=1_000_000_000,
)  # fmt: skip
_WORKDIR = flags.DEFINE_string(
  "workdir", "runs/reproduce", "Folder for run folders, logs and source networks."
)
_RESULTS = flags.DEFINE_string(
  "results", None, "Folder for records, tables and pages. Default: results/ in --workdir."
)
_DATA_ROOT = flags.DEFINE_string(
  "data_root", "", "Folder of data sets, if not $TFDAM_DATA or data/."
)
_REPORT_ONLY = flags.DEFINE_bool("report_only", False, "Run nothing, only write tables.")
_INTO = flags.DEFINE_list(
  "into", [], "Markdown files to put tables into, between their markers."
)
_CHECK_BITS = flags.DEFINE_bool(
  "check_bits", False, "For records of older code: run one seed of each recipe again, and"
  " keep the records if the bits are the same."
)  # fmt: skip


def main(argv: list[str]) -> None:
  _check_flags(argv)
  experiment = plan.load(_EXPERIMENT.value or "")
  workdir = runtime.resolve_path(_WORKDIR.value)
  results = runtime.resolve_path(_RESULTS.value or os.path.join(workdir, "results"))
  for path, flag in ((workdir, "--workdir"), (results, "--results")):
    run_folder.refuse_pattern(path, flag)
    run_folder.check_writable(path, flag)
  root = runtime.data_root(config_lib.Data(root=_DATA_ROOT.value))
  planner = plan.Planner(_LIMIT_STEPS.value)
  seeds = range(_SEEDS.value or experiment.seeds)
  every = planner.jobs(experiment, seeds, [])
  wanted = planner.jobs(experiment, seeds, _ROWS.value)
  store = store_lib.Store(results)
  older = bits.to_check(wanted, store)
  if _CHECK_BITS.value:
    wanted = older
  scheduler = schedule.Scheduler(
    wanted, store, worker.Places(workdir, root), _LIMIT_STEPS.value,
    {} if _REPORT_ONLY.value else _without_data(wanted, root),
  )  # fmt: skip
  if _DRY_RUN.value:
    _print_plan(scheduler, estimate.Rates(every, store))
    return
  if not _REPORT_ONLY.value:
    _run(scheduler, experiment.name, len(older))
  filler = tables.Filler(every, store, planner, seeds, scheduler.failures)
  _report(experiment, filler, results)
  if scheduler.failures:
    raise SystemExit(1)


def _check_flags(argv: list[str]) -> None:
  """Raises config.UserError for flags that are missing, or contradict one another."""
  runtime.refuse_words(argv, "--experiment")
  if not _EXPERIMENT.value:
    raise config_lib.UserError(
      "--experiment is missing; expected one of"
      f" {', '.join(plan.available())}, or the path of a Python file."
    )
  most, of_what = worker.most_jobs()
  if _JOBS.value > most:
    raise config_lib.UserError(
      f"--jobs is {_JOBS.value}, but this machine has {most} {of_what}; expected at most"
      f" {most}."
    )
  if _LIMIT_STEPS.value and _INTO.value:
    raise config_lib.UserError(
      "--into is set with --limit_steps; expected only results in documentation. Leave one"
      " of them out."
    )


def _run(scheduler: schedule.Scheduler, title: str, num_older: int) -> None:
  """Does the missing runs; after a signal, the current runs save and end."""
  slots = worker.slots(_JOBS.value)
  with signals.exit_at_once():
    if _CHECK_BITS.value:
      bits.check(scheduler, slots)
      return
    if num_older:
      logging.warning(
        "%d runs were recorded by other code than today's, and are done again. With"
        " --check_bits, only one seed of each is, to check whether the others still hold.",
        num_older,
      )
    scheduler.run(slots, title)


def _without_data(jobs: Sequence[plan.Job], root: str) -> dict[plan.Job, str]:
  """Returns {job: what data is missing}, and warns once of each."""
  found: dict[plan.Job, str] = {}
  for job in jobs:
    try:
      data.check_files(job.config.data, root)
    except config_lib.UserError as error:
      if config_lib.with_flags(error) not in found.values():
        logging.warning("Rows are left out. %s", config_lib.with_flags(error))
      found[job] = config_lib.with_flags(error)
  return found


def _print_plan(scheduler: schedule.Scheduler, rates: estimate.Rates) -> None:
  """Prints what would run, with all seeds of a run in one line."""
  missing = scheduler.missing()
  by_title: dict[str, list[plan.Job]] = {}
  for job in scheduler.jobs:
    by_title.setdefault(_title(job.run), []).append(job)
  table = rich.table.Table(title="What would run")
  for name in ("run", "seeds to run", "recorded", "each, at most"):
    table.add_column(
      name, justify="left" if name == "run" else "right", no_wrap=name == "run"
    )
  recorded = {job for job in scheduler.jobs if scheduler.store.find(job)}
  for title, jobs in by_title.items():
    to_run = [job for job in jobs if job in missing]
    seconds = rates.seconds(jobs[0], with_source=True)
    table.add_row(
      files.shown(title),
      ", ".join(f"{job.seed}{'?' if job in recorded else ''}" for job in to_run),
      "no data" if scheduler.why_not(jobs[0]) else str(len(recorded.intersection(jobs))),
      estimate.shown(seconds) if seconds is not None else "unknown",
    )  # fmt: skip
  terminal.show(table)
  if recorded.intersection(missing):
    terminal.say(
      "?: recorded, and run again if this machine's source network turns out to be another."
    )
  total, unknown = rates.of_all(missing, _JOBS.value)
  known = len(missing) - unknown
  how_long = f"at most {estimate.shown(total)} with --jobs={_JOBS.value}"
  if unknown:
    how_long += f" for {known} of them"
  if not known:
    how_long = "for an unknown time, as no similar runs are recorded"
  print(f"{len(missing)} runs" + (f", {how_long}." if missing else " are left to do."))


def _title(run: experiment_lib.Run) -> str:
  """Describes a run without its seed."""
  parts = [run.config, *(f"{name}={value}" for name, value in run.fields.items())]
  if run.command != experiment_lib.TRAIN:
    parts.insert(0, run.command)
  if run.starts_from:
    parts.append(f"from {run.starts_stage} of {run.starts_from.config}")
  return " ".join(parts)


def _report(
  experiment: experiment_lib.Experiment, filler: tables.Filler, results: str
) -> None:
  """Prints the tables, and writes them."""
  filled = [filler.fill(table) for table in experiment.tables]
  for one in filled:
    if not _ROWS.value or any(row.name in _ROWS.value for row in one.table.rows):
      _print_table(one)
  for path in pages.write(experiment, filled, filler, results):
    print(f"Report: {printing.shown_path(path)}")
  names = {f"{experiment.name}/{one.table.name}": one.markdown() for one in filled}
  for path in _INTO.value:
    tables.write_into(runtime.resolve_path(path), names)


def _print_table(filled: tables.Filled) -> None:
  table = rich.table.Table(title=files.shown(filled.table.title))
  for i, name in enumerate([filled.table.corner, *filled.table.columns]):
    table.add_column(name, justify="right" if i else "left")
  for cells in filled.cells():
    table.add_row(*map(files.shown, cells))
  terminal.show(table)
  for note in filled.notes:
    terminal.say(files.shown(note))


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
