"""Curves of a run: its losses, its discriminators, and its scores over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfdam.reporting.report import charts, scores
from tfdam.reporting.report import page as page_lib
from tfdam.vocabulary import Stage

Lines = Sequence[Mapping[str, Any]]

_LOSS, _DISCRIMINATOR, _ACCURACY = "loss/", "discriminator/", "/accuracy"
_CURVE, _METRIC = "curve", "metric/test_"
# The most points of a curve; more would not be visible.
_MOST_POINTS = 300
# The most curves in one chart that readers can follow.
_MOST_TAPS = 8


def add(made: page_lib.Page, lines: Lines) -> None:
  """Adds the sections of curves for which there are lines."""
  _add_score(made, lines)
  _add_losses(made, lines)
  _add_discriminators(made, lines)


def points(lines: Lines, stage: str, name: str, series: str) -> list[charts.Point]:
  """Returns a number's points over a stage's steps, at most _MOST_POINTS.

  Args:
    lines: of metrics.jsonl.
    stage: whose steps.
    name: of the number.
    series: the curve's name.
  """
  found = [
    charts.Point(line["step"], float(line[name]), series)
    for line in lines
    if line["stage"] == stage and _is_number(line.get(name))
  ]
  stride = -(-len(found) // _MOST_POINTS) or 1
  # Reversed, so that the last point is always kept.
  return found[::-1][::stride][::-1]


def losses(lines: Lines) -> dict[str, list[str]]:
  """Returns {stage: names of its losses}, in the order of their first lines."""
  found: dict[str, dict[str, None]] = {}
  for line in lines:
    names = found.setdefault(line["stage"], {})
    names.update(dict.fromkeys(name for name in line if name.startswith(_LOSS)))
  return {stage: list(found[stage]) for stage in scores.ordered(found) if found[stage]}


def score_names(lines: Lines) -> list[str]:
  """Returns the names of the scores that were measured during adaptation."""
  there = [line for line in lines if line["phase"] == _CURVE]
  return list(dict.fromkeys(n for line in there for n in line if n.startswith(_METRIC)))


def _add_score(made: page_lib.Page, lines: Lines) -> None:
  of_curve = [line for line in lines if line["phase"] == _CURVE]
  for name in score_names(lines):
    title = {"miou": "mIoU"}.get(name[len(_METRIC) :], name[len(_METRIC) :])
    found = points(of_curve, Stage.ADAPTED, name, title)
    if len(found) > 1:
      made.add_section("The score over steps")
      made.add_text("On the target's test images. It decided nothing in the run.")
      percent = [point._replace(y=100 * point.y) for point in found]
      made.add_chart(
        charts.lines(percent, "step of adaptation", f"{title}, %", marks=True),
        f"{title} on the target's test images over the steps of adaptation.",
      )


def _add_losses(made: page_lib.Page, lines: Lines) -> None:
  shown = {
    stage: [
      (name[len(_LOSS) :].replace("_", " "), points(lines, stage, name, name))
      for name in names
    ]
    for stage, names in losses(lines).items()
  }
  if not shown:
    return
  made.add_section("Losses")
  for stage, found in shown.items():
    made.add_heading(scores.stage_title(stage))
    made.add_charts([
      (charts.lines(curve, "step", "", height=150, marks=len(curve) == 1),
       f"The loss {title} over steps.", title)
      for title, curve in found
      if curve
    ])  # fmt: skip


def _add_discriminators(made: page_lib.Page, lines: Lines) -> None:
  names = dict.fromkeys(
    name
    for line in lines
    for name in line
    if name.startswith(_DISCRIMINATOR) and name.endswith(_ACCURACY)
  )
  if not names:
    return
  taps = {n[len(_DISCRIMINATOR) : -len(_ACCURACY)]: n for n in names}
  stride = -(-len(taps) // _MOST_TAPS)
  chosen = list(taps)[::-1][::stride][::-1]
  made.add_section("Discriminators")
  said = (
    "" if len(chosen) == len(taps) else f" {len(chosen)} of {len(taps)} taps are shown."
  )
  made.add_text(
    "How often each tap's discriminator is right. At 0.5 it guesses, and no longer tells"
    f" the domains apart.{said}"
  )
  curve = [p for tap in chosen for p in points(lines, Stage.ADAPTED, taps[tap], tap)]
  made.add_chart(
    charts.lines(curve, "step of adaptation", "accuracy", domain=(0, 1), rule=0.5),
    "Accuracy of each tap's discriminator over the steps of adaptation.",
  )


def _is_number(value: Any) -> bool:
  return isinstance(value, (int, float)) and not isinstance(value, bool)
