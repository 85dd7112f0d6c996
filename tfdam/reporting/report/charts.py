"""Charts for a page: Vega-Lite specs, checked by altair, as wide as their container.

Colours are names in page.css, such as "@gain", because only the page knows whether it is
light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair

from tfdam import files

Spec = dict[str, Any]

_ROW = 27  # height of a row in a chart by name, in pixels
_LONGEST_LABEL = 150
_SERIES = [f"@series{i}" for i in range(1, 9)]
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]
# With more classes, the numbers of a matrix do not fit into their cells.
_MOST_WRITTEN = 12


class Change(NamedTuple):
  """The change of a class or layer; both numbers are finite.

  Attributes:
    name: of the class or layer.
    before: in the unit of the axis.
    after: the same.
    text: written beside it, with a sign or a word.
    tone: "gain", "loss" or "faint".
  """

  name: str
  before: float
  after: float
  text: str
  tone: str


class Point(NamedTuple):
  """A point of a curve."""

  x: float
  y: float
  series: str


def changes(
  rows: Sequence[Change], axis: str, names: tuple[str, str], domain: Sequence[float] = ()
) -> Spec:
  """Draws one row per change: a hollow dot before, a filled one after, a line between them.

  Args:
    rows: from top to bottom.
    axis: the axis' title, with the unit.
    names: of before and after.
    domain: of the axis; empty for 0 to the largest number.
  """
  values = [{**row._asdict(), "name": files.shown(row.name)} for row in rows]
  # The words have room on the right.
  places: list[Any] = [0, {"expr": "max(60, width - 92)"}]
  scale = altair.Scale(range=places, zero=True)
  if domain:
    scale = altair.Scale(range=places, domain=list(domain))
  names_shown = [files.shown(row.name) for row in rows]
  y = altair.Y("name:N", sort=names_shown, title=None, axis=_names_axis())
  tone = altair.Color(
    "tone:N",
    legend=None,
    scale=altair.Scale(
      domain=["gain", "loss", "faint"], range=["@gain", "@loss", "@faint"]
    ),
  )
  tooltip = [
    altair.Tooltip("name:N", title="of"),
    altair.Tooltip("before:Q", title=names[0], format=".4~g"),
    altair.Tooltip("after:Q", title=names[1], format=".4~g"),
    altair.Tooltip("text:N", title="change"),
  ]
  title = [axis, f"\u25cb {names[0]}   \u25cf {names[1]}"]
  base = altair.Chart(altair.Data(values=values)).encode(y=y)
  x = altair.X("before:Q", scale=scale, title=title, axis=altair.Axis(tickCount=5))
  line = base.mark_rule(strokeWidth=4, opacity=0.55).encode(x=x, x2="after:Q", color=tone)
  before = base.mark_point(size=70, filled=True, fill="@paper", strokeWidth=2, opacity=1)
  before = before.encode(x=x, stroke=tone, tooltip=tooltip)
  after = base.mark_point(size=110, filled=True, opacity=1).encode(
    x=altair.X("after:Q", scale=scale), color=tone, tooltip=tooltip
  )
  words = base.mark_text(align="right", fontWeight="bold").encode(
    x=altair.value("width"), text="text:N", color=tone
  )
  return _finished(altair.layer(line, before, after, words), _ROW * len(rows))


def bars(rows: Sequence[tuple[str, str, float]], axis: str) -> Spec:
  """Draws a bar for each (name, series, value), one row per name."""
  shown = [
    (files.shown(name), files.shown(of), value)
    for name, of, value in rows
    if math.isfinite(value)
  ]
  values = [{"name": name, "series": of, "value": value} for name, of, value in shown]
  names = list(dict.fromkeys(name for name, _, _ in shown))
  series = list(dict.fromkeys(of for _, of, _ in shown))
  chart = (
    altair.Chart(altair.Data(values=values))
    .mark_bar()
    .encode(
      y=altair.Y("name:N", sort=names, title=None, axis=_names_axis()),
      x=altair.X("value:Q", title=axis, axis=altair.Axis(tickCount=5)),
      tooltip=["name:N", "series:N", altair.Tooltip("value:Q", format=".4~g")],
    )
  )
  if len(series) > 1:
    chart = chart.encode(
      yOffset=altair.YOffset("series:N", sort=series), color=_series(series, "")
    )
  else:
    chart = chart.encode(color=altair.value("@series1"))
  return _finished(chart, max(60, round(_ROW * 0.8) * len(names) * max(1, len(series))))


def lines(
  points: Sequence[Point],
  x: str,
  y: str,
  height: int = 220,
  domain: Sequence[float] = (),
  rule: float | None = None,
  marks: bool = False,
) -> Spec:
  """Draws curves that differ in colour and in dashes.

  Args:
    points: of all curves; those that are not finite are left out.
    x: title of the horizontal axis.
    y: title of the vertical axis.
    height: in pixels.
    domain: of the vertical axis; empty for the points' range.
    rule: where to draw a horizontal line; None for none.
    marks: whether the points themselves are drawn.
  """
  there = [point for point in points if math.isfinite(point.x + point.y)]
  values = [{**point._asdict(), "series": files.shown(point.series)} for point in there]
  series = list(dict.fromkeys(files.shown(point.series) for point in there))
  scale = altair.Scale(domain=list(domain)) if domain else altair.Scale(zero=False)
  chart = (
    altair.Chart(altair.Data(values=values))
    .mark_line(strokeWidth=2, point=marks, clip=True)
    .encode(
      x=altair.X("x:Q", title=x, axis=altair.Axis(tickCount=5, grid=False)),
      y=altair.Y("y:Q", title=y, scale=scale, axis=altair.Axis(tickCount=4, format=".3~g")),
      tooltip=[
        altair.Tooltip("series:N", title="of"),
        altair.Tooltip("x:Q", title=x),
        altair.Tooltip("y:Q", title=y, format=".4~g"),
      ],
    )
  )
  if len(series) > 1:
    dashes = altair.Scale(domain=series, range=_repeated(_DASHES, len(series)))
    legend = altair.Legend(title=None, columns=2, labelLimit=_LONGEST_LABEL)
    chart = chart.encode(
      color=_series(series, "").legend(legend),
      strokeDash=altair.StrokeDash("series:N", scale=dashes, sort=series).legend(legend),
    )
  else:
    chart = chart.encode(color=altair.value("@series1"))
  if rule is not None:
    across = altair.Chart(altair.Data(values=[{"y": rule}]))
    across = across.mark_rule(strokeDash=[2, 3], color="@faint").encode(y="y:Q")
    chart = altair.layer(across, chart)
  return _finished(chart, height)


def matrix(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Spec:
  """Draws a confusion matrix as shares of each label's row; larger shares are darker."""
  shown = [files.shown(name) for name in names]
  values = []
  for label, row in zip(shown, counts):
    total = sum(row)
    values += [
      {"label": label, "predicted": p, "count": n, "share": n / total if total else 0.0}
      for p, n in zip(shown, row)
      if n
    ]
  angle = -90 if max(map(len, shown), default=0) > 2 else 0
  axis = altair.Axis(labelLimit=84, ticks=False, domain=False)
  below = altair.Axis(labelLimit=84, ticks=False, domain=False, labelAngle=angle)
  scale = altair.Scale(domain=shown, paddingInner=0.04)
  base = altair.Chart(altair.Data(values=values)).encode(
    x=altair.X(
      "predicted:N",
      scale=scale,
      title="predicted",
      axis=below,
    ),
    y=altair.Y("label:N", scale=scale, title="label", axis=axis),
    tooltip=[
      "label:N",
      "predicted:N",
      "count:Q",
      altair.Tooltip("share:Q", format=".1%"),
    ],
  )
  chart = base.mark_rect().encode(
    color=altair.Color(
      "share:Q",
      legend=None,
      scale=altair.Scale(
        domain=[0, 1], range=["@raised", "@full"], interpolate="lab", clamp=True
      ),
    )
  )
  if len(shown) <= _MOST_WRITTEN:
    written = base.transform_filter("datum.share >= 0.005").mark_text(fontSize=10)
    chart = altair.layer(
      chart,
      written.encode(
        text=altair.Text("percent:Q", format=".0f"),
        color=altair.condition(
          "datum.share > 0.5", altair.value("@on-full"), altair.value("@ink")
        ),
      ).transform_calculate(percent="100 * datum.share"),
    )
  return _finished(chart, max(200, min(440, 26 * len(shown))))


