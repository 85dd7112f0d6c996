"""What is wrong with how a case ended."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import stat
from typing import Any

from tests.damaged_inputs import cases, server

# A process that was ended by a library rather than by an exception.
_ABORTED = ("Traceback (most recent call last)", "Fatal Python error", "terminate called",
            "Exception ignored in", "Exception in thread", "Check failed:")  # fmt: skip
_LONGEST = 8000
_USAGE_STATUS = 2

Tree = dict[str, tuple[Any, ...]]


def tree(folder: pathlib.Path) -> Tree:
  """{path below a folder: what is there}; no link is followed, nothing special opened."""
  found: Tree = {}
  for place, folders, files in os.walk(os.fsencode(folder)):
    for name in (*folders, *files):
      path = os.path.join(place, name)
      found[os.fsdecode(os.path.relpath(path, os.fsencode(folder)))] = _what(path)
  return found


def _what(path: bytes) -> tuple[Any, ...]:
  status = os.lstat(path)
  if stat.S_ISLNK(status.st_mode):
    return ("link", os.readlink(path))
  if not stat.S_ISREG(status.st_mode):
    return (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode))
  try:
    with open(path, "rb") as file:
      content: Any = hashlib.sha256(file.read()).hexdigest()
  except PermissionError:
    content = status.st_mtime_ns
  return ("file", stat.S_IMODE(status.st_mode), status.st_size, content)


def overwritten(before: Tree, after: Tree, writes: tuple[str, ...]) -> list[str]:
  """Inputs that are gone or others, but for those that the command may change."""
  return [
    path
    for path, what in before.items()
    if after.get(path) != what and not path.startswith(("home", "tmp", *writes))
  ]


def problems(
  case: cases.Case, outcome: server.Outcome, result: Any, right: Any, lost: list[str]
) -> list[str]:
  """Sentences on what is wrong; none if all is well.

  Args:
    result: of the command, if it ended with status 0.
    right: the same of the intact input.
    lost: what `overwritten` gave.
  """
  found = [f"{path!r} was overwritten or removed" for path in lost[:5]]
  if outcome.broken:
    return [*found, f"{outcome.broken} ({outcome.seconds:.0f} s, {outcome.peak_mb} MB)"]
  said = outcome.stdout + outcome.stderr
  found += [f"prints '{mark}'" for mark in _ABORTED if mark in said]
  if outcome.status not in (0, 2, *case.subject.statuses):
    found.append(f"ends with status {outcome.status}")
  elif outcome.status == _USAGE_STATUS:
    found += _unclear(outcome, case.place)
    if case.expected is cases.Expected.SAME:
      found.append("is refused, although nothing is wrong with it")
  elif case.expected is cases.Expected.REFUSED:
    found.append("is accepted in silence")
  elif (
    case.expected in (cases.Expected.SAME, cases.Expected.REFUSED_OR_SAME)
    and outcome.status == 0
    and result != right
  ):
    found.append(f"gives another result than the intact input: {result!r:.300}")
  return found


def _unclear(outcome: server.Outcome, place: str) -> list[str]:
  """What keeps an error from being one clear line on what stands in a place."""
  errors = re.findall(r"^(?:Error: |usage: )", outcome.stderr, re.M)
  if len(errors) != 1:
    return [f"has {len(errors)} lines that begin with 'Error:' or 'usage:'"]
  message = outcome.stderr[outcome.stderr.index(errors[0]) :].rstrip("\n")
  found = []
  folders = [folder for folder in pathlib.PurePath(place).parents if folder.name]
  # As a path, or, of a data set, as "scenes:own".
  above = [f"{mark}{text}" for f in folders for mark, text in (("/", f), (":", f.name))]
  if not any(name in message for name in (os.path.basename(place), *above)):
    found.append(f"has an error that names neither {place} nor a folder above it")
  odd = {c for c in message if not c.isprintable() and c != "\n"}
  if odd:
    found.append(f"has unprintable characters in its error: {odd!r}")
  if len(message) > _LONGEST:
    found.append(f"has an error of {len(message)} characters")
  if not message.removeprefix("Error: ").strip():
    found.append("has an error without a word")
  return found
