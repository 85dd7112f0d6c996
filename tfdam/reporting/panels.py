"""Panels of scenes, as in Fig. 4: image, truth, and each stage's predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfdam.metrics import palette
from tfdam.reporting import drawing

# Widths in pixels: of a panel at most, and of a column if there is room. Small scenes are
# enlarged.
_MAX_WIDTH = 2400
_COLUMN_WIDTH = 480
_GUTTER = 6
_MARGIN = 14

# A title, and one picture per row: an image, uint8 [H, W, 3], or a label map, integers [H,
# W].
Column = tuple[str, Sequence[np.ndarray]]


def write(
  path: str, columns: Sequence[Column], class_names: Sequence[str] = ()
) -> np.ndarray:
  """Draws a panel into a PNG, and returns it; see `draw`."""
  drawn = draw(columns, class_names)
  drawing.save(Image.fromarray(drawn), path)
  return drawn


def draw(columns: Sequence[Column], class_names: Sequence[str] = ()) -> np.ndarray:
  """Draws scenes in rows, with titled columns and a legend of classes below.

  Pictures of a row may have different sizes: all are resized to the column's width and the
  first one's aspect ratio, images smoothly and label maps by the nearest pixel.

  Args:
    columns: equally long. Label maps are painted in the palette of `class_names`, and black
      where a value is no class.
    class_names: in the order of their labels; may be empty without label maps.

  Returns:
    uint8 [H, W, 3], W at most 2,400.

  Raises:
    ValueError: there are no pictures, columns of different lengths, or a picture of another
      type or shape.
  """
  num_rows = len(columns[0][1]) if columns else 0
  if not num_rows or any(len(pictures) != num_rows for _, pictures in columns):
    lengths = {title: len(pictures) for title, pictures in columns}
    raise ValueError(f"columns have {lengths} pictures; expected as many each, one or more")
  for title, pictures in columns:
    for picture in pictures:
      _check(picture, title)
  table = palette.colours(class_names)
  room = (_MAX_WIDTH - 2 * _MARGIN - (len(columns) - 1) * _GUTTER) // len(columns)
  width = min(_COLUMN_WIDTH, room)
  heights = [_height(row, width) for row in columns[0][1]]
  lefts = [_MARGIN + i * (width + _GUTTER) for i in range(len(columns))]
  right = lefts[-1] + width

  text_size = max(12, width // 16)
  title_height = 2 * text_size
  bottom = _MARGIN + title_height + sum(heights) + (num_rows - 1) * _GUTTER
  entries = _entries(columns, class_names, table)
  # The legend's lines decide the height, so they are first measured on a tiny picture.
  nothing = ImageDraw.Draw(Image.new("RGB", (1, 1)))
  legend = _Legend(drawing.Writing(nothing, text_size), entries, right - _MARGIN)
  sheet = Image.new(
    "RGB", (right + _MARGIN, bottom + legend.height + _MARGIN), drawing.PAPER
  )
  writing = drawing.Writing(ImageDraw.Draw(sheet), text_size)

  for left, (title, pictures) in zip(lefts, columns):
    shown = writing.fitted(title, width)
    writing.at(left + width / 2, _MARGIN + title_height / 2 - 2, shown, anchor="mm")
    top = _MARGIN + title_height
    for height, picture in zip(heights, pictures):
      sheet.paste(_cell(picture, width, height, table), (left, top))
      top += height + _GUTTER
  legend.draw(writing, _MARGIN, bottom)
  return np.asarray(sheet)


class _Legend:
  """Colours with their names, in as many lines as they need.

  Attributes:
    height: in pixels, with the space above it; 0 without entries.
  """

  def __init__(self, writing: drawing.Writing, entries, width: int):
    size = writing.size
    self.swatch, self.gap, self.step = size, size // 2, round(1.7 * size)
    self.lines: list[list[tuple]] = []
    left = 0
    for colour, name in entries:
      shown = writing.fitted(name, width - self.swatch - self.gap)
      taken = self.swatch + self.gap + writing.width(shown)
      if not self.lines or left + taken > width:
        self.lines.append([])
        left = 0
      self.lines[-1].append((left, colour, shown))
      left += taken + 3 * self.gap
    self.height = self.step * len(self.lines) + self.gap if self.lines else 0

  def draw(self, writing: drawing.Writing, left: int, top: int) -> None:
    for i, line in enumerate(self.lines):
      middle = top + self.gap + (i + 0.5) * self.step
      for offset, colour, name in line:
        x, y = left + offset, round(middle - self.swatch / 2)
        corner = (x + self.swatch - 1, y + self.swatch - 1)
        writing.picture.rectangle((x, y, *corner), fill=tuple(colour))
        writing.at(x + self.swatch + self.gap, middle, name)


def _entries(columns: Sequence[Column], class_names, table: np.ndarray) -> list[tuple]:
  """Returns [(colour, name)] for the classes and, if there are any, for ignored pixels."""
  maps = [p for _, pictures in columns for p in pictures if p.ndim == 2]
  if not maps:
    return []
  entries = [(tuple(colour), name) for colour, name in zip(table.tolist(), class_names)]
  if any(((m < 0) | (m >= len(class_names))).any() for m in maps):
    entries.append((palette.IGNORED, "ignored"))
  return entries


def _check(picture: np.ndarray, title: str) -> None:
  is_image = picture.ndim == 3 and picture.shape[-1] == 3 and picture.dtype == np.uint8
  is_map = picture.ndim == 2 and picture.dtype.kind in "iu"
  if not (is_image or is_map) or not picture.size:
    raise ValueError(
      f"'{title}' has a picture of {picture.dtype} {picture.shape}; expected uint8"
      " [H, W, 3] or integers [H, W]"
    )


def _height(picture: np.ndarray, width: int) -> int:
  return max(1, round(width * picture.shape[0] / picture.shape[1]))


def _cell(picture: np.ndarray, width: int, height: int, table: np.ndarray) -> Image.Image:
  if picture.ndim == 2:
    painted = Image.fromarray(palette.colourise(picture, table))
    return painted.resize((width, height), Image.Resampling.NEAREST)
  return Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
