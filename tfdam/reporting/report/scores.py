"""What a run's scores say, before and after: the numbers that its sentences speak of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfdam.reporting.report import charts, page
from tfdam.vocabulary import Stage, Task

UP, DOWN, LEVEL = "\u25b2", "\u25bc", "="
MINUS = "\u2212"
# Changes that round to nothing, in points.
_NOTHING = 0.05
_PER_CLASS = {
  Task.CLASSIFICATION: "per_class_accuracy",
  Task.SEGMENTATION: "iou_per_class",
}
_OTHERS = {
  Task.CLASSIFICATION: {},
  Task.SEGMENTATION: {
    "pixel_accuracy": "pixel accuracy",
    "class_accuracy": "class accuracy",
    "fwiou": "frequency-weighted IoU",
  },
}


class ClassScore(NamedTuple):
  """A class's scores in percent, None where it has none."""

  name: str
  by_stage: Mapping[str, float | None]
  change: float | None

  @property
  def moved(self) -> float:
    """Points gained; 0 for what rounds to it, or without both scores."""
    change = self.change
    return 0.0 if change is None or abs(change) < _NOTHING else change


class Scores:
  """Scores of the split that reports speak of: the test split where it has labels.

  Attributes:
    task: of Task.
    stages: {stage: scores of the split}, in the order of stages.
    split: "test" or "transductive"; empty where nothing was scored.
    first: the first stage with scores.
    last: the last one; the same as `first` if there is no other.
  """

  def __init__(self, results: Mapping[str, Any]):
    self.task = Task(results.get("task", Task.CLASSIFICATION))
    self._classes: Sequence[str] = results.get("classes", [])
    every = {
      stage: results["stages"][stage]
      for stage in ordered(results.get("stages", {}))
      if results["stages"][stage]
    }
    self.split = next(
      (s for s in ("test", "transductive") if any(s in of for of in every.values())), ""
    )
    self.stages = {stage: of[self.split] for stage, of in every.items() if self.split in of}
    self.transductive = {
      stage: percent(of["transductive"].get(self.task.headline))
      for stage, of in every.items()
      if self.split == "test" and "transductive" in of
    }
    names = list(self.stages)
    self.first, self.last = (names[0], names[-1]) if names else ("", "")

  @property
  def name(self) -> str:
    """What the headline score is called."""
    return "mIoU" if self.task == Task.SEGMENTATION else "accuracy"

  @property
  def class_name(self) -> str:
    """The same of one class."""
    return "IoU" if self.task == Task.SEGMENTATION else "accuracy"

  def headline(self, stage: str) -> float | None:
    """In percent."""
    return percent(self.stages.get(stage, {}).get(self.task.headline))

  @property
  def change(self) -> float | None:
    """Points that the headline gained from the first stage to the last."""
    return difference(self.headline(self.first), self.headline(self.last))

  def others(self) -> dict[str, dict[str, float | None]]:
    """{name: {stage: percent}} of further scores."""
    return {
      name: {stage: percent(of.get(key)) for stage, of in self.stages.items()}
      for key, name in _OTHERS[self.task].items()
    }

  def parts(self) -> dict[str, dict[str, float | None]]:
    """{target or sequence: {stage: percent}} of the headline on its images alone."""
    names = dict.fromkeys(n for of in self.stages.values() for n in of.get("parts", {}))
    return {
      name: {
        stage: percent(of.get("parts", {}).get(name, {}).get(self.task.headline))
        for stage, of in self.stages.items()
      }
      for name in names
    }

  def classes(self) -> list[ClassScore]:
    """Every class, in the order of its label."""
    key = _PER_CLASS[self.task]
    found = []
    for i, name in enumerate(self._classes):
      by_stage = {
        stage: percent(of[key][i]) if i < len(of.get(key) or ()) else None
        for stage, of in self.stages.items()
      }
      change = difference(by_stage.get(self.first), by_stage.get(self.last))
      found.append(ClassScore(name, by_stage, change))
    return found


def ordered(stages: Mapping[str, Any]) -> list[str]:
  """Known stages in their order, then those of a later version."""
  known = [stage.value for stage in Stage if stage in stages]
  return known + [stage for stage in stages if stage not in known]


def stage_title(stage: str) -> str:
  """What people call a stage."""
  known = stage in [known.value for known in Stage]
  return Stage(stage).shown if known else stage


def percent(share: float | None) -> float | None:
  """Of a fraction; None for none."""
  return None if share is None or not math.isfinite(100.0 * share) else 100.0 * share


def difference(before: float | None, after: float | None) -> float | None:
  return None if before is None or after is None else after - before


def number(value: float | None, digits: int = 1) -> str:
  """With a minus that is as wide as a plus; "-" for none."""
  if value is None or not math.isfinite(value):
    return "-"
  return f"{value:.{digits}f}".replace("-", MINUS)


def signed(change: float, digits: int = 1) -> str:
  """With its sign."""
  return f"{'+' if change >= 0 else MINUS}{abs(change):.{digits}f}"


def cell(change: float | None) -> page.Cell:
  """A change in points as a cell: sign, arrow, colour, and a word for screen readers."""
  if change is None:
    return page.Cell("-", "faint")
  if abs(change) < _NOTHING:
    return page.Cell(f"{LEVEL} 0.0", "faint", "unchanged")
  if change > 0:
    return page.Cell(f"{UP} {signed(change)}", "gain", "gained")
  return page.Cell(f"{DOWN} {signed(change)}", "loss", "lost")


def as_change(row: ClassScore, first: str, last: str) -> charts.Change | None:
  """A class for a chart; None without both scores."""
  before, after = row.by_stage.get(first), row.by_stage.get(last)
  if before is None or after is None:
    return None
  shown = cell(row.change)
  return charts.Change(row.name, before, after, shown.text, shown.tone)
