"""Says what works on this machine, and what to do about the rest.

./bazelw run //tfdam:doctor
./bazelw run //tfdam:doctor -- --report=doctor.json

It changes nothing. The exit status is 0 if networks can be trained and exported to ONNX
here, else 1. --report is for bug reports: it names neither the user nor the home folder.
"""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import re
from collections.abc import Sequence

import rich.table
import rich.text
from absl import flags

from tfdam import config as config_lib
from tfdam import progress, runtime, terminal
from tfdam.diagnosis import facts as facts_lib
from tfdam.diagnosis import frameworks, packages, surroundings
from tfdam.diagnosis import rows as rows_lib

_JSON = flags.DEFINE_string("report", "", "JSON file to write the table to, for others.")

_COLOURS = {
  rows_lib.OK: "green",
  rows_lib.MISSING: "yellow",
  rows_lib.BROKEN: "red",
  rows_lib.OFF: "dim",
}


def main(argv: list[str]) -> int:
  runtime.refuse_words(argv)
  with progress.waiting("starting TensorFlow and ONNX Runtime, each for itself"):
    facts = facts_lib.gather()
  rows = diagnose(facts)
  terminal.show(table(rows))
  if _JSON.value:
    write(runtime.resolve_path(_JSON.value), rows)
  terminal.say(verdict(rows))
  return int(not all(can(rows).values()))


def diagnose(facts: facts_lib.Facts) -> list[rows_lib.Row]:
  """All rows, section by section, without names of users and home folders."""
  rows = [*packages.rows(facts), *frameworks.rows(facts), *surroundings.rows(facts)]
  return [
    dataclasses.replace(
      row, found=without_names(row.found), remedy=without_names(row.remedy)
    )
    for row in rows
  ]


def without_names(text: str) -> str:
  """Replaces the home folder by ~, and the user's name in other paths by USER."""
  home, name_ends = os.path.expanduser("~"), r"(?![\w-]|\.\w)"
  for path in {home, os.path.realpath(home)} - {os.sep}:
    text = re.sub(re.escape(path) + name_ends, "~", text)
  return re.sub(f"/{re.escape(_user())}{name_ends}", "/USER", text)


def _user() -> str:
  try:
    return getpass.getuser()
  except (KeyError, OSError):  # In a container, a user id may have no name.
    return str(os.getuid())


def can(rows: Sequence[rows_lib.Row]) -> dict[str, bool]:
  """Returns {purpose: whether it works on this machine}."""
  return {p: not rows_lib.blockers(rows, p) for p in rows_lib.PROMISES}


def verdict(rows: Sequence[rows_lib.Row]) -> str:
  """One line on what works here."""
  parts = []
  for promise in rows_lib.PROMISES:
    blockers = rows_lib.blockers(rows, promise)
    names = ", ".join(f"{row.section}: {row.subject}" for row in blockers)
    parts.append(f"{promise} cannot work ({names})" if names else f"{promise} works")
  return f"On this machine {' and '.join(parts)}."


def table(rows: Sequence[rows_lib.Row]) -> rich.table.Table:
  """The table to print, with a line between sections."""
  shown = rich.table.Table(title="tfdam on this machine")
  for column in ("", "state", "found", "what to do"):
    shown.add_column(column)
  before = ""
  for row in rows:
    if before and row.section != before:
      shown.add_section()
    if row.section != before:
      shown.add_row(rich.text.Text(row.section, "bold"))
    # As Text, or rich would take [ONNXRuntimeError] in an error for markup.
    shown.add_row(
      f"  {row.subject}",
      rich.text.Text(row.state, _COLOURS[row.state]),
      rich.text.Text(row.found),
      rich.text.Text(row.remedy),
    )
    before = row.section
  return shown


def write(path: str, rows: Sequence[rows_lib.Row]) -> None:
  """Writes rows and verdict as JSON.

  Raises:
    config.UserError: the file cannot be written.
  """
  content = {**can(rows), "rows": [dataclasses.asdict(row) for row in rows]}
  try:
    with open(path, "w") as file:
      json.dump(content, file, indent=1)
      file.write("\n")
  except OSError as error:
    raise config_lib.UserError(
      f"{path} cannot be written ({error.strerror}). Set --report to another file."
    ) from error


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
