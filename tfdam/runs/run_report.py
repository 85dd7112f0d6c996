"""Reads a run folder and writes its report.html.

Imports no TensorFlow.
"""

from __future__ import annotations

import os

from tfdam.reporting.report import run_page
from tfdam.runs import metric_lines, run_folder

FILE = "report.html"


def material(folder: run_folder.RunFolder) -> run_page.Material:
  """Reads the material of a report.

  Raises:
    config.UserError: this is no run folder, or a file in it is damaged.
  """
  return run_page.Material(
    path=folder.path,
    config=folder.read_config(),
    results=folder.read_json("results.json") or {},
    run=folder.read_json("run.json") or {},
    lines=[line for _, line in metric_lines.read(folder.join(metric_lines.FILE))],
    facts=folder.read_json("report.json") or {},
  )


def written(folder: run_folder.RunFolder) -> str | None:
  """The path of the run's report; None if there is none yet."""
  path = folder.join(FILE)
  return path if os.path.lexists(path) else None


def write(folder: run_folder.RunFolder) -> str:
  """Writes the folder's report.html, and returns its path.

  Raises:
    OSError: the file cannot be written.
  """
  path = folder.join(FILE)
  run_page.page(material(folder)).write(path)
  return path
