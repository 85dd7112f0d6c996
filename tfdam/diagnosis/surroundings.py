"""Makes rows about Bazel, data sets, folders and workers from facts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from tfdam import commands
from tfdam.diagnosis import facts as facts_lib
from tfdam.diagnosis import rows as rows_lib

# A checkpoint of FCN8s with Adam's two moments has 1.6 GB, and a stage keeps two.
_ENOUGH_DISK = 5e9
# Bazel's versions that work: before 4 its rules differ, from 8 on it has none for Python.
_BAZELS = range(4, 8)
_BAZEL = "set TFDAM_BAZEL to a Bazel 4 to 7, or install bazelisk"


def rows(facts: facts_lib.Facts) -> list[rows_lib.Row]:
  # A wheel has no bazelw.
  built = [] if commands.IS_INSTALLED else [_bazel(facts.bazel)]
  return [
    *built,
    *_data(facts),
    _runs(facts.folders["runs"]),
    _cache(facts.folders["cache"]),
    _cluster(facts),
  ]


def _bazel(bazel: Mapping[str, Any]) -> rows_lib.Row:
  subject = "./bazelw takes"
  if bazel["program"]:
    return _bazel_that_is_there(bazel)
  if bazel["named"]:
    found = f"TFDAM_BAZEL={bazel['named']}, which is no program"
    remedy = "Unset TFDAM_BAZEL, or name a Bazel 4 to 7."
    return rows_lib.Row("Bazel", subject, rows_lib.BROKEN, found, remedy)
  if bazel["can_install"]:
    found = "none yet: it installs Debian's bazel-bootstrap"
    return rows_lib.Row("Bazel", subject, rows_lib.OFF, found)
  remedy = "Install bazelisk, or do without: docs/installation.md."
  return rows_lib.Row("Bazel", subject, rows_lib.MISSING, "none", remedy)


def _bazel_that_is_there(bazel: Mapping[str, Any]) -> rows_lib.Row:
  program = os.path.basename(bazel["program"])
  found = f"{program}, version {bazel['version'] or 'not known'}"
  state, remedy = rows_lib.OK, ""
  number = re.match(r"\d+", bazel["version"])
  if bazel["error"]:
    found = f"{program} does not start: {bazel['error']}"
    state, remedy = rows_lib.BROKEN, f"Mend it, or {_BAZEL}."
  elif number and int(number[0]) not in _BAZELS:
    state, remedy = rows_lib.BROKEN, f"tfdam's rules do not work with it: {_BAZEL}."
  return rows_lib.Row("Bazel", "./bazelw takes", state, found, remedy)


def _data(facts: facts_lib.Facts) -> list[rows_lib.Row]:
  root = rows_lib.Row("data", "root", rows_lib.OK, facts.data_root)
  if facts.data_sets is None:
    found = f"{facts.data_root} is not there"
    remedy = "The default run needs none; for others set TFDAM_DATA to a folder of sets."
    return [rows_lib.Row("data", "root", rows_lib.OFF, found, remedy)]
  if facts.data_error:
    remedy = "Mend the packages above."
    return [
      root,
      rows_lib.Row("data", "sets", rows_lib.BROKEN, facts.data_error, remedy),
    ]
  return [
    root,
    *(
      rows_lib.Row("data", name, rows_lib.MISSING, f"no {missing}", remedy)
      if missing
      else rows_lib.Row("data", name, rows_lib.OK, "every file is there")
      for name, (missing, remedy) in facts.data_sets.items()
    ),
  ]


def _runs(folder: Mapping[str, Any]) -> rows_lib.Row:
  found = f"{folder['path']}, {rows_lib.size(folder['free'])} free"
  state, remedy = rows_lib.OK, ""
  if not folder["writable"]:
    found = f"{folder['path']} cannot be written"
    state, remedy = rows_lib.BROKEN, "Start from another folder, or set --workdir."
  elif folder["free"] < _ENOUGH_DISK:
    remedy = "Runs of the largest networks need more: set --workdir to another disk."
  return rows_lib.Row("runs", "folder", state, found, remedy, (rows_lib.TRAINING,))


def _cache(folder: Mapping[str, Any]) -> rows_lib.Row:
  found = f"{folder['path']}, {rows_lib.size(folder['size'])}"
  if folder["writable"]:
    return rows_lib.Row("runs", "shared cache", rows_lib.OK, found)
  return rows_lib.Row(
    "runs",
    "shared cache",
    rows_lib.BROKEN,
    f"{folder['path']} cannot be written",
    "Set TFDAM_CACHE to a folder that can, or --config.source.cache=off.",
  )


def _cluster(facts: facts_lib.Facts) -> rows_lib.Row:
  if facts.cluster_error:
    return rows_lib.Row(
      "runs",
      "TF_CONFIG",
      rows_lib.BROKEN,
      facts.cluster_error,
      "Mend or unset it.",
      (rows_lib.TRAINING,),
    )
  if facts.cluster:
    return rows_lib.Row("runs", "TF_CONFIG", rows_lib.OK, facts.cluster)
  found = "not set: a run trains on this machine alone"
  return rows_lib.Row("runs", "TF_CONFIG", rows_lib.OFF, found)
