"""Writes an HTML page on what a run did, or on several runs side by side.

./bazelw run //tfdam:report -- --workdir=runs/m2u
./bazelw run //tfdam:report -- --workdir=runs/m2u,runs/u2m --output=both.html
"""

from __future__ import annotations

import os

from absl import flags, logging

from tfdam import config as config_lib
from tfdam import data, files, progress, runtime
from tfdam.reporting import tables
from tfdam.reporting.report import comparison_page, run_page
from tfdam.runs import run_folder, run_report

_WORKDIR = flags.DEFINE_multi_string(
  "workdir", None, "Run folder of a training, or several: with commas or repeated flags."
)
_OUTPUT = flags.DEFINE_string(
  "output",
  None,
  "File to write. Default: report.html in the run folder; for several runs, here.",
)
_DATA_ROOT = flags.DEFINE_string(
  "data_root", "", "Folder of data sets, if not the run's data.root, $TFDAM_DATA or data/."
)


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv)
  paths = _paths(_WORKDIR.value or [])
  if not paths:
    raise config_lib.UserError(
      "Which run? Set --workdir to a run folder, such as runs/m2u, or to several."
    )
  folders = [run_folder.RunFolder(path) for path in paths]
  several = len(folders) > 1
  own = "report.html" if several else folders[0].join(run_report.FILE)
  output = runtime.resolve_path(_OUTPUT.value or own)
  if files.is_folder(output):
    raise config_lib.UserError(
      f"{files.shown(output)} is a folder; expected a file. Set --output."
    )
  run_folder.check_writable(os.path.dirname(output), "--output")
  if several:
    with progress.waiting():
      every = [run_report.material(folder) for folder in folders]
      comparison_page.page(every).write(output)
  else:
    with progress.waiting():
      run_page.page(_whole(folders[0])).write(output)
  print(f"Report: {tables.shown_path(output)}")


def _paths(given: list[str]) -> list[str]:
  """Absolute paths of folders, each once; an existing folder may have commas."""
  found = []
  for text in given:
    whole = runtime.resolve_path(text)
    parts = [text] if os.path.isdir(whole) else text.split(",")
    found += [runtime.resolve_path(part) for part in parts if part]
  return list(dict.fromkeys(found))


def _whole(folder: run_folder.RunFolder) -> run_page.Material:
  """Reads a run; computes facts for the report that a finished run lacks."""
  material = run_report.material(folder)
  stages = material.results.get("stages", {})
  # An unfinished run computes these facts at its end.
  if not stages or run_page.missing(material):
    return material
  if material.facts.get("stages") == list(stages):
    return material
  logging.info("%s has no facts for a report yet.", files.shown(folder.path))
  try:
    run_folder.check_writable(folder.path)
    _compute(folder, material.config, list(stages))
  except config_lib.UserError as error:
    logging.warning("The report shows scores and losses alone. %s", error)
    return material
  return run_report.material(folder)


def _compute(
  folder: run_folder.RunFolder, config: config_lib.Config, stages: list[str]
) -> None:
  """Computes and keeps the facts that need the run's networks and data.

  Raises:
    config.UserError: data or checkpoints are missing.
  """
  root = runtime.data_root(config.data)
  if _DATA_ROOT.value:
    root = runtime.resolve_path(_DATA_ROOT.value)
  data.check_files(config.data, root)
  target = data.load_training("target", False, config.data, root, config.seed)
  source = data.load_training("source", False, config.data, root, config.seed, target)
  scored = data.load_scored(config.data, root, config.seed, target)
  folder.check_scored_data(scored)

  # Imported here, as in train.py: TensorFlow takes seconds to start.
  with progress.waiting("starting TensorFlow"):
    from tfdam.data import feeds
    from tfdam.runs import context, finished

  alone = config_lib.Runtime("none", num_replicas=1, precision=config.runtime.precision)
  strategy = runtime.start(alone, config.seed)
  with feeds.failures_explained():
    domains = context.Domains(source, target, scored)
    finished.compute_facts(config, folder, stages, domains, strategy)


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
