"""Rows of buildings, gardens and trees along a street."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfdam.streets import paints, shapes
from tfdam.streets.dice import Dice
from tfdam.streets.sketch import NEAREST, Sketch

_MASONRY = paints.numbers(
  "brick red", "brick brown", "brick yellow", "brick yellow", "stone", "stone", "soot",
  "render white", "render white", "render cream", "render pink", "render blue", "concrete",
)  # fmt: skip
_ROOFS = paints.numbers("roof slate", "roof slate", "roof tile", "roof brown")
_DOORS = paints.numbers("door red", "door green", "door blue", "door brown")
_FASCIAS = paints.numbers(
  "fascia red", "fascia green", "fascia blue", "fascia dark", "fascia dark", "fascia cream"
)
_BOARDS = paints.numbers(
  "sign white", "sign blue", "sign yellow", "sign red", "sign green", "sign grey"
)
_GREEN_LEAVES = paints.numbers("leaf", "leaf", "leaf deep", "leaf light", "leaf autumn")
_BARE = paints.numbers("twigs", "twigs", "twigs dark")
_TRIM, _TRUNK, _SHOP, _DEEP = paints.numbers("trim", "trunk", "shop glass", "leaf deep")
_WINDOWS = paints.numbers("window", "window", "window lit")

# Windows further away than this, in metres, are smaller than a pixel.
_WINDOWS_UP_TO = 75.0


class _Wall(NamedTuple):
  """A wall: its lower left corner in metres, and its direction, a unit vector."""

  right: float
  along: float
  right_step: float
  along_step: float
  facing: int

  def pane(
    self, start: float, width: float, bottom: float, height: float
  ) -> tuple[float, ...]:
    """Returns a rectangle on the wall for Sketch.add; all arguments are in metres."""
    x0, z0 = self.right + self.right_step * start, self.along + self.along_step * start
    x1, z1 = x0 + self.right_step * width, z0 + self.along_step * width
    top = bottom + height
    return (x0, bottom, z0, x0, top, z0, x1, top, z1, x1, bottom, z1)

  def panes(self, starts, width: float, bottoms, height: float) -> np.ndarray:
    """Returns a grid of rectangles for Sketch.add_many, float64 [n, 4, 3]."""
    starts, bottoms = np.asarray(starts, float), np.asarray(bottoms, float)
    points = np.empty((len(bottoms), len(starts), 4, 3))
    offsets = starts[:, np.newaxis] + np.array((0.0, 0.0, width, width))
    points[..., 0] = self.right + self.right_step * offsets
    points[..., 1] = (bottoms[:, np.newaxis] + np.array((0.0, height, height, 0.0)))[
      :, None
    ]
    points[..., 2] = self.along + self.along_step * offsets
    return points.reshape(-1, 4, 3)


def add_building(
  sketch: Sketch, dice: Dice, side: int, front: float,
  near: float, far: float, height: float, is_shop: bool, shows_end: bool,
) -> None:  # fmt: skip
  """Adds a house along the street.

  Args:
    sketch: to add to.
    dice: decides the details.
    side: -1 left, 1 right.
    front: metres from the centre line to its facade.
    near: where it begins along the street, in metres.
    far: where it ends.
    height: of its walls, in metres.
    is_shop: whether it has a shop front.
    shows_end: whether its near end wall can be seen, and has windows.
  """
  near = max(near, NEAREST)
  if far - near < 1.0:
    return
  x, back = side * front, side * (front + dice.between(8, 13))
  key = far + 0.4 * front
  tint = dice.between(0.82, 1.15)
  masonry, roof = dice.pick(_MASONRY), dice.pick(_ROOFS)
  wall = paints.LEFT_WALL if side < 0 else paints.RIGHT_WALL
  slope = paints.LEFT_ROOF if side < 0 else paints.RIGHT_ROOF
  is_pitched = height < 13 and dice.chance(0.75)
  rise = dice.between(1.8, 3.6) if is_pitched else 0.0
  ridge = (x + back) / 2
  end = [x, 0, near, x, height, near, back, height, near, back, 0, near]
  if is_pitched:
    end[6:6] = (ridge, height + rise, near)
  sketch.add(masonry, paints.FRONT, key, end, tint)
  # Seen steeply from below, a roof is hidden by its own eaves.
  eye = 1.5
  is_roof_seen = (height + rise - eye) * front > (height - eye) * abs(ridge)
  if is_pitched and is_roof_seen:
    eaves = x - side * 0.3
    sketch.add(
      roof, slope, key,
      (eaves, height, near, ridge, height + rise, near, ridge, height + rise, far,
       eaves, height, far),
    )  # fmt: skip
    if dice.chance(0.6):
      at = dice.between(near, far)
      sketch.add_upright(
        masonry, key, ridge, at, 0.9, height + rise * 0.6, height + rise + 1.1
      )
  facade = _Wall(x, near, 0.0, 1.0, wall)
  length = far - near
  sketch.add(masonry, wall, key, facade.pane(0.0, length, 0.0, height), tint)
  if not is_pitched:
    sketch.add(_TRIM, wall, key, facade.pane(0.0, length, height - 0.35, 0.3), 0.85)
  _add_openings(sketch, dice, facade, length, height, key, is_shop)
  if shows_end and near > 4:
    across = _Wall(x, near, float(side), 0.0, paints.FRONT)
    _add_openings(sketch, dice, across, abs(back - x), height, key, is_shop)
  if is_shop and near < 40 and dice.chance(0.35):
    sketch.add_upright(
      dice.pick(_BOARDS), near + 0.5, x - side * 0.75, dice.between(near, far),
      dice.between(0.8, 1.1), 2.9, dice.between(3.6, 4.4),
    )  # fmt: skip
  sketch.cast(x, near, x, far, 0.0, height + rise * 0.3)
  sketch.cast(x, near, back, near, 0.0, height)


def add_cross_building(
  sketch: Sketch, dice: Dice, left: float, right: float,
  along: float, height: float,
) -> None:  # fmt: skip
  """Adds a building across the street's end, seen from the front."""
  key, masonry = along + 30.0, dice.pick(_MASONRY)
  tint = dice.between(0.82, 1.15)
  sketch.add_upright(
    masonry, key, (left + right) / 2, along, right - left, 0.0, height, tint=tint
  )
  if dice.chance(0.6):
    rise = dice.between(2, 4)
    top = (left - 0.3, height, along, left + 1.5, height + rise, along + 4,
           right - 1.5, height + rise, along + 4, right + 0.3, height, along)  # fmt: skip
    sketch.add(dice.pick(_ROOFS), paints.TOP, key, top)
  face = _Wall(left, along, 1.0, 0.0, paints.FRONT)
  _add_openings(sketch, dice, face, right - left, height, key, dice.chance(0.3))


