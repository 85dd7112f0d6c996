"""Source-or-Not (Sec. 5.1, Fig. 3): can one unit's activations tell the domain?

Draws the histograms of each tap's channels that tell the domains apart best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfdam.metrics import divergence
from tfdam.reporting import drawing

_NUM_BINS = 40
# Pixels.
_MARGIN = 20
_HEADER = 56
_LABEL = 240
_CELL_WIDTH, _CELL_HEIGHT = 272, 220
_GAP = 18
_PLOT_TOP, _PLOT_BOTTOM = 32, 180  # within a cell
_TEXT = 23
_COLOURS = ((31, 119, 180), (255, 127, 14))
_FILL_OPACITY = 90  # of 255

# {tap: (source, target)}, each floats [samples, channels] from one network.
Taps = Mapping[str, tuple[np.ndarray, np.ndarray]]


def distances(taps: Taps) -> dict[str, np.ndarray]:
  """Measures how well each single channel tells the domains apart.

  Returns:
    {tap: float64 [channels]}, the Jensen-Shannon divergence of the channel's histograms in
    bits, from 0 (no better than guessing) to 1 (always right); nan without finite values.
  """
  found = {tap: divergence.histograms(*taps[tap], _NUM_BINS) for tap in taps}
  return {tap: divergence.jensen_shannon(f.source, f.target) for tap, f in found.items()}


def activation_histograms(
  path: str,
  taps: Taps,
  title: str = "",
  num_channels: int = 6,
  names: Sequence[str] = ("source", "target"),
) -> None:
  """Draws the histograms of the channels that differ most into a PNG; see `draw`."""
  drawing.save(Image.fromarray(draw(taps, title, num_channels, names)), path)


def draw(
  taps: Taps,
  title: str = "",
  num_channels: int = 6,
  names: Sequence[str] = ("source", "target"),
) -> np.ndarray:
  """Draws one row per tap: its mean distance, then the channels that differ most.

  Heights are square roots of shares: after a ReLU most activations are 0, and beside that
  bin the others would not be visible.

  Args:
    taps: in the order of rows; `monitor.probe` gives such samples.
    title: above the picture.
    num_channels: the most channels of each tap.
    names: of the two distributions.

  Returns:
    uint8 [H, W, 3].

  Raises:
    ValueError: there are no taps, or a tap's samples have different numbers of channels.
  """
  if not taps:
    raise ValueError("no taps; expected one or more")
  widest = max(source.shape[-1] for source, _ in taps.values())
  num_columns = min(num_channels, widest)
  width = 2 * _MARGIN + _LABEL + num_columns * (_CELL_WIDTH + _GAP) - _GAP
  height = _HEADER + len(taps) * _CELL_HEIGHT + _MARGIN
  sheet = Image.new("RGB", (width, height), drawing.PAPER)
  picture = ImageDraw.Draw(sheet, "RGBA")  # for the fills' opacity
  _draw_header(drawing.Writing(picture, _TEXT), width, title, names)
  for row, (tap, samples) in enumerate(taps.items()):
    found = divergence.histograms(*samples, _NUM_BINS)
    channels = divergence.jensen_shannon(found.source, found.target)
    top = _HEADER + row * _CELL_HEIGHT
    _draw_label(picture, top, tap, channels)
    # Channels without finite values come last.
    order = np.argsort(-np.nan_to_num(channels, nan=-1.0), kind="stable")
    for column, channel in enumerate(order[:num_columns]):
      left = _MARGIN + _LABEL + column * (_CELL_WIDTH + _GAP)
      _draw_cell(picture, left, top, found, channel, channels[channel])
  return np.asarray(sheet)


def _draw_header(writing: drawing.Writing, width: int, title: str, names) -> None:
  """Draws the title on the left, and the legend on the right."""
  middle = _HEADER / 2
  right = width - _MARGIN
  for colour, name in reversed([*zip(_COLOURS, names)]):
    right -= writing.width(name)
    writing.at(right, middle, name)
    right -= _TEXT + 8
    box = (right, middle - _TEXT / 2, right + _TEXT, middle + _TEXT / 2)
    writing.picture.rectangle(box, fill=(*colour, _FILL_OPACITY), outline=colour, width=2)
    right -= 24
  writing.at(_MARGIN, middle, writing.fitted(title, right - _MARGIN))


def _draw_label(picture, top: int, tap: str, channels: np.ndarray) -> None:
  large, small = drawing.Writing(picture, _TEXT + 4), drawing.Writing(picture, _TEXT - 3)
  middle = top + (_PLOT_TOP + _PLOT_BOTTOM) / 2
  room = _LABEL - 10
  alive = channels[np.isfinite(channels)]
  mean = f"mean {alive.mean():.3f} bit" if alive.size else "nothing to compare"
  large.at(_MARGIN, middle - 26, large.fitted(tap, room))
  small.at(_MARGIN, middle + 4, small.fitted(mean, room), drawing.FAINT)
  counted = f"over {len(channels)} channel{'s' if len(channels) > 1 else ''}"
  small.at(_MARGIN, middle + 28, small.fitted(counted, room), drawing.FAINT)


def _draw_cell(
  picture, left: int, top: int, found: divergence.Histograms, channel: int, distance: float
) -> None:
  writing, small = drawing.Writing(picture, _TEXT - 3), drawing.Writing(picture, _TEXT - 5)
  right, base = left + _CELL_WIDTH, top + _PLOT_BOTTOM
  writing.at(left, top + _PLOT_TOP - 16, f"channel {channel}", drawing.FAINT)
  shown = "-" if np.isnan(distance) else f"{distance:.2f} bit"
  writing.at(right, top + _PLOT_TOP - 16, shown, anchor="rm")
  shares = np.sqrt([found.source[channel], found.target[channel]])
  scale = (_PLOT_BOTTOM - _PLOT_TOP) / max(shares.max(), 1e-12)
  xs = np.linspace(left, right, _NUM_BINS + 1).round()
  outlines = []
  for share in shares:
    ys = (base - scale * share).round()
    # Two corners per bin, from the base line up and back to it.
    outlines.append([
      (left, base),
      *zip(np.repeat(xs, 2)[1:-1].tolist(), np.repeat(ys, 2).tolist()),
      (right, base),
    ])  # fmt: skip
  for outline, colour in zip(outlines, _COLOURS):
    picture.polygon(outline, fill=(*colour, _FILL_OPACITY))
  for outline, colour in zip(outlines, _COLOURS):
    picture.line(outline, fill=colour, width=2)
  picture.line((left, base, right, base), fill=drawing.FAINT, width=1)
  ends = found.edges[channel, [0, -1]]
  for x, end, anchor in ((left, ends[0], "lm"), (right, ends[1], "rm")):
    small.at(x, base + 14, f"{end:.3g}", drawing.FAINT, anchor)
