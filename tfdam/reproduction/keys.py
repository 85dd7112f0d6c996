"""Digests of what decides a run's result: its fields, and the code that reads them.

Two runs with the same key and code give the same bits on machines of one kind. TensorFlow
is not imported.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfdam import code_digest, files, runtime
from tfdam import config as config_lib

# A change in one of these files may change results. Files that report, check or deploy are
# not among them.
_CODE = (
  "tfdam/config/adapt.py", "tfdam/config/fields.py", "tfdam/config/parsing.py",
  "tfdam/config/resolving.py", "tfdam/config/schema.py", "tfdam/config/sections.py",
  "tfdam/curriculum/*.py", "tfdam/data/*.py", "tfdam/matching/*.py",
  "tfdam/metrics/confusion.py", "tfdam/metrics/oracle.py", "tfdam/models/*.py",
  "tfdam/reporting/evaluation.py", "tfdam/runs/adapt_stage.py", "tfdam/runs/context.py",
  "tfdam/runs/lessons.py", "tfdam/runs/preflight.py", "tfdam/runs/run.py",
  "tfdam/runs/target_guides.py", "tfdam/streets/*.py", "tfdam/torch_file.py",
  "tfdam/training/*.py",
)  # fmt: skip
# The fields of source training. The target's fields count only if source images get the
# target's look.
_OF_SOURCE = ("seed", "data.", "model.", "source.", "runtime.precision")
_OF_TARGET = ("data.target", "data.target_limit", "data.target_skew")
# The path of the network that training starts from; the key of its run identifies it.
_PLACE = "source.init_checkpoint"
# The name of trained weights, or a file of them, whose content counts and not its path.
_WEIGHTS = "model.weights"
_LENGTH = 12


def of_run(
  config: config_lib.Config, command: str, started_from: str, extras: Sequence[str]
) -> str:
  """Returns a digest of everything in the config that decides the result.

  Args:
    config: resolved.
    command: of the run.
    started_from: the key and the stage of the run whose network this one starts from.
    extras: what the run writes besides its results.
  """
  fields = {name: value for name, value in _changed(config).items() if name != _PLACE}
  return _digest(
    {
      "fields": fields,
      "command": command,
      "started_from": started_from,
      "extras": sorted(extras),
    }
  )


def of_source(config: config_lib.Config) -> str:
  """Returns a digest of what decides the source network, equal for comparable runs."""
  others = _OF_TARGET if config.data.source_style == "none" else ()
  fields = {
    name: value
    for name, value in _changed(config).items()
    if (name.startswith(_OF_SOURCE) and name not in others)
    # Section augment applies to the source only if source.augment is set.
    or (config.source.augment and name.startswith("augment."))
  }
  return _digest(fields)


def _changed(config: config_lib.Config) -> dict[str, Any]:
  """Returns the fields that differ from the defaults."""
  changed = config_lib.differences(config, config_lib.Config())
  fields = {name: value for name, (value, _) in changed.items()}
  if _WEIGHTS in fields:
    fields[_WEIGHTS] = _of_weights(fields[_WEIGHTS])
  return fields


@functools.lru_cache  # every seed and row of an experiment asks
def _of_weights(named: str) -> str:
  path = runtime.resolve_path(named)
  return files.digest(path) if os.path.isfile(path) else named


def _digest(content: Mapping[str, Any]) -> str:
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


@functools.lru_cache(maxsize=1)
def of_code() -> str:
  """Returns a digest of the code that decides results.

  Comments, docstrings and the messages of errors do not count.
  """
  return code_digest.of(runtime.LIBRARY, _CODE)[:_LENGTH]
