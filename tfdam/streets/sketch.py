"""A street as a list of polygons, and the class that collects them."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfdam.streets import paints, shapes

# Nothing is drawn nearer than this, in metres; it would lie below the picture.
NEAREST = 1.3


class Camera(NamedTuple):
  """The camera's position and lens.

  Attributes:
    side: metres to the right of the road's centre line.
    height: metres above the road.
    yaw: tangent of the angle; positive values turn left.
    pitch: tangent of the angle; positive values turn up.
    roll: tangent of the angle.
    zoom: focal length divided by the square root of the picture's area.
    bend: curvature of the street in 1 / metres; positive to the right.
  """

  side: float
  height: float
  yaw: float
  pitch: float
  roll: float
  zoom: float
  bend: float


@dataclasses.dataclass
class World:
  """One street. The axes are right of the centre line, up, and along the street, in metres.

  Attributes:
    points: float64 [N, 3], all polygons' corners.
    sizes: int64 [P], number of corners of each polygon.
    paints: int64 [P], material of each polygon.
    facings: int64 [P], orientation of each polygon.
    keys: float64 [P], the order of painting, large keys first.
    tints: float64 [P], a factor of the colour.
    casters: float64 [C, 6], upright rectangles that cast shadows: right and along of one
      edge, the same of the other, lower and upper end.
    camera: which takes the picture.
  """

  points: np.ndarray
  sizes: np.ndarray
  paints: np.ndarray
  facings: np.ndarray
  keys: np.ndarray
  tints: np.ndarray
  casters: np.ndarray
  camera: Camera


class Sketch:
  """Collects the polygons of a World."""

  def __init__(self) -> None:
    self._points: list[bytes] = []
    self._sizes: list[int] = []
    self._paints: list[int] = []
    self._facings: list[int] = []
    self._keys: list[float] = []
    self._tints: list[float] = []
    self._casters: list[tuple[float, ...]] = []

  def add(
    self, paint: int, facing: int, key: float, points: Sequence[float], tint: float = 1.0
  ) -> None:
    """Adds a polygon; `points` are right, up, along of each corner in turn."""
    self._points.append(array.array("d", points).tobytes())
    self._sizes.append(len(points) // 3)
    self._paints.append(paint)
    self._facings.append(facing)
    self._keys.append(key)
    self._tints.append(tint)

  def add_many(
    self, paint: int, facing: int, key: float, points: np.ndarray, tint: float = 1.0
  ) -> None:
    """Adds polygons of one paint, float64 [n, corners, 3]."""
    count, corners, _ = points.shape
    self._points.append(points.tobytes())
    self._sizes += [corners] * count
    self._paints += [paint] * count
    self._facings += [facing] * count
    self._keys += [key] * count
    self._tints += [tint] * count

  def add_ground(
    self, paint: int, key: float, left: float, right: float, near: float, far: float
  ) -> None:
    """Adds a rectangle on the ground; long ones get corners that can follow a bend."""
    near = max(near, NEAREST)
    if far <= near:
      return
    if far - near < 6:
      alongs = [near, far]
    else:
      alongs = [near, *(a for a in _BREAKS if near < a < far), far]
    points: list[float] = []
    for along in alongs:
      points += (left, 0.0, along)
    for along in reversed(alongs):
      points += (right, 0.0, along)
    self.add(paint, paints.GROUND, key, points)

  def add_upright(
    self, paint: int, key: float, right: float, along: float, width: float, low: float,
    high: float, facing: int = paints.FRONT, tint: float = 1.0,
  ) -> None:  # fmt: skip
    """Adds a rectangle that faces the viewer, centred at `right`."""
    a, b = right - width / 2, right + width / 2
    self.add(
      paint, facing, key,
      (a, low, along, a, high, along, b, high, along, b, low, along), tint,
    )  # fmt: skip

  def add_shape(
    self, shape: shapes.Shape, own: Sequence[int], key: float, right: float, along: float,
    across: float = 1.0, up: float = 1.0, base: float = 0.0, lean: float = 0.0,
    side: int = paints.FRONT, tint: float = 1.0,
  ) -> None:  # fmt: skip
    """Adds an instance of a shape.

    Args:
      shape: to add.
      own: the paints that FIRST, SECOND, THIRD stand for.
      key: the order of painting.
      right: position of its origin, in metres.
      along: the same along the street.
      across: a factor of its width; a negative one mirrors it.
      up: a factor of its height.
      base: metres from the ground to its origin.
      lean: shift of its far end to the right, per metre of length.
      side: the facing that SIDE stands for.
      tint: a factor of the colour.
    """
    moved = shape.points * (across, up, 1.0)
    moved[:, 0] += right + lean * moved[:, 2]
    moved[:, 1] += base
    moved[:, 2] += along
    count = len(shape.sizes)
    self._points.append(moved.tobytes())
    self._sizes += shape.sizes
    self._paints += [p if p >= 0 else own[-1 - p] for p in shape.paints]
    self._facings += [side if f == shapes.SIDE else f for f in shape.facings]
    self._keys += [key] * count
    self._tints += [tint] * count

  def add_blob(
    self, paint: int, key: float, outline: np.ndarray, right: float, up: float,
    along: float, radius: float, stretch: float = 1.0, tint: float = 1.0,
    facing: int = paints.SOFT,
  ) -> None:  # fmt: skip
    """Adds foliage from an outline; `stretch` is its height divided by its width."""
    points = outline * (radius, radius * stretch, 0.0) + (right, up, along)
    self.add_many(paint, facing, key, points[np.newaxis], tint)

  def cast(
    self,
    right0: float,
    along0: float,
    right1: float,
    along1: float,
    low: float,
    high: float,
  ) -> None:
    """Adds an upright rectangle that casts a shadow on the ground."""
    self._casters.append((right0, along0, right1, along1, low, high))

  def finish(self, camera: Camera) -> World:
    return World(
      np.frombuffer(b"".join(self._points), np.float64).reshape(-1, 3),
      np.array(self._sizes),
      np.array(self._paints),
      np.array(self._facings),
      np.array(self._keys),
      np.array(self._tints),
      np.array(self._casters, np.float64).reshape(-1, 6),
      camera,
    )


_BREAKS = (3, 6, 9, 13, 18, 24, 31, 39, 48, 60, 75, 95, 120, 150, 190, 240, 300)
