"""Lays out a procedural street, as a pure function of a seed.

The street is laid out straight, with the road's centre line at 0; the projection bends it.
"""

from __future__ import annotations

from tfdam.streets import furniture, ground, people, plots, sketch, traffic
from tfdam.streets import plan as plan_lib
from tfdam.streets.dice import Dice


def build(seed: int) -> sketch.World:
  """Lays out one street."""
  dice, street = Dice(seed), sketch.Sketch()
  plan = plan_lib.make(dice)
  ground.add_sky_and_ground(street, dice, plan)
  ground.add_marks(street, dice, plan)
  for side in (-1, 1):
    plots.add_plots(street, dice, plan, side)
    furniture.add_furniture(street, dice, plan, side)
    traffic.add_parked(street, dice, plan, side)
    people.add_people(street, dice, plan, side)
  traffic.add_traffic(street, dice, plan)
  people.add_crossing_people(street, dice, plan)
  right = plan.hand * (plan.lane / 2 + dice.between(-0.6, 0.8))
  bend = 0.0 if dice.chance(0.4) else dice.between(-1, 1) / 110
  camera = sketch.Camera(
    side=right,
    height=dice.between(1.25, 1.65),
    # A driver looks into the bend.
    yaw=dice.between(-0.13, 0.13) + bend * 14,
    pitch=dice.between(-0.05, 0.055),
    roll=dice.between(-0.02, 0.02),
    zoom=dice.between(1.05, 1.4),
    bend=bend,
  )
  return street.finish(camera)
