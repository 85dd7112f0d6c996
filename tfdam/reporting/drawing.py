"""Writes text on pictures with Pillow's own font, so that no font file is needed."""

from __future__ import annotations

import os

from PIL import Image, ImageDraw, ImageFont

from tfdam import files, stored

INK = (32, 32, 32)
FAINT = (118, 118, 118)
PAPER = (255, 255, 255)


class Writing:
  """Writes text of one size, in pixels, on a picture."""

  def __init__(self, picture: ImageDraw.ImageDraw, size: int):
    self.picture = picture
    self.size = size
    self.font = ImageFont.load_default(size)

  def width(self, text: str) -> int:
    """Returns the width of `text`, in pixels."""
    return round(self.picture.textlength(files.shown(text), self.font))

  def fitted(self, text: str, width: int) -> str:
    """Returns `text`, shortened with an ellipsis if it is wider than `width` pixels."""
    if self.width(text) <= width:
      return text
    kept = text
    while kept and self.width(f"{kept}...") > width:
      kept = kept[:-1].rstrip()
    return f"{kept}..."

  def at(self, x: float, y: float, text: str, fill=INK, anchor: str = "lm") -> None:
    """Writes at a point; `anchor` is Pillow's: l, m or r, then t, m or b."""
    self.picture.text((x, y), files.shown(text), fill=fill, font=self.font, anchor=anchor)


def save(picture: Image.Image, path: str) -> None:
  """Writes a PNG atomically, as run_folder does; makes its folder."""
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  with stored.replacing(path) as partial:
    # Not optimised, which takes five times as long and saves 1 %.
    picture.save(partial, "PNG")
