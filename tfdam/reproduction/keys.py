"""What decides a run's result: its fields, and the code that reads them.

Two runs with one key and one code give the same bits on one kind of machine. Imports no
TensorFlow.
"""

from __future__ import annotations

import ast
import functools
import glob
import hashlib
import io
import json
import os
import tokenize
from collections.abc import Mapping, Sequence
from typing import Any

from tfdam import config as config_lib
from tfdam import runtime

# A change in one of these may be another result; what reports, refuses or deploys is not
# among them.
_CODE = (
  "tfdam/config/adapt.py", "tfdam/config/fields.py", "tfdam/config/parsing.py",
  "tfdam/config/resolving.py", "tfdam/config/schema.py", "tfdam/config/sections.py",
  "tfdam/curriculum/*.py", "tfdam/data/*.py", "tfdam/matching/*.py",
  "tfdam/metrics/confusion.py", "tfdam/metrics/oracle.py", "tfdam/models/*.py",
  "tfdam/reporting/evaluation.py", "tfdam/runs/adapt_stage.py", "tfdam/runs/context.py",
  "tfdam/runs/run.py", "tfdam/runs/target_guides.py", "tfdam/streets/*.py",
  "tfdam/training/*.py",
)  # fmt: skip
# Fields of source training alone; the target's are none of its, unless source images are in
# the target's look.
_OF_SOURCE = ("seed", "data.", "model.", "source.", "runtime.precision")
_OF_TARGET = ("data.target", "data.target_limit", "data.target_skew")
# Where a network that training starts from lies; which one it is, its run's key says.
_PLACE = "source.init_checkpoint"
_LENGTH = 12


def of_run(
  config: config_lib.Config, command: str, started_from: str, extras: Sequence[str]
) -> str:
  """A digest of everything in the config that the result depends on.

  Args:
    command: what runs.
    started_from: the key of the run, and its stage, whose network this one starts from.
    extras: what the run leaves beside its results.
  """
  changed = config_lib.differences(config, config_lib.Config())
  fields = {name: value for name, (value, _) in changed.items() if name != _PLACE}
  return _digest(
    {
      "fields": fields,
      "command": command,
      "started_from": started_from,
      "extras": sorted(extras),
    }
  )


def of_source(config: config_lib.Config) -> str:
  """A digest of what decides the source network: equal for runs that compare."""
  changed = config_lib.differences(config, config_lib.Config())
  others = _OF_TARGET if config.data.source_style == "none" else ()
  fields = {
    name: value
    for name, (value, _) in changed.items()
    if (name.startswith(_OF_SOURCE) and name not in others)
    # Whether the source's moves are those of section augment is in source.augment.
    or (config.source.augment and name.startswith("augment."))
  }
  return _digest(fields)


def _digest(content: Mapping[str, Any]) -> str:
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


@functools.lru_cache(maxsize=1)
def of_code() -> str:
  """A digest of the code that decides results.

  Comments, docstrings and the messages of errors do not count.
  """
  paths = sorted(
    path for pattern in _CODE for path in glob.glob(os.path.join(runtime.LIBRARY, pattern))
  )
  digest = hashlib.sha256()
  for path in paths:
    with open(path, encoding="utf-8") as file:
      digest.update(os.path.relpath(path, runtime.LIBRARY).encode())
      digest.update(bare(file.read()).encode())
  return digest.hexdigest()[:_LENGTH]


def bare(code: str) -> str:
  """A module's text without comments, docstrings, messages of errors and empty lines.

  Cut out of the text itself: what a parser makes of it differs from one Python to another.
  """
  lines = code.splitlines()
  for node in ast.walk(ast.parse(code)):
    if isinstance(node, _WITH_DOCSTRINGS) and ast.get_docstring(node) is not None:
      text = node.body[0]
      assert text.end_lineno is not None
      for number in range(text.lineno - 1, text.end_lineno):
        lines[number] = ""
    if isinstance(node, ast.Raise):
      assert node.end_lineno is not None
      first = node.lineno - 1
      lines[first] = lines[first].encode()[: node.col_offset].decode() + "raise"
      for number in range(first + 1, node.end_lineno):
        lines[number] = ""
  for token in tokenize.generate_tokens(io.StringIO(code).readline):
    number, column = token.start
    if token.type == tokenize.COMMENT and lines[number - 1]:
      lines[number - 1] = lines[number - 1][:column]
  kept = (line.rstrip() for line in lines)
  return "".join(f"{line}\n" for line in kept if line)


_WITH_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
