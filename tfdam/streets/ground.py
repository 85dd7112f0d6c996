"""Sky, horizon, road and pavements, and what is painted on the road."""

from __future__ import annotations

from tfdam.streets import paints, shapes
from tfdam.streets.dice import Dice
from tfdam.streets.plan import END, Plan
from tfdam.streets.sketch import Sketch

# Keys of what is painted first, in this order; all other things have smaller keys.
_BACKDROP, _TERRAIN, _ROAD, _PAVEMENT, _DETAIL, _MARK = (
  2000.0,
  1900.0,
  1800.0,
  1700.0,
  1600.0,
  1500.0,
)
_ASPHALTS = paints.numbers("asphalt", "asphalt", "asphalt dark", "asphalt light")
_PAVINGS = paints.numbers("paving", "paving", "paving red", "paving dark")
_GRASS = paints.numbers("grass", "grass", "grass dry")
_SKIES = paints.numbers("sky blue", "sky pale", "sky white", "sky white")
_CLOUD, _FAR_TREES, _FAR_TOWN, _KERB, _WHITE, _YELLOW, _SEAM, _PATCH, _IRON, _RED = (
  paints.numbers(
    "cloud", "far trees", "far town", "kerb", "mark", "mark yellow", "seam", "patch",
    "iron", "lane red",
  )
)  # fmt: skip


def add_sky_and_ground(sketch: Sketch, dice: Dice, plan: Plan) -> None:
  sky = dice.pick(_SKIES)
  # Pixels without any other polygon show the first one.
  sketch.add(sky, paints.SKYWARD, 9000, (0, 0, 9, 0, 1, 9, 1, 0, 9))
  if sky != _SKIES[-1]:
    for _ in range(int(dice.between(0, 6))):
      at, up = dice.between(-260, 260), dice.between(40, 190)
      for _ in range(3):
        crown = dice.pick(shapes.CROWNS)
        right, radius = at + dice.between(-40, 40), dice.between(14, 40)
        sketch.add_blob(
          _CLOUD, 8000, crown, right, up, 400, radius, 0.32, facing=paints.SKYWARD
        )
  at = -330.0
  while at < 330:
    width, is_wood = dice.between(14, 50), dice.chance(0.55)
    height = dice.between(6, 16)
    if is_wood:
      sketch.add_blob(
        _FAR_TREES, _BACKDROP, dice.pick(shapes.CROWNS), at + width / 2, height * 0.2, 240,
        width * 0.75, height / width,
      )  # fmt: skip
    else:
      sketch.add_upright(_FAR_TOWN, _BACKDROP, at + width / 2, 240, width + 1, 0, height)
    at += width
  for side in (-1, 1):
    terrain = dice.pick(_PAVINGS) if plan.kind == "town" else dice.pick(_GRASS)
    edge = side * (plan.half[side] + plan.pave[side])
    sketch.add_ground(terrain, _TERRAIN, edge, side * 400, 0, 400)
  asphalt = dice.pick(_ASPHALTS)
  left, right = -plan.half[-1], plan.half[1]
  sketch.add_ground(asphalt, _ROAD, left, right, 0, 400)
  for side in (-1, 1):
    kerb, paving = side * plan.half[side], dice.pick(_PAVINGS)
    outer = side * (plan.half[side] + plan.pave[side])
    near, far = plan.junction, plan.junction + plan.opening
    spans = [(0.0, near), (far, 400.0)] if side in plan.arms else [(0.0, 400.0)]
    for start, stop in spans:
      sketch.add_ground(paving, _PAVEMENT, kerb, outer, start, stop)
      sketch.add_ground(_KERB, _PAVEMENT - 1, kerb, kerb + side * 0.22, start, stop)
      sketch.add_ground(_SEAM, _DETAIL, kerb - side * 0.18, kerb, start, stop)
    if side in plan.arms:
      # The side street with its pavements and kerbs.
      away = side * 120
      sketch.add_ground(paving, _PAVEMENT, outer, away, near - 1.8, far + 1.8)
      sketch.add_ground(asphalt, _PAVEMENT - 2, kerb - side * 0.2, away, near, far)
      for at in (near - 0.2, far):
        sketch.add_ground(_KERB, _PAVEMENT - 3, kerb, away, at, at + 0.2)
  if plan.end < END:
    sketch.add_ground(asphalt, _PAVEMENT - 2, -150, 150, plan.end - 9, plan.end - 2)
    sketch.add_ground(
      dice.pick(_PAVINGS), _PAVEMENT - 2, -150, 150, plan.end - 2, plan.end + 1
    )
  for _ in range(int(dice.between(0, 5))):
    at, wide = dice.between(left, right - 1.2), dice.between(0.8, 2.6)
    near = dice.between(4, 30)
    paint = _PATCH if dice.chance(0.7) else _SEAM
    stop = near + dice.between(0.8, 9)
    sketch.add_ground(paint, _DETAIL, at, min(at + wide, right - 0.2), near, stop)
  for _ in range(int(dice.between(0, 4))):
    at, near = dice.between(left + 0.5, right - 1), dice.between(4, 22)
    sketch.add_ground(_IRON, _DETAIL, at, at + 0.6, near, near + 0.6)


