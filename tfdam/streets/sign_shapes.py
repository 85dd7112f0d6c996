"""The shapes of traffic signs and signals, centred at (0, 0) and without their posts."""

from __future__ import annotations

from tfdam.streets import paints
from tfdam.streets.shapes import box, disc, shape


def _signs():
  """Returns the boards of signs."""
  red, white, blue, yellow, green, grey = paints.numbers(
    "sign red", "sign white", "sign blue", "sign yellow", "sign green", "sign grey"
  )
  face = paints.FRONT
  triangle = [(-0.42, -0.32), (0, 0.42), (0.42, -0.32)]
  inner = [(-0.24, -0.22), (0, 0.2), (0.24, -0.22)]
  return tuple(
    shape([(paint, face, corners) for paint, corners in polygons])
    for polygons in (
      ((red, disc(0, 0, 0.36, 14)), (white, disc(0, 0, 0.24, 12))),
      ((red, triangle), (white, inner)),
      ((blue, disc(0, 0, 0.34, 14)), (white, box(-0.06, 0.06, -0.2, 0.2))),
      ((blue, box(-0.4, 0.4, -0.5, 0.5)), (white, box(-0.2, 0.2, -0.25, 0.3))),
      ((green, box(-1.1, 1.1, -0.55, 0.55)), (white, box(-0.9, 0.5, 0.1, 0.35)),
       (white, box(-0.9, 0.8, -0.35, -0.1))),
      ((yellow, box(-0.42, 0.42, -0.42, 0.42)), (grey, box(-0.3, 0.3, -0.1, 0.1))),
      ((white, box(-0.5, 0.5, -0.3, 0.3)), (grey, box(-0.4, 0.4, -0.05, 0.2))),
      ((grey, disc(0, 0, 0.36, 14)),),
      ((grey, box(-0.45, 0.45, -0.5, 0.5)),),
    )
  )  # fmt: skip


SIGNS = _signs()


def _signals():
  case, off = paints.numbers("signal box", "signal off")
  lamps = paints.numbers("signal red", "signal amber", "signal green")
  heads = []
  for lit in range(3):
    polygons = [(case, paints.FRONT, box(-0.22, 0.22, -0.55, 0.55))]
    for i in range(3):
      facing = paints.GLOW if i == lit else paints.FRONT
      paint = lamps[i] if i == lit else off
      polygons.append((paint, facing, disc(0, 0.33 - 0.33 * i, 0.125, 8)))
    heads.append(shape(polygons))
  return tuple(heads)


SIGNALS = _signals()