def _add_openings(
  sketch: Sketch, dice: Dice, wall: _Wall, length: float,
  height: float, key: float, is_shop: bool,
) -> None:  # fmt: skip
  """Adds the windows, doors and shop front of one wall."""
  if wall.along > _WINDOWS_UP_TO:
    return
  facing, window = wall.facing, dice.pick(_WINDOWS)
  storey, pitch = dice.between(2.8, 3.4), dice.between(2.0, 3.4)
  wide, tall = pitch * dice.between(0.4, 0.62), dice.between(1.3, 1.9)
  columns = int((length - 0.4) / pitch)
  first = 4.3 if is_shop else 1.0
  rows = int((height - first - tall - 0.3) / storey) + 1
  if columns > 0 and rows > 0:
    starts = (length - columns * pitch + pitch - wide) / 2 + np.arange(columns) * pitch
    bottoms = first + np.arange(rows) * storey
    if wall.along < 30 and dice.chance(0.6):
      frames = wall.panes(starts - 0.1, wide + 0.2, bottoms - 0.12, tall + 0.22)
      sketch.add_many(_TRIM, facing, key, frames)
    sketch.add_many(window, facing, key, wall.panes(starts, wide, bottoms, tall))
    if wall.along < 18 and dice.chance(0.6):
      bars = wall.panes(starts, wide, bottoms + tall * 0.5, 0.08)
      sketch.add_many(_TRIM, facing, key, bars)
  if is_shop and length > 2:
    sketch.add(_SHOP, facing, key, wall.pane(0.3, length - 0.6, 0.45, 2.3))
    fascia = dice.pick(_FASCIAS)
    sketch.add(fascia, facing, key, wall.pane(0.1, length - 0.2, 2.85, 0.75))
    piers = wall.panes(np.arange(0.3, length, dice.between(1.8, 3.2)), 0.2, [0.0], 2.8)
    sketch.add_many(fascia, facing, key, piers, 0.8)
  elif length > 3:
    at = dice.between(0.3, length - 1.4)
    sketch.add(dice.pick(_DOORS), facing, key, wall.pane(at, 1.0, 0.0, 2.1))


