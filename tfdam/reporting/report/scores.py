"""A run's scores before and after, for tables, charts and sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfdam.reporting.report import charts, page
from tfdam.vocabulary import Stage, Task

UP, DOWN, LEVEL = "\u25b2", "\u25bc", "="
MINUS = "\u2212"
# Smaller changes, in points, count as none.
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
  """A class's scores in percent, None for a missing one; `change` is in points."""

  name: str
  by_stage: Mapping[str, float | None]
  change: float | None

  @property
  def moved(self) -> float:
    """The change in points; 0 if it rounds to 0 or a score is missing."""
    change = self.change
    return 0.0 if change is None or abs(change) < _NOTHING else change


class Scores:
  """Scores of the split that reports show, the test split if it has labels.

  Attributes:
    task: a Task.
    stages: {stage: scores of the split}, in the order of stages.
    split: "test" or "transductive"; empty if nothing was scored.
    transductive: {stage: headline score in percent} of the training images, if `split` is
      "test" and these were scored too.
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
    """The name of the headline score."""
    return "mIoU" if self.task == Task.SEGMENTATION else "accuracy"

  @property
  def class_name(self) -> str:
    """The name of a single class's score."""
    return "IoU" if self.task == Task.SEGMENTATION else "accuracy"

  def headline(self, stage: str) -> float | None:
    """Returns a stage's headline score in percent; None without one."""
    return percent(self.stages.get(stage, {}).get(self.task.headline))

  @property
  def change(self) -> float | None:
    """The change of the headline score from the first stage to the last, in points."""
    return difference(self.headline(self.first), self.headline(self.last))

  def others(self) -> dict[str, dict[str, float | None]]:
    """Returns further scores, {name: {stage: percent}}."""
    return {
      name: {stage: percent(of.get(key)) for stage, of in self.stages.items()}
      for key, name in _OTHERS[self.task].items()
    }

  def parts(self) -> dict[str, dict[str, float | None]]:
    """Returns the headline score of each target or sequence, {name: {stage: percent}}."""
    names = dict.fromkeys(n for of in self.stages.values() for n in of.get("parts", {}))
    return {
      name: {
        stage: percent(of.get("parts", {}).get(name, {}).get(self.task.headline))
        for stage, of in self.stages.items()
      }
      for name in names
    }

  def classes(self) -> list[ClassScore]:
    """Returns the scores of every class, in the order of labels."""
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
  """Returns known stages in their order, then those of later versions."""
  known = [stage.value for stage in Stage if stage in stages]
  return known + [stage for stage in stages if stage not in known]


def stage_title(stage: str) -> str:
  """Returns the name of a stage for people."""
  known = stage in [known.value for known in Stage]
  return Stage(stage).shown if known else stage


def percent(share: float | None) -> float | None:
  """Converts a fraction to percent; None if it is None or not finite."""
  return None if share is None or not math.isfinite(100.0 * share) else 100.0 * share


def difference(before: float | None, after: float | None) -> float | None:
  return None if before is None or after is None else after - before


def number(value: float | None, digits: int = 1) -> str:
  """Formats a number, with a minus as wide as a plus; "-" for None and nan."""
  if value is None or not math.isfinite(value):
    return "-"
  return f"{value:.{digits}f}".replace("-", MINUS)


def signed(change: float, digits: int = 1) -> str:
  """Formats a number with its sign."""
  return f"{'+' if change >= 0 else MINUS}{abs(change):.{digits}f}"


def cell(change: float | None) -> page.Cell:
  """Returns a change in points as a cell with sign, arrow, colour and spoken word."""
  if change is None:
    return page.Cell("-", "faint")
  if abs(change) < _NOTHING:
    return page.Cell(f"{LEVEL} 0.0", "faint", "unchanged")
  if change > 0:
    return page.Cell(f"{UP} {signed(change)}", "gain", "gained")
  return page.Cell(f"{DOWN} {signed(change)}", "loss", "lost")


def as_change(row: ClassScore, first: str, last: str) -> charts.Change | None:
  """Returns a class's change for a chart; None if a score is missing."""
  before, after = row.by_stage.get(first), row.by_stage.get(last)
  if before is None or after is None:
    return None
  shown = cell(row.change)
  return charts.Change(row.name, before, after, shown.text, shown.tone)
