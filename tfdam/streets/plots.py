"""Adds the sides of a street: rows of houses, gardens, and their borders."""

from __future__ import annotations

from tfdam.streets import houses, paints
from tfdam.streets.dice import Dice
from tfdam.streets.plan import END, Plan
from tfdam.streets.sketch import Sketch

_BARRIERS = (
  *(
    (fill, paints.NUMBER["rail post"]) for fill in paints.numbers("rail dark", "rail grey")
  ),
  (paints.NUMBER["boards"], paints.NUMBER["rail post"]),
  (paints.NUMBER["boards dark"], None),
  (paints.NUMBER["pickets"], paints.NUMBER["pickets"]),
)
_HEDGE = paints.NUMBER["leaf deep"]


def add_plots(sketch: Sketch, dice: Dice, plan: Plan, side: int) -> None:
  """Adds the buildings and gardens of one side, and the buildings at the street's end."""
  kerb = plan.half[side] + plan.pave[side]
  level = dice.between(5.5, 13) if plan.kind == "town" else dice.between(4.8, 8.5)
  density = {"town": 0.95, "suburb": 0.85, "open": 0.4}[plan.kind]
  at, shows_end = dice.between(-12, 0), False
  while at < min(END, plan.end - 11):
    length = dice.between(5, 15) if plan.kind == "town" else dice.between(7, 18)
    if side in plan.arms and at < plan.junction + plan.opening + 2 < END:
      until = plan.junction - 2
      if at >= until - 3:
        at, shows_end = plan.junction + plan.opening + 2, True
        continue
      length = min(length, until - at)
    if dice.chance(density):
      height = max(3.4, level * dice.between(0.75, 1.3))
      is_shop = plan.kind == "town" and dice.chance(0.6)
      step = plan.front[side] + (
        dice.between(0, 0.5) if plan.kind == "town" else dice.between(0, 3)
      )
      houses.add_building(
        sketch, dice, side, step, at, at + length, height, is_shop, shows_end
      )
      shows_end = plan.kind != "town" and dice.chance(0.5)
    else:
      shows_end = True
      for _ in range(1 + int(length / 7)):
        z = max(at + dice.between(0, length), 6)
        right = side * (plan.front[side] + dice.between(1, 9))
        houses.add_tree(
          sketch, dice, right, z, dice.between(5, 12), plan.bare, key=z + 0.4 * abs(right)
        )
    at += length + (dice.between(0, 4) if plan.kind != "town" else 0.0)
  if plan.end < END and side > 0:
    _close_street(sketch, dice, plan, level)
  depth = plan.front[side] - kerb
  if depth > 1.5:
    for _ in range(int(dice.between(0, 5 if plan.kind == "suburb" else 9))):
      z = dice.between(5, 70)
      right = side * (kerb + dice.between(0.8, depth))
      if not plan.is_open(side, z):
        houses.add_bush(sketch, dice, right, z, dice.between(0.5, 1.5))
  if depth > 1.0 or dice.chance(0.12):
    _add_border(sketch, dice, plan, side, kerb + 0.15)


def _close_street(sketch: Sketch, dice: Dice, plan: Plan, level: float) -> None:
  at = -70.0
  while at < 70:
    width = dice.between(9, 26)
    if dice.chance(0.8):
      houses.add_cross_building(
        sketch, dice, at, at + width, plan.end, level * dice.between(0.8, 1.3)
      )
    else:
      for _ in range(3):
        right = at + dice.between(0, width)
        houses.add_tree(sketch, dice, right, plan.end + 2, dice.between(5, 11), plan.bare)
    at += width


def _add_border(sketch: Sketch, dice: Dice, plan: Plan, side: int, edge: float) -> None:
  """Adds the fences, hedges and walls between pavement and gardens."""
  at = dice.between(0, 6)
  while at < min(90.0, plan.end - 11):
    far, draw = at + dice.between(5, 18), dice.unit()
    if side in plan.arms and at < plan.junction + plan.opening + 2:
      far = min(far, plan.junction - 2)
      if far - at < 2:
        at = plan.junction + plan.opening + 2
        continue
    if draw < 0.5:
      paint, post = dice.pick(_BARRIERS)
      height = dice.between(0.9, 1.5)
      houses.add_barrier(sketch, dice, paint, post, side * edge, at, far, height)
    elif draw < 0.68:
      houses.add_barrier(
        sketch, dice, _HEDGE, None, side * edge, at, far, dice.between(1.0, 1.9)
      )
    elif draw < 0.8 and plan.kind == "suburb":
      wall = paints.NUMBER["brick red"] if dice.chance(0.5) else paints.NUMBER["stone"]
      houses.add_barrier(
        sketch, dice, wall, None, side * edge, at, far, dice.between(0.6, 1.3)
      )
    at = far + dice.between(0.0, 4.0)
