"""Curves of a run: its losses, each tap's discriminator, and scores over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfdam.reporting.report import charts, scores
from tfdam.reporting.report import page as page_lib
from tfdam.vocabulary import Stage

Lines = Sequence[Mapping[str, Any]]

_LOSS, _DISCRIMINATOR, _ACCURACY = "loss/", "discriminator/", "/accuracy"
_CURVE, _METRIC = "curve", "metric/test_"
# Points of a curve that a page has a use for.
_MOST_POINTS = 300
# Curves in one chart that eyes can follow.
_MOST_TAPS = 8


def add(made: page_lib.Page, lines: Lines) -> None:
  """Adds the sections of curves that there are lines for."""
  _add_score(made, lines)
  _add_losses(made, lines)
  _add_discriminators(made, lines)


def points(lines: Lines, stage: str, name: str, series: str) -> list[charts.Point]:
  """A number's points over a stage's steps."""
  found = [
    charts.Point(line["step"], float(line[name]), series)
    for line in lines
    if line["stage"] == stage and _is_number(line.get(name))
  ]
  stride = -(-len(found) // _MOST_POINTS) or 1
  # The last one, whatever the stride.
  return found[::-1][::stride][::-1]


def losses(lines: Lines) -> dict[str, list[str]]:
  """{stage: names of its losses}, in the order in which they came up."""
  found: dict[str, dict[str, None]] = {}
  for line in lines:
    names = found.setdefault(line["stage"], {})
    names.update(dict.fromkeys(name for name in line if name.startswith(_LOSS)))
  return {stage: list(found[stage]) for stage in scores.ordered(found) if found[stage]}


def score_names(lines: Lines) -> list[str]:
  """Scores that were taken again and again during adaptation."""
  there = [line for line in lines if line["phase"] == _CURVE]
  return list(dict.fromkeys(n for line in there for n in line if n.startswith(_METRIC)))


def _add_score(made: page_lib.Page, lines: Lines) -> None:
  of_curve = [line for line in lines if line["phase"] == _CURVE]
  for name in score_names(lines):
    title = {"miou": "mIoU"}.get(name[len(_METRIC) :], name[len(_METRIC) :])
    found = points(of_curve, Stage.ADAPTED, name, title)
    if len(found) > 1:
      made.add_section("The score over steps")
      made.add_text("On the target's test images; nothing was chosen by it.")
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
    "" if len(chosen) == len(taps) else f" Of {len(taps)} taps {len(chosen)} are shown."
  )
  made.add_text(
    "How often each tap's discriminator is right. At 0.5 it guesses, and tells the domains"
    f" apart no more.{said}"
  )
  curve = [p for tap in chosen for p in points(lines, Stage.ADAPTED, taps[tap], tap)]
  made.add_chart(
    charts.lines(curve, "step of adaptation", "accuracy", domain=(0, 1), rule=0.5),
    "Accuracy of each tap's discriminator over the steps of adaptation.",
  )


def _is_number(value: Any) -> bool:
  return isinstance(value, (int, float)) and not isinstance(value, bool)
