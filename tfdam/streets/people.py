"""Adds pedestrians and cyclists to a street."""

from __future__ import annotations

from tfdam.streets import paints, people_shapes
from tfdam.streets.dice import Dice
from tfdam.streets.plan import Plan
from tfdam.streets.sketch import Sketch

_COATS = paints.numbers(
  "coat black",
  "coat black",
  "coat navy",
  "coat red",
  "coat beige",
  "coat green",
  "coat white",
)
_TROUSERS = paints.numbers("jeans", "jeans", "trousers", "trousers", "chinos")
_SKINS = paints.numbers("skin", "skin", "skin dark")
_JERSEYS = paints.numbers("jersey blue", "jersey vest", "jersey red", "jersey dark")
_LEGGINGS = paints.numbers("leggings", "leggings blue")
_HELMETS = paints.numbers("helmet", "helmet dark", "helmet dark")


def add_people(sketch: Sketch, dice: Dice, plan: Plan, side: int) -> None:
  inner = plan.half[side] + 0.5
  outer = plan.half[side] + plan.pave[side] - 0.2
  busy = {"town": 5.5, "suburb": 3.0, "open": 2.2}[plan.kind]
  for _ in range(int(dice.between(0, busy))):
    along = 5 + 40 * dice.unit() ** 1.3
    right = side * dice.between(inner, max(inner, outer))
    for i in range(1 if dice.chance(0.65) else 2):
      _add_walker(sketch, dice, right + 0.6 * i * side, along + 0.15 * i)
  draw = dice.unit()
  if draw < 0.26:
    along = dice.between(5, 26)
    right = side * (plan.half[side] - (2.9 if plan.parks[side] else 0.7))
    _add_cyclist(sketch, dice, right, along, False)
  elif draw < 0.34:
    right = side * dice.between(inner, max(inner, outer))
    _add_cyclist(sketch, dice, right, dice.between(5, 18), dice.chance(0.5))


def add_crossing_people(sketch: Sketch, dice: Dice, plan: Plan) -> None:
  draw = dice.unit()
  if draw < 0.16:
    for _ in range(int(dice.between(1, 4))):
      right = dice.between(-plan.half[-1], plan.half[1])
      _add_walker(sketch, dice, right, dice.between(9, 26))
  elif draw < 0.32:
    along = plan.junction + dice.between(1, 6) if plan.arms else dice.between(7, 18)
    right = dice.between(-plan.half[-1] - 1, plan.half[1] + 1)
    _add_cyclist(sketch, dice, right, max(along, 7), True)


def _add_walker(sketch: Sketch, dice: Dice, right: float, along: float) -> None:
  size, way = dice.between(0.9, 1.08), 1.0 if dice.chance(0.5) else -1.0
  if dice.chance(0.08):
    size *= 0.68  # a child
  own = (dice.pick(_COATS), dice.pick(_TROUSERS), dice.pick(_SKINS))
  sketch.add_shape(
    dice.pick(people_shapes.WALKERS), own, along, right, along, way * size, size,
    tint=dice.between(0.8, 1.2),
  )  # fmt: skip
  sketch.cast(right - 0.22, along, right + 0.22, along, 0, 1.65 * size)


def _add_cyclist(
  sketch: Sketch, dice: Dice, right: float, along: float, from_side: bool
) -> None:
  shape = people_shapes.CYCLIST_SIDE if from_side else people_shapes.CYCLIST_END
  size, way = dice.between(0.93, 1.07), 1.0 if dice.chance(0.5) else -1.0
  own = (dice.pick(_JERSEYS), dice.pick(_LEGGINGS), dice.pick(_HELMETS))
  sketch.add_shape(
    shape, own, along, right, along, way * size, size, tint=dice.between(0.85, 1.15)
  )
  sketch.cast(right - 0.3, along, right + 0.3, along, 0, 1.6)
