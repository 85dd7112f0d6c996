"""Things of a street as small sets of polygons in metres, and outlines of foliage.

Every shape has its own axes: across (right, towards the visible side of a car), up, and
along (away from the viewer, 0 at the near end). Polygons are ordered from far to near, as
later ones hide earlier ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Paints that each instance of a shape chooses.
FIRST, SECOND, THIRD = -1, -2, -3
# A facing that an instance replaces by that of its visible side.
SIDE = -1

_Point = tuple[float, ...]


class Shape(NamedTuple):
  """Polygons of one thing.

  Attributes:
    points: float64 [N, 3], (across, up, along) of all polygons' corners, in metres.
    sizes: number of corners of each polygon.
    paints: rows in paints, or FIRST, SECOND, THIRD.
    facings: facings in paints, or SIDE.
    width: in metres.
    height: in metres.
    length: in metres.
  """

  points: np.ndarray
  sizes: list[int]
  paints: list[int]
  facings: list[int]
  width: float
  height: float
  length: float


def shape(polygons: Sequence[tuple[int, int, Sequence[_Point]]]) -> Shape:
  """Makes a shape from (paint, facing, corners); corners without depth get along = 0."""
  points = np.array(
    [(*corner, 0.0)[:3] for _, _, corners in polygons for corner in corners], np.float64
  )
  extent = points.max(0) - points.min(0)
  return Shape(
    points,
    [len(corners) for _, _, corners in polygons],
    [paint for paint, _, _ in polygons],
    [facing for _, facing, _ in polygons],
    *(float(e) for e in extent),
  )


def disc(x: float, y: float, radius: float, corners: int, stretch: float = 1.0):
  """Returns a regular polygon; `stretch` is its width divided by its height."""
  angles = (2 * math.pi * (i + 0.5) / corners for i in range(corners))
  return [(x + radius * stretch * math.cos(a), y + radius * math.sin(a)) for a in angles]


def box(left: float, right: float, bottom: float, top: float, along: float = 0.0):
  return [
    (left, bottom, along),
    (left, top, along),
    (right, top, along),
    (right, bottom, along),
  ]


def beam(x0: float, y0: float, x1: float, y1: float, thickness: float):
  """Returns a straight bar from one point to another."""
  length = math.hypot(x1 - x0, y1 - y0)
  dx, dy = (y1 - y0) / length * thickness / 2, (x0 - x1) / length * thickness / 2
  return [(x0 - dx, y0 - dy), (x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy)]


def _crowns():
  """Returns fixed outlines of foliage of about unit radius, float64 [N, 3] each."""
  state = np.random.RandomState(11)
  outlines = []
  for _ in range(12):
    angles = np.arange(30) * (2 * np.pi / 30)
    radius = 0.86 + 0.14 * state.random_sample(30)
    for wave in (2, 3, 5):
      radius += 0.09 * np.sin(wave * angles + 2 * np.pi * state.random_sample())
    radius[1::2] *= 0.86 + 0.1 * state.random_sample(15)
    flat = (radius * np.cos(angles), radius * np.sin(angles), np.zeros(30))
    outlines.append(np.stack(flat, 1))
  return outlines


CROWNS = _crowns()


def _conifer():
  right = []
  for tier in range(6):
    wide = 1.0 - tier / 6.5
    right += [(wide * 0.95, -1 + tier * 0.33), (wide * 0.55, -0.72 + tier * 0.33)]
  corners = [*right, (0.0, 1.1), *((-x, y + 0.03) for x, y in reversed(right))]
  return np.array([(x, y, 0.0) for x, y in corners])


CONIFER = _conifer()
