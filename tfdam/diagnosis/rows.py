"""The rows of the doctor's table, and what follows from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

OK, MISSING, BROKEN, OFF = "ok", "missing", "broken", "off"
TRAINING, EXPORT = "training", "export to ONNX"
PROMISES = (TRAINING, EXPORT)
NO_GPU = "none: training and inference use the CPU"


@dataclasses.dataclass(frozen=True)
class Row:
  """One row.

  Attributes:
    section: the heading above the row.
    subject: what was checked.
    state: OK; MISSING or BROKEN, to be mended; OFF, neither present nor needed.
    found: what was found.
    remedy: what to do, in a sentence; "" if nothing need be done.
    needed_for: the PROMISES that need the subject.
  """

  section: str
  subject: str
  state: str
  found: str
  remedy: str = ""
  needed_for: tuple[str, ...] = ()


def blockers(table: Sequence[Row], promise: str) -> list[Row]:
  """Returns the rows because of which one of PROMISES does not work on this machine."""
  return [r for r in table if promise in r.needed_for and r.state in (MISSING, BROKEN)]


def why(result: Mapping[str, Any]) -> str:
  """Returns why a step of a probe failed; the library's log is the best source."""
  return result.get("cause") or result["error"]


def size(num_bytes: float) -> str:
  """Returns a size as text, such as "23.5 GB"."""
  return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
