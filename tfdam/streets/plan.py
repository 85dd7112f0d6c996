"""The dimensions of one street."""

from __future__ import annotations

import dataclasses

from tfdam.streets.dice import Dice

# Where a street ends if no building closes it, in metres.
END = 170.0


@dataclasses.dataclass(frozen=True)
class Plan:
  """The dimensions of one street, in metres; side -1 is left, 1 is right."""

  kind: str
  hand: int  # the side on which traffic drives
  half: dict[int, float]  # from the centre line to the kerb
  lane: float
  pave: dict[int, float]  # width of the pavements
  front: dict[int, float]  # from the centre line to the facades
  junction: float  # the near edge of a side street
  opening: float  # width of the side street; 0 without one
  arms: tuple[int, ...]  # the sides to which the side street leads
  end: float  # where a building closes the street
  bare: bool  # whether trees have no leaves
  parks: dict[int, bool]  # whether cars are parked along the kerb

  def is_open(self, side: int, along: float, margin: float = 1.5) -> bool:
    """Whether a side street, its corner or the street's end lies at `along`."""
    start, stop = self.junction - margin, self.junction + self.opening + margin
    is_arm = side in self.arms and start < along < stop
    return is_arm or along > self.end - 9 - margin


def make(dice: Dice) -> Plan:
  draw = dice.unit()
  kind = "town" if draw < 0.48 else "suburb" if draw < 0.8 else "open"
  lane = dice.between(2.9, 3.7)
  half, pave, front, parks = {}, {}, {}, {}
  for side in (-1, 1):
    parks[side] = dice.chance({"town": 0.45, "suburb": 0.5, "open": 0.2}[kind])
    half[side] = lane + (dice.between(1.9, 2.4) if parks[side] else dice.between(0.0, 1.6))
    pave[side] = dice.between(1.4, 4.2) if kind == "town" else dice.between(1.0, 2.6)
    setback = {"town": (0.0, 0.6), "suburb": (2.5, 8.0), "open": (7.0, 22.0)}[kind]
    front[side] = half[side] + pave[side] + dice.between(*setback)
  has_junction = dice.chance(0.55)
  draw = dice.unit()
  arms = (-1, 1) if draw < 0.5 else (-1,) if draw < 0.75 else (1,)
  return Plan(
    kind=kind,
    hand=-1 if dice.chance(0.65) else 1,
    half=half,
    lane=lane,
    pave=pave,
    front=front,
    junction=dice.between(9, 48),
    opening=dice.between(7, 14) if has_junction else 0.0,
    arms=arms if has_junction else (),
    end=dice.between(45, 110) if dice.chance(0.4) else END,
    bare=dice.chance(0.5),
    parks=parks,
  )