def add_marks(sketch: Sketch, dice: Dice, plan: Plan) -> None:
  left, right = -plan.half[-1], plan.half[1]
  add = sketch.add_ground
  stop_at = plan.junction - 1.5 if plan.arms else END
  reach = min(100.0, plan.end - 9)
  draw = dice.unit()
  if draw < 0.7:
    dash, period = (2.0, 6.0) if dice.chance(0.5) else (4.0, 6.5)
    at = dice.between(0, period)
    while at < reach:
      if not (
        plan.arms and plan.junction - 1 < at + dash and at < plan.junction + plan.opening
      ):
        add(_WHITE, _MARK, -0.07, 0.07, at, at + dash)
      at += period
  elif draw < 0.82:
    for at in (-0.18, 0.08):
      add(_WHITE, _MARK, at, at + 0.1, 0, stop_at)
  for side in (-1, 1):
    edge, draw = side * plan.half[side], dice.unit()
    if draw < 0.3:
      for inset in (0.3, 0.5):
        add(_YELLOW, _MARK, edge - side * inset, edge - side * (inset + 0.09), 0, stop_at)
    elif draw < 0.45:
      at = edge - side * dice.between(0.4, 0.6)
      add(_WHITE, _MARK, at, at - side * 0.11, 0, stop_at)
    elif draw < 0.55 and not plan.parks[side]:
      add(_RED, _DETAIL, edge - side * 0.2, edge - side * 1.5, 0, stop_at)
      add(_WHITE, _MARK, edge - side * 1.5, edge - side * 1.62, 0, stop_at)
    elif draw < 0.68:
      _add_zigzag(sketch, edge - side * 0.9, dice.between(3, 16))
  if plan.arms and dice.chance(0.75):
    inner, outer = (left, 0.0) if plan.hand < 0 else (0.0, right)
    add(_WHITE, _MARK, inner, outer, stop_at - 0.4, stop_at)
  if dice.chance(0.22):
    near, at = dice.between(6, 24), left + 0.3
    while at < right - 0.5:
      add(_WHITE, _MARK, at, at + 0.55, near, near + dice.between(2.6, 2.7))
      at += 1.1
  if dice.chance(0.35):
    _add_arrow(
      sketch, plan.hand * plan.lane / 2 - dice.between(0, 0.4), dice.between(6, 18)
    )


def _add_zigzag(sketch: Sketch, right: float, near: float) -> None:
  for i in range(5):
    a, b = (right - 0.35, right + 0.35) if i % 2 else (right + 0.35, right - 0.35)
    z, far = near + 2 * i, near + 2 * i + 2
    sketch.add(
      _WHITE, paints.GROUND, _MARK, (a, 0, z, a + 0.13, 0, z, b + 0.13, 0, far, b, 0, far)
    )


def _add_arrow(sketch: Sketch, right: float, near: float) -> None:
  sketch.add_ground(_WHITE, _MARK, right - 0.1, right + 0.1, near, near + 2.6)
  sketch.add(
    _WHITE, paints.GROUND, _MARK,
    (right - 0.4, 0, near + 2.5, right, 0, near + 4.2, right + 0.4, 0, near + 2.5),
  )  # fmt: skip
