"""Adds cars: parked, in both lanes, and crossing."""

from __future__ import annotations

from tfdam.streets import car_shapes, paints
from tfdam.streets.dice import Dice
from tfdam.streets.plan import END, Plan
from tfdam.streets.sketch import Sketch

_BODIES = paints.numbers(
  "car white", "car silver", "car silver", "car silver", "car grey", "car grey",
  "car black", "car black", "car red", "car red", "car blue", "car blue", "car teal",
  "car green", "car yellow",
)  # fmt: skip
_BUSES = paints.numbers("car red", "car white", "car blue", "car teal", "car yellow")
_CAR_KINDS = (
  "hatch",
  "hatch",
  "saloon",
  "saloon",
  "estate",
  "estate",
  "jeep",
  "van",
  "bus",
)
_UNDER = paints.NUMBER["under car"]


def add_parked(sketch: Sketch, dice: Dice, plan: Plan, side: int) -> None:
  if not plan.parks[side]:
    return
  eye, right = plan.hand * plan.lane / 2, side * (plan.half[side] - 1.1)
  at, fill = dice.between(2.5, 14), dice.between(0.35, 0.9)
  # On the driver's own side cars point away from the camera, on the other towards it.
  usual = "rear" if side == plan.hand else "front"
  while at < min(80.0, plan.end - 12):
    if dice.chance(fill) and not (plan.is_open(side, at) or plan.is_open(side, at + 4)):
      kind = dice.pick(_CAR_KINDS[:-1])
      view = usual if dice.chance(0.85) else "front" if usual == "rear" else "rear"
      offset, lean = dice.between(-0.15, 0.15), dice.between(-0.03, 0.03)
      _add_car(sketch, dice, kind, view, right + offset, at, eye, lean)
    at += dice.between(5.2, 7.5)


def add_traffic(sketch: Sketch, dice: Dice, plan: Plan) -> None:
  eye = plan.hand * plan.lane / 2
  for view, right, probability in (("rear", eye, 0.65), ("front", -eye, 0.6)):
    if not dice.chance(probability):
      continue
    at = dice.between(7, 30) if view == "rear" else dice.between(4, 40)
    for _ in range(int(dice.between(1, 4))):
      if at > min(95.0, plan.end - 14):
        break
      kind = dice.pick(_CAR_KINDS)
      _add_car(sketch, dice, kind, view, right + dice.between(-0.4, 0.4), at, eye)
      at += dice.between(7, 30) + 8 * (kind == "bus")
  if plan.arms and dice.chance(0.4):
    along = plan.junction + plan.opening * dice.pick((0.22, 0.62))
    right = dice.between(-14, 14)
    _add_crossing_car(sketch, dice, right, along, eye)
  if plan.end < END:
    for _ in range(int(dice.between(0, 3))):
      right = dice.between(-22, 22)
      _add_crossing_car(sketch, dice, right, plan.end - dice.between(5, 7), eye)


def _add_car(
  sketch: Sketch, dice: Dice, kind: str, view: str, right: float, along: float, eye: float,
  lean: float = 0.0,
) -> None:  # fmt: skip
  """Adds a car with its near end at `along`; `eye` is the camera's own `right`."""
  body = dice.pick(_BUSES if kind == "bus" else _BODIES)
  shape = car_shapes.CAR_ENDS[kind, view]
  half, length = shape.width / 2, shape.length
  sketch.add_ground(
    _UNDER, along + length + 0.05, right - half * 0.97, right + half * 0.97, along + 0.1,
    along + length,
  )  # fmt: skip
  towards = 1.0 if right < eye else -1.0
  wall = paints.LEFT_WALL if towards > 0 else paints.RIGHT_WALL
  size = dice.between(0.95, 1.06)
  sketch.add_shape(
    shape, (body,), along + length * 0.3, right, along, towards * size, size, 0.0, lean,
    wall, dice.between(0.85, 1.1),
  )  # fmt: skip
  for x in (right - half, right + half):
    sketch.cast(x, along, x, along + length, 0, shape.height * 0.8)
  sketch.cast(right - half, along, right + half, along, 0, shape.height * 0.6)


def _add_crossing_car(
  sketch: Sketch, dice: Dice, right: float, along: float, eye: float
) -> None:
  """Adds a car seen from its side."""
  shape = car_shapes.CAR_FLANKS[dice.pick(_CAR_KINDS[:-1])]
  direction = 1.0 if dice.chance(0.5) else -1.0
  half = shape.width / 2
  sketch.add_ground(_UNDER, along + 1.9, right - half, right + half, along, along + 1.7)
  sketch.add_shape(
    shape, (dice.pick(_BODIES),), along, right, along, direction,
    tint=dice.between(0.85, 1.1),
  )  # fmt: skip
  sketch.cast(right - half, along, right + half, along, 0, 1.2)
