"""A picture of the gap between two domains, with one bar for each layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

import numpy as np
from PIL import Image, ImageDraw

from tfdam.metrics import gap as gap_lib
from tfdam.metrics import gap_table
from tfdam.reporting import drawing

_MOST_LAYERS = 60
# Pixels.
_MARGIN = 24
_TITLE, _TEXT, _SMALL = 27, 20, 17  # sizes of text
_TITLE_AT, _SUBTITLE_AT, _HEADING_AT, _TICKS_AT, _HEADER = 34, 68, 112, 138, 154
_ROW = 30
_BAR, _INNER_BAR = 20, 10
_DOT, _INNER_DOT = 8, 5  # radii
_MOST_LABEL = 560
_BARS, _AUCS = 480, 220  # widths of the two plots
_NUMBER = 72  # width of a number beside them
_SPACE = 30

_STRONG, _PALE = (31, 119, 180), (174, 204, 228)
_GRID = (224, 224, 224)
# Where the axis of bars may end, in bits; halves of these are short numbers too.
_ENDS = (0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)

# One layer: its gap before, if there was one, and now.
_Pair = tuple[Optional[gap_lib.LayerGap], gap_lib.LayerGap]


def save(
  path: str,
  gap: gap_lib.Gap,
  before: gap_lib.Gap | None = None,
  title: str = "",
  names: Sequence[str] = ("before", "after"),
) -> None:
  """Draws a gap into a PNG; see `draw`."""
  drawing.save(Image.fromarray(draw(gap, before, title, names)), path)


def draw(
  gap: gap_lib.Gap,
  before: gap_lib.Gap | None = None,
  title: str = "",
  names: Sequence[str] = ("before", "after"),
) -> np.ndarray:
  """Draws one row per layer in network order, with its divergence and its AUC.

  If there are more than 60 layers, only those with the largest gap, before or after, are
  drawn.

  Args:
    gap: to draw.
    before: an earlier gap of the same layers, drawn in a pale colour behind this one.
    title: above the picture.
    names: of the two gaps.

  Returns:
    uint8 [H, W, 3].

  Raises:
    ValueError: the gap has no layers.
    config.UserError: `before` has other layers.
  """
  if not gap.rows:
    raise ValueError("the gap has no layers; expected one or more")
  if before is not None:
    gap.closed(before)  # raises if the layers differ
  earlier = {row.layer: row for row in before.rows} if before is not None else {}
  every: list[_Pair] = [(earlier.get(row.layer), row) for row in gap.rows]
  pairs = _largest(every)
  sheet = _Sheet(pairs, num_numbers=1 if before is None else 2)
  sheet.draw_header(title, _subtitle(len(pairs), len(every)))
  if before is not None:
    sheet.draw_legend(names)
  sheet.draw_axes()
  for place, pair in enumerate(pairs):
    sheet.draw_row(place, *pair)
  return np.asarray(sheet.image)


def _largest(pairs: Sequence[_Pair]) -> list[_Pair]:
  """Returns the layers with the largest gap, in network order."""
  order = np.argsort([-_bits(pair) for pair in pairs], kind="stable")
  return [pairs[i] for i in sorted(order[:_MOST_LAYERS])]


def _bits(pair: _Pair) -> float:
  """Returns the larger divergence of a layer; 0 without one."""
  found = [row.divergence_bits for row in pair if row is not None]
  return max((bits for bits in found if math.isfinite(bits)), default=0.0)


def _subtitle(num_drawn: int, num_layers: int) -> str:
  if num_drawn < num_layers:
    return f"the {num_drawn} layers with the largest gap, of {num_layers}"
  return f"{num_layers} layer{'s' if num_layers > 1 else ''}"


class _Sheet:
  """A picture and its layout.

  Attributes:
    image: the picture.
  """

  def __init__(self, pairs: Sequence[_Pair], num_numbers: int):
    # The longest name decides the width, so names are first measured on a tiny picture.
    nothing = drawing.Writing(ImageDraw.Draw(Image.new("RGB", (1, 1))), _TEXT)
    widest = max(nothing.width(row.layer) for _, row in pairs)
    self.label = min(_MOST_LABEL, widest)
    self.bars = _MARGIN + self.label + _SPACE // 2
    self.aucs = self.bars + _BARS + num_numbers * _NUMBER + _SPACE
    width = self.aucs + _AUCS + num_numbers * _NUMBER + _MARGIN
    self.bottom = _HEADER + len(pairs) * _ROW
    self.image = Image.new("RGB", (width, self.bottom + _MARGIN), drawing.PAPER)
    self.right = width - _MARGIN
    self.picture = ImageDraw.Draw(self.image)
    self.text = drawing.Writing(self.picture, _TEXT)
    self.small = drawing.Writing(self.picture, _SMALL)
    largest = max(map(_bits, pairs))
    self.end = next((end for end in _ENDS if largest <= end), 1.0)

  def draw_header(self, title: str, subtitle: str) -> None:
    large = drawing.Writing(self.picture, _TITLE)
    large.at(_MARGIN, _TITLE_AT, large.fitted(title, self.right - _MARGIN))
    self.text.at(_MARGIN, _SUBTITLE_AT, subtitle, drawing.FAINT)

  def draw_legend(self, names: Sequence[str]) -> None:
    """Draws what the pale and the strong colour mean, on the right of the subtitle."""
    right = self.right
    for colour, name in ((_STRONG, names[1]), (_PALE, names[0])):
      shown = self.text.fitted(name, _BARS // 2)
      right -= self.text.width(shown)
      self.text.at(right, _SUBTITLE_AT, shown)
      right -= _TEXT + 8
      top = _SUBTITLE_AT - _TEXT // 2
      self.picture.rectangle((right, top, right + _TEXT, top + _TEXT), fill=colour)
      right -= _SPACE

  def draw_axes(self) -> None:
    """Draws the headings and grids of the two plots."""
    self.text.at(self.bars, _HEADING_AT, "divergence, bits")
    self.text.at(self.aucs, _HEADING_AT, "AUC of Source-or-Not")
    for share in (0.0, 0.5, 1.0):
      for x, tick in (
        (self.bars + share * _BARS, share * self.end),
        (self.aucs + share * _AUCS, 0.5 + share / 2),
      ):
        x = round(x)
        self.picture.line((x, _HEADER - 4, x, self.bottom), fill=_GRID, width=1)
        self.small.at(x, _TICKS_AT, f"{tick:.3g}", drawing.FAINT, "mm")

  def draw_row(
    self, place: int, before: gap_lib.LayerGap | None, now: gap_lib.LayerGap
  ) -> None:
    middle = _HEADER + place * _ROW + _ROW // 2
    # Long names are cut at the front, as names in a block differ at the end.
    name = self.text.fitted(now.layer[::-1], self.label)[::-1]
    self.text.at(self.bars - _SPACE // 2, middle, name, anchor="rm")
    if before is not None:
      self._draw_bar(middle, before.divergence_bits, _BAR, _PALE)
      self._draw_dot(middle, before.auc, _DOT, _PALE)
    height, radius = (_BAR, _DOT) if before is None else (_INNER_BAR, _INNER_DOT)
    self._draw_bar(middle, now.divergence_bits, height, _STRONG)
    self._draw_dot(middle, now.auc, radius, _STRONG)
    for right, kind in ((self.bars + _BARS, "divergence_bits"), (self.aucs + _AUCS, "auc")):
      for row, ink in ((before, drawing.FAINT), (now, drawing.INK)):
        if row is not None:
          right += _NUMBER
          self.text.at(right, middle, gap_table.number(getattr(row, kind)), ink, "rm")

  def _draw_bar(self, middle: int, bits: float, height: int, colour) -> None:
    if math.isfinite(bits):
      right = self.bars + round(_BARS * bits / self.end)
      top = middle - height // 2
      self.picture.rectangle((self.bars, top, right, top + height), fill=colour)

  def _draw_dot(self, middle: int, auc: float, radius: int, colour) -> None:
    """Draws a dot; an AUC below 0.5, which is chance, at the left end."""
    if math.isfinite(auc):
      x = self.aucs + round(_AUCS * max(0.0, 2 * auc - 1))
      box = (x - radius, middle - radius, x + radius, middle + radius)
      self.picture.ellipse(box, fill=colour)