def histogram(low: float, high: float, shares: Mapping[str, Sequence[float]]) -> Spec:
  """Draws a channel's histograms over each other, with square roots of shares as heights.

  After a ReLU most activations are 0, and beside that bin the others would not be visible.

  Args:
    low: where the first bin begins.
    high: where the last bin ends.
    shares: {"source": ..., "target": ...}, equally many fractions each.
  """
  values = []
  for domain, found in shares.items():
    step = (high - low) / len(found)
    values += [
      {"x": round(low + i * step, 6), "y": round(math.sqrt(share), 4), "of": domain}
      for i, share in enumerate([*found, found[-1]])
    ]
  chart = (
    altair.Chart(altair.Data(values=values))
    .mark_area(interpolate="step-after", line={"strokeWidth": 1.5}, fillOpacity=0.25)
    .encode(
      x=altair.X(
        "x:Q",
        title=None,
        scale=altair.Scale(domain=[low, high], nice=False),
        axis=altair.Axis(tickCount=4, grid=False, format=".3~g"),
      ),
      y=altair.Y("y:Q", stack=None, title=None, axis=None),
      color=altair.Color(
        "of:N",
        legend=None,
        scale=altair.Scale(domain=["source", "target"], range=["@source", "@target"]),
      ),
    )
  )
  return _finished(chart, 84)


def _names_axis() -> altair.Axis:
  """Returns an axis with names on the left and room for a dot at the scale's end."""
  return altair.Axis(labelLimit=_LONGEST_LABEL, labelPadding=9, ticks=False, domain=False)


def _series(series: Sequence[str], title: str) -> altair.Color:
  colours = altair.Scale(domain=list(series), range=_repeated(_SERIES, len(series)))
  legend = altair.Legend(title=title or None, columns=2, labelLimit=_LONGEST_LABEL)
  return altair.Color("series:N", scale=colours, sort=list(series), legend=legend)


def _repeated(values: Sequence[Any], count: int) -> list[Any]:
  return [values[i % len(values)] for i in range(count)]


def _finished(chart: Any, height: int) -> Spec:
  """Returns the spec, as wide as its container and without altair's own style."""
  spec = chart.properties(width="container", height=height).to_dict()
  spec.pop("config", None)
  spec.pop("$schema", None)
  return spec
