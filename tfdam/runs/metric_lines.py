"""Reads metrics.jsonl, which has one line of JSON per record. Imports no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, TypedDict

from absl import logging

from tfdam import files, stored

FILE = "metrics.jsonl"


class Line(TypedDict):
  """The fixed keys of a line. Its other keys are metrics: numbers, or null."""

  stage: str
  phase: str
  step: stored.Count


def read(path: str) -> Iterator[tuple[bytes, Any]]:
  """Yields every whole line with its content; warns of damaged ones."""
  if not os.path.lexists(path):
    return
  damaged = []
  with files.open_regular(path) as file:
    for number, line in enumerate(file, start=1):
      try:
        yield line, stored.parse(line, Line)
      except stored.DamagedError as error:
        if line.endswith(b"\n"):  # Else the process was killed while it wrote.
          damaged.append(f"line {number}: {error}")
  if damaged:
    logging.warning(
      "%s: %d damaged lines are left out (%s).",
      *(files.shown(path), len(damaged), damaged[0]),
    )
