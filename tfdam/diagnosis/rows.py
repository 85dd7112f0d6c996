"""A line of the doctor's table, and what follows from all of them."""

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
  """One line.

  Attributes:
    section: what it stands under.
    subject: what was looked at.
    state: OK; MISSING or BROKEN, to be mended; OFF, neither there nor needed.
    found: what there is.
    remedy: what to do, in a sentence; "" where nothing need be done.
    needed_for: which of PROMISES cannot be kept while it is missing or broken.
  """

  section: str
  subject: str
  state: str
  found: str
  remedy: str = ""
  needed_for: tuple[str, ...] = ()


def blockers(table: Sequence[Row], promise: str) -> list[Row]:
  """The rows because of which one of PROMISES cannot be kept on this machine."""
  return [r for r in table if promise in r.needed_for and r.state in (MISSING, BROKEN)]


def why(result: Mapping[str, Any]) -> str:
  """Why a step of a probe failed: the library's log knows best."""
  return result.get("cause") or result["error"]


def size(num_bytes: float) -> str:
  """As people read it: "23.5 GB"."""
  return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
