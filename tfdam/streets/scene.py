"""Draws one street scene: its picture and the class of each pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfdam.streets import canvas, photo, sim, world


class Order(NamedTuple):
  """What to draw. A scene is a pure function of its order.

  Attributes:
    is_photo: whether a camera sees the street; if not, a simulator shows it.
    seed: determines the street.
    photo_seed: determines light, textures and the camera's faults.
    height, width: in pixels.
  """

  is_photo: bool
  seed: int
  photo_seed: int
  height: int
  width: int


def draw(order: Order) -> tuple[np.ndarray, np.ndarray]:
  """Returns the picture, uint8 [H, W, 3], and its classes of paints, uint8 [H, W]."""
  drawn = canvas.draw(world.build(order.seed), order.height, order.width)
  picture = photo.render(drawn, order.photo_seed) if order.is_photo else sim.render(drawn)
  return picture, canvas.labels(drawn)
