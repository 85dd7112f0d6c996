"""Lines over steps, or over a table's rows: mean and range over seeds.

TensorFlow is not imported.
"""

from __future__ import annotations

import copy
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfdam import experiment as experiment_lib
from tfdam.reporting.report import charts
from tfdam.reproduction import tables

# The measure of dead channels, summed over all taps.
_DEAD = "dead"
# Size of a picture for documentation, in pixels.
_WIDTH, _HEIGHT = 640, 300
# {colour in page.css: its value in a picture}; readable on white and on black.
_COLOURS = {
  "ink": "#6e7781", "faint": "#8c959f", "series1": "#0969da", "series2": "#bc4c00",
  "series3": "#1a7f37", "series4": "#8250df", "series5": "#bf3989", "series6": "#9a6700",
  "series7": "#1b7c83", "series8": "#57606a",
}  # fmt: skip


class Spread(NamedTuple):
  """The lowest, mean and highest value over seeds at one point of a line."""

  x: float
  low: float
  mean: float
  high: float
  series: str


def over_steps(curves: experiment_lib.Curves, filler: tables.Filler) -> list[Spread]:
  """Returns every line of a figure, at the steps that all of its seeds have."""
  found = []
  for title, run in curves.lines.items():
    by_seed = [
      _curve(record.get("curves", {}), curves.measure)
      for _, record in filler.records(run).values()
    ]
    by_seed = [curve for curve in by_seed if curve]
    if by_seed:
      steps = set.intersection(*(set(curve) for curve in by_seed))
      factor = 1 if curves.measure == _DEAD else 100
      found += [
        _spread(step, [factor * curve[step] for curve in by_seed], title)
        for step in sorted(steps)
      ]
  return found


def over_rows(filled: tables.Filled) -> list[Spread]:
  """Returns every column of a table's chart, over its rows."""
  return [
    _spread(row.x, list(numbers.values.values()), column)
    for column in filled.table.columns
    for row in filled.table.rows
    if row.x is not None
    for numbers in [filled.rows[row.name].get(column)]
    if isinstance(numbers, tables.Numbers) and numbers.values
  ]


def _curve(curves: Mapping[str, Any], measure: str) -> dict[float, float]:
  """Returns {step: number}; for dead channels, the sum over taps."""
  wanted = [
    points
    for name, points in curves.items()
    if name == measure or (measure == _DEAD and name.startswith(f"{_DEAD}/"))
  ]
  found: dict[float, float] = {}
  for points in wanted:
    for step, value in points:
      if value is not None:
        found[step] = found.get(step, 0.0) + value
  return found


def _spread(x: float, values: Sequence[float], series: str) -> Spread:
  return Spread(x, min(values), statistics.mean(values), max(values), series)


def chart(
  found: Sequence[Spread], x: str, y: str, logarithmic: bool = False
) -> dict[str, Any]:
  """Returns a spec for a page: lines, with bands from the lowest to the highest seed."""
  points = [charts.Point(one.x, one.mean, one.series) for one in found]
  spec = charts.lines(points, x, y, height=_HEIGHT, marks=logarithmic)
  line = {name: spec.pop(name) for name in ("mark", "encoding", "data") if name in spec}
  encoding: dict[str, Any] = line["encoding"]
  if logarithmic:
    encoding["x"]["scale"] = {"type": "log"}
  band = {
    "data": {"values": [one._asdict() for one in found]},
    "mark": {"type": "area", "opacity": 0.15},
    "encoding": {
      "x": encoding["x"],
      "y": {**encoding["y"], "field": "low"},
      "y2": {"field": "high"},
      # Not "color", or the lines' legend would be as pale as the bands.
      "fill": {**encoding["color"], "legend": None},
    },
  }
  return {**spec, "layer": [band, line]}


def picture(spec: Mapping[str, Any], title: str) -> str:
  """Converts a page's spec to SVG for documentation."""
  import vl_convert

  whole = copy.deepcopy(dict(spec))
  whole.update(
    width=_WIDTH,
    title=title,
    background="transparent",
    config={
      "title": {"color": _COLOURS["ink"]},
      "axis": {
        f"{part}Color": _COLOURS["ink"] for part in ("label", "title", "tick", "domain")
      }
      | {"gridColor": _COLOURS["faint"], "gridOpacity": 0.3},
      "legend": {"labelColor": _COLOURS["ink"]},
      "view": {"stroke": None},
    },
  )
  return vl_convert.vegalite_to_svg(_coloured(whole))


def _coloured(value: Any) -> Any:
  """Replaces page.css' names in a spec by colours."""
  if isinstance(value, Mapping):
    return {name: _coloured(item) for name, item in value.items()}
  if isinstance(value, list):
    return [_coloured(item) for item in value]
  if isinstance(value, str) and re.fullmatch(r"@[\w-]+", value):
    return _COLOURS.get(value[1:], _COLOURS["ink"])
  return value
