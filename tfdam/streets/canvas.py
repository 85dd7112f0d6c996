"""Projects a street in metres, and finds the polygon that each pixel shows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tfdam.streets import paints, sketch


class Canvas(NamedTuple):
  """A projected street, before it is coloured.

  Attributes:
    world: the street.
    ids: intp [H, W], the polygon that each pixel shows.
    behind: intp [H, W], the wall that a pixel would show without trees; 0 for the sky, and
      everywhere in streets without bare trees.
    top: float32 [P], the upper end of each polygon, in rows.
    bottom: float32 [P], the lower end.
    distance: float32 [P], metres to the mean of its corners.
    horizon: row of the horizon in the middle of the picture.
    focal: focal length in pixels.
  """

  world: sketch.World
  ids: np.ndarray
  behind: np.ndarray
  top: np.ndarray
  bottom: np.ndarray
  distance: np.ndarray
  horizon: float
  focal: float


def draw(world: sketch.World, height: int, width: int) -> Canvas:
  """Paints all polygons from far to near, so that near ones hide far ones.

  Args:
    world: the street.
    height: of the picture, in pixels.
    width: the same.
  """
  starts = np.cumsum(world.sizes) - world.sizes
  columns, rows, focal, horizon = project(world.camera, world.points, height, width)
  top = np.minimum.reduceat(rows, starts)
  bottom = np.maximum.reduceat(rows, starts)
  left = np.minimum.reduceat(columns, starts)
  right = np.maximum.reduceat(columns, starts)
  seen = (bottom >= 0) & (top <= height) & (right >= 0) & (left <= width)
  seen[0] = False
  order = np.argsort(-world.keys, kind="stable")
  order = order[seen[order]]
  corners = np.stack([columns, rows], 1).ravel().tolist()
  begin, end = (2 * starts).tolist(), (2 * (starts + world.sizes)).tolist()
  image = Image.new("I", (width, height), 0)
  pen = ImageDraw.Draw(image)
  # A polygon between the centres of two columns gets no pixels, so thin posts are lines.
  kinds = paints.KIND[world.paints]
  is_post = kinds == paints.POLE
  narrow = (is_post & (right - left < 1.0)).tolist()
  for i in order.tolist():
    paint = pen.line if narrow[i] else pen.polygon
    paint(corners[begin[i] : end[i]], fill=i)
  # The type that np.take needs, which saves a copy at each look-up.
  ids = np.asarray(image).astype(np.intp)
  behind = np.zeros_like(ids)
  if (paints.VEIL[world.paints[order]] > 0).any():
    # Windows are left out: they cannot be recognised behind twigs.
    is_wall = (kinds == paints.BUILDING) & (bottom - top > 0.12 * height)
    back = Image.new("I", (width, height), 0)
    pen = ImageDraw.Draw(back)
    for i in order[is_wall[order]].tolist():
      pen.polygon(corners[begin[i] : end[i]], fill=i)
    behind = np.asarray(back).astype(np.intp)
  distance = np.add.reduceat(world.points[:, 2], starts) / world.sizes
  return Canvas(
    world,
    ids,
    behind,
    top.astype(np.float32),
    bottom.astype(np.float32),
    distance.astype(np.float32),
    horizon,
    focal,
  )


def labels(canvas: Canvas) -> np.ndarray:
  """Returns uint8 [H, W], each pixel's position in paints.CLASSES."""
  return paints.KIND[canvas.world.paints][canvas.ids]


def project(
  camera: sketch.Camera, points: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, float, float]:
  """Projects points, float64 [N, 3] in metres.

  Returns:
    Columns and rows, float64 [N] in pixels, the focal length in pixels, and the horizon's
    row.
  """
  focal = camera.zoom * math.sqrt(height * width)
  along = points[:, 2]
  right = points[:, 0] - camera.side + 0.5 * camera.bend * along * along
  columns = width / 2 + focal * (right / along - camera.yaw)
  horizon = height / 2 + focal * camera.pitch
  rows = horizon + focal * (camera.height - points[:, 1]) / along
  rows += camera.roll * (columns - width / 2)
  return columns, rows, focal, horizon
