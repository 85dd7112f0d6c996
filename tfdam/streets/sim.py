"""The flat rendering of a street, with one clean colour per surface."""

from __future__ import annotations

import numpy as np

from tfdam.streets import canvas, paints

# Brightness by facing, without a sun: just enough to tell the sides of a box apart.
_SHADES = np.ones(10, np.float32)
_SHADES[[paints.LEFT_WALL, paints.RIGHT_WALL]] = 0.86
_SHADES[[paints.LEFT_ROOF, paints.RIGHT_ROOF]] = 0.95
_SHADES[paints.TOP] = 1.06


def render(canvas: canvas.Canvas) -> np.ndarray:
  """Renders a street as uint8 [H, W, 3]."""
  world = canvas.world
  factor = (_SHADES[world.facings] * world.tints).astype(np.float32)
  colours = np.clip(paints.SIM[world.paints] * factor[:, np.newaxis], 0, 255)
  return np.take(colours.astype(np.uint8), canvas.ids, axis=0)
