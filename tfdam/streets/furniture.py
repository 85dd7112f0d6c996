"""Lamp posts, signs, signals, bollards, railings and avenues."""

from __future__ import annotations

from tfdam.streets import houses, paints, sign_shapes
from tfdam.streets.dice import Dice
from tfdam.streets.plan import Plan
from tfdam.streets.sketch import Sketch

_POSTS = paints.numbers("steel", "steel", "post dark", "post green")
_RAILS = paints.numbers("rail dark", "rail grey")
_RAIL_POST, _DARK, _WHITE, _WOOD = paints.numbers(
  "rail post", "post dark", "post white", "wood"
)


def add_furniture(sketch: Sketch, dice: Dice, plan: Plan, side: int) -> None:
  """Adds lamp posts, signs, signals, bollards and the trees of an avenue."""
  kerb = plan.half[side] + 0.5
  post, spacing = dice.pick(_POSTS), dice.between(24, 46)
  tall, at = dice.between(5, 9), dice.between(4, 22)
  while at < 100 and dice.chance(0.85):
    if not plan.is_open(side, at, 0.5):
      _add_lamp(sketch, post, side, side * kerb, at, tall)
    at += spacing
  if dice.chance({"town": 0.2, "suburb": 0.42, "open": 0.55}[plan.kind]):
    at, spacing = dice.between(5, 18), dice.between(7, 14)
    height = dice.between(5, 10)
    while at < 110 and not plan.end - 9 < at:
      if not plan.is_open(side, at, 2.5) and dice.chance(0.85):
        right = side * (kerb + dice.between(0.2, 0.5))
        houses.add_tree(
          sketch, dice, right, at, height * dice.between(0.8, 1.15), plan.bare
        )
      at += spacing
  for _ in range(int(dice.between(0.6, 4.5))):
    along = dice.between(5.5, 42)
    if not plan.is_open(side, along, 0.0):
      right = side * (kerb + dice.between(-0.15, plan.pave[side] - 0.6))
      _add_sign(sketch, dice, right, along)
  if dice.chance(0.18):
    at = dice.between(4, 30)
    for _ in range(int(dice.between(3, 9))):
      if not plan.is_open(side, at):
        bollard = _WHITE if dice.chance(0.3) else _DARK
        sketch.add_upright(bollard, at, side * (kerb - 0.1), at, 0.16, 0, 0.95)
      at += 1.7
  if dice.chance(0.15):
    at, fence = dice.between(3, 30), dice.pick(_RAILS)
    houses.add_barrier(
      sketch,
      dice,
      fence,
      _RAIL_POST,
      side * (kerb - 0.2),
      at,
      at + dice.between(6, 20),
      1.1,
    )
  if plan.kind != "town" and dice.chance(0.3):
    for at in (dice.between(6, 30), dice.between(40, 60)):
      sketch.add_upright(_WOOD, at, side * (kerb + plan.pave[side]), at, 0.25, 0, 7.5)
  if plan.arms and plan.junction < 45 and dice.chance(0.55):
    _add_signal(sketch, dice, side * (kerb + 0.2), plan.junction - 2.0)
    if dice.chance(0.6):
      _add_signal(sketch, dice, side * (kerb + 0.2), plan.junction + plan.opening + 1)


def _add_lamp(
  sketch: Sketch, post: int, side: int, right: float, along: float, tall: float
) -> None:
  sketch.add_upright(post, along, right, along, 0.12, 0, tall)
  sketch.add_upright(post, along, right, along, 0.2, 0, 1.1)
  arm = -side * 1.6
  sketch.add(
    post, paints.FRONT, along,
    (right, tall - 0.12, along, right, tall + 0.05, along, right + arm, tall + 0.25, along,
     right + arm, tall + 0.08, along),
  )  # fmt: skip
  sketch.add_upright(post, along, right + arm * 1.1, along, 0.7, tall + 0.05, tall + 0.27)
  sketch.cast(right - 0.1, along, right + 0.1, along, 0, tall)


def _add_sign(sketch: Sketch, dice: Dice, right: float, along: float) -> None:
  board = dice.pick(sign_shapes.SIGNS)
  size = dice.between(0.9, 1.35)
  if board.width > 1.5:
    along += 8  # large boards are read from afar
  centre = dice.between(1.9, 2.5) + board.height * size / 2
  sketch.add_upright(dice.pick(_POSTS), along, right, along, 0.08, 0, centre)
  sketch.add_shape(board, (), along, right, along, size, size, centre)
  if board.width < 0.9 and dice.chance(0.4):
    below = dice.pick(sign_shapes.SIGNS[5:7])
    sketch.add_shape(below, (), along, right, along, size * 0.8, size * 0.8, centre - 0.85)
  sketch.cast(right - 0.35, along, right + 0.35, along, centre - 0.4, centre + 0.4)


def _add_signal(sketch: Sketch, dice: Dice, right: float, along: float) -> None:
  if along < 5:
    return
  sketch.add_upright(dice.pick(_POSTS), along, right, along, 0.12, 0, 3.4)
  sketch.add_shape(dice.pick(sign_shapes.SIGNALS), (), along, right, along, 1, 1, 2.9)
  sketch.cast(right - 0.2, along, right + 0.2, along, 0, 3.4)
