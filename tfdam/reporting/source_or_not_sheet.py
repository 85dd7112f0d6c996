"""A sheet of Source-or-Not (Fig. 3): numbered pairs of histograms, with answers below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfdam.metrics import source_or_not_rounds as rounds_lib
from tfdam.reporting import drawing

_NUM_BINS = 40
# Pixels.
_MARGIN = 24
_TITLE, _TEXT, _SMALL = 27, 20, 17  # sizes of text
_HEADER = 100
_COLUMNS = 2
_PLOT_WIDTH, _PLOT_HEIGHT = 260, 130
_BETWEEN = 24  # between the two plots of a pair
_GAP = 56  # between pairs
_LABEL, _ENDS = 36, 34  # above and below a pair's plots
_PAIR_WIDTH = 2 * _PLOT_WIDTH + _BETWEEN
_PAIR_HEIGHT = _LABEL + _PLOT_HEIGHT + _ENDS + 20
_FOOT_LINE = 28
_ANSWERS_A_LINE = 8
# One colour for both sides, which must not give the domain away.
_COLOUR, _FILL = (31, 119, 180), (174, 204, 228)
_QUESTION = "Are both sides from the same domain? The answers are at the bottom."


def save(path: str, rounds: Sequence[rounds_lib.Round], title: str = "") -> None:
  """Draws rounds into a PNG; see `draw`."""
  drawing.save(Image.fromarray(draw(rounds, title)), path)


def draw(rounds: Sequence[rounds_lib.Round], title: str = "") -> np.ndarray:
  """Draws one numbered pair of histograms per round, two pairs side by side.

  Heights are square roots of shares, as in `reporting/source_or_not.py`.

  Returns:
    uint8 [H, W, 3].

  Raises:
    ValueError: there are no rounds.
  """
  if not rounds:
    raise ValueError("no rounds; expected one or more")
  answers = _answers(rounds)
  num_rows = -(-len(rounds) // _COLUMNS)
  width = 2 * _MARGIN + _COLUMNS * (_PAIR_WIDTH + _GAP) - _GAP
  foot = _HEADER + num_rows * _PAIR_HEIGHT
  height = foot + _FOOT_LINE * len(answers) + _MARGIN
  sheet = Image.new("RGB", (width, height), drawing.PAPER)
  picture = ImageDraw.Draw(sheet)
  large, text, small = (drawing.Writing(picture, size) for size in (_TITLE, _TEXT, _SMALL))
  room = width - 2 * _MARGIN
  large.at(_MARGIN, 34, large.fitted(title, room))
  text.at(_MARGIN, 68, text.fitted(_QUESTION, room), drawing.FAINT)
  for i, round_ in enumerate(rounds):
    left = _MARGIN + (i % _COLUMNS) * (_PAIR_WIDTH + _GAP)
    _draw_round(picture, left, _HEADER + (i // _COLUMNS) * _PAIR_HEIGHT, i + 1, round_)
  for i, line in enumerate(answers):
    small.at(_MARGIN, foot + i * _FOOT_LINE, small.fitted(line, room), drawing.FAINT)
  return np.asarray(sheet)


def _answers(rounds: Sequence[rounds_lib.Round]) -> list[str]:
  """Returns the lines at the bottom."""
  each = [f"{i} {'same' if r.is_same else 'different'}" for i, r in enumerate(rounds, 1)]
  lines = [
    ", ".join(each[start : start + _ANSWERS_A_LINE])
    for start in range(0, len(each), _ANSWERS_A_LINE)
  ]
  machine = rounds_lib.machine_score(rounds)
  lines[0] = f"Answers: {lines[0]}"
  return [*lines, f"The machine is right {machine} of {len(rounds)} times."]


def _draw_round(
  picture: ImageDraw.ImageDraw, left: int, top: int, number: int, round_: rounds_lib.Round
) -> None:
  text, small = (drawing.Writing(picture, size) for size in (_TEXT, _SMALL))
  shown = f"{number}"
  text.at(left, top + _LABEL // 2, shown)
  images = f"{round_.num_images} image{'s' if round_.num_images > 1 else ''} per side"
  label = f"unit {round_.unit} of {round_.tap}, {images}"
  start = left + text.width(shown) + 16
  room = left + _PAIR_WIDTH - start
  small.at(start, top + _LABEL // 2, small.fitted(label, room), drawing.FAINT)
  found = rounds_lib.histograms(round_, _NUM_BINS)
  shares = np.sqrt([found.source[0], found.target[0]])
  scale = _PLOT_HEIGHT / max(shares.max(), 1e-12)
  base = top + _LABEL + _PLOT_HEIGHT
  ends = found.edges[0, [0, -1]]
  for side, share in enumerate(shares):
    start = left + side * (_PLOT_WIDTH + _BETWEEN)
    xs = np.linspace(start, start + _PLOT_WIDTH, len(share) + 1).round()
    ys = (base - scale * share).round()
    # Two corners per bin, from the base line up and back to it.
    outline = [
      (start, base),
      *zip(np.repeat(xs, 2)[1:-1].tolist(), np.repeat(ys, 2).tolist()),
      (start + _PLOT_WIDTH, base),
    ]
    picture.polygon(outline, fill=_FILL)
    picture.line(outline, fill=_COLOUR, width=2)
    picture.line((start, base, start + _PLOT_WIDTH, base), fill=drawing.FAINT, width=1)
    for x, end, anchor in (
      (start, ends[0], "lm"), (start + _PLOT_WIDTH, ends[1], "rm")
    ):  # fmt: skip
      small.at(x, base + _ENDS // 2, f"{end:.3g}", drawing.FAINT, anchor)