def add_tree(
  sketch: Sketch, dice: Dice, right: float, along: float,
  height: float, bare: bool, key: float | None = None,
) -> None:  # fmt: skip
  """Adds a tree with or without leaves, or a conifer."""
  key = along if key is None else key
  tint = dice.between(0.8, 1.2)
  if not bare and dice.chance(0.12):
    sketch.add_blob(
      _DEEP, key, shapes.CONIFER, right, height * 0.53, along, height * 0.2, 2.5, tint
    )
    sketch.cast(right - height * 0.15, along, right + height * 0.15, along, 0, height * 0.8)
    return
  radius = height * dice.between(0.27, 0.38)
  stem, thick = height - 1.3 * radius, height * 0.022 + 0.05
  centre = height - radius
  sketch.add(
    _TRUNK, paints.SOFT, key,
    (right - thick, 0, along, right - thick * 0.6, stem, along, right + thick * 0.6, stem,
     along, right + thick, 0, along), tint,
  )  # fmt: skip
  paint = dice.pick(_BARE) if bare else dice.pick(_GREEN_LEAVES)
  outline = dice.pick(shapes.CROWNS)
  sketch.add_blob(
    paint, key, outline, right, centre, along, radius, dice.between(0.9, 1.2), tint
  )
  if along < 60:
    for _ in range(2 if bare else 3):
      part = radius * dice.between(0.4, 0.65)
      sketch.add_blob(
        paint, key, dice.pick(shapes.CROWNS), right + dice.between(-0.55, 0.55) * radius,
        centre + dice.between(-0.35, 0.55) * radius, along, part, 1.0,
        tint * dice.between(0.85, 1.35),
      )  # fmt: skip
  if bare and along < 45:
    for _ in range(5):
      reach, lift = dice.between(-0.8, 0.8) * radius, dice.between(0.2, 0.95) * radius
      start = stem - dice.between(0.0, 0.2) * height
      tip, thin = centre + lift * 0.8, thick * 0.45
      sketch.add(
        _TRUNK, paints.SOFT, key,
        (right - thin, start, along, right + reach, tip, along, right + thin, start, along),
        tint,
      )  # fmt: skip
  sketch.cast(
    right - radius,
    along,
    right + radius,
    along,
    centre - 0.7 * radius,
    centre + 0.8 * radius,
  )
  sketch.cast(right - thick, along, right + thick, along, 0.0, stem)


def add_bush(
  sketch: Sketch, dice: Dice, right: float, along: float,
  radius: float,
) -> None:  # fmt: skip
  sketch.add_blob(
    dice.pick(_GREEN_LEAVES[:4]), along + 0.4 * abs(right), dice.pick(shapes.CROWNS), right,
    radius * 0.55, along, radius, 0.75, dice.between(0.75, 1.1),
  )  # fmt: skip


def add_barrier(
  sketch: Sketch, dice: Dice, paint: int, post: int | None,
  right: float, near: float, far: float, height: float,
) -> None:  # fmt: skip
  """Adds a fence, wall or hedge along the street.

  It consists of pieces, so that other things can be painted in front of or behind each.
  """
  facing = paints.LEFT_WALL if right < 0 else paints.RIGHT_WALL
  at = max(near, NEAREST)
  if paint in paints.numbers("leaf", "leaf deep"):
    facing = paints.SOFT
  tint = dice.between(0.85, 1.15)
  sketch.cast(right, at, right, far, 0.0, height)
  while at < far:
    # Distant pieces may be long, as nothing visible fits between them.
    until = min(at + (3.0 if at < 30 else 8.0), far)
    key = until + 0.3 * abs(right)
    sketch.add(
      paint, facing, key,
      (right, 0, at, right, height, at, right, height, until, right, 0, until), tint,
    )  # fmt: skip
    if post is not None and at < 50:
      sketch.add(
        post, facing, key,
        (right, height * 0.92, at, right, height, at, right, height, until, right,
         height * 0.92, until),
      )  # fmt: skip
      sketch.add_upright(post, key, right, at, 0.1, 0.0, height + 0.08)
    at = until
