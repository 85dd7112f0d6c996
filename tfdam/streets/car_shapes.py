"""Cars, vans and buses, seen from behind, from the front and from the side."""

from __future__ import annotations

from tfdam.streets import paints
from tfdam.streets.shapes import FIRST, SIDE, box, disc, shape

# Half the width in metres, and the outline from tail to nose: (along and up in metres,
# inset of the cabin as a fraction of half the width). Its points are under the tail, tail,
# tailgate, back and front of the roof, bottom of the windscreen, nose, under the nose.
_OUTLINES = {
  "hatch": (0.86, ((0, .25, 0), (0, .72, 0), (.12, .98, .06), (.65, 1.43, .2),
                   (2.2, 1.46, .2), (3.0, .98, .06), (3.75, .78, .06), (3.85, .25, .02))),
  "saloon": (0.88, ((0, .27, 0), (0, .75, 0), (.75, .96, .06), (1.45, 1.39, .22),
                    (2.6, 1.42, .22), (3.45, .95, .06), (4.4, .76, .06), (4.5, .27, .02))),
  "estate": (0.89, ((0, .27, 0), (0, .80, 0), (.08, 1.0, .05), (.45, 1.46, .18),
                    (2.7, 1.48, .2), (3.5, .98, .06), (4.45, .78, .06), (4.55, .27, .02))),
  "jeep": (0.94, ((0, .38, 0), (0, .90, 0), (.05, 1.12, .04), (.25, 1.76, .14),
                  (2.7, 1.8, .14), (3.3, 1.18, .05), (4.4, 1.02, .04),
                  (4.5, .38, .02))),
  "van": (0.98, ((0, .35, 0), (0, 1.0, 0), (.02, 1.3, .02), (.08, 2.1, .07),
                 (3.6, 2.15, .07), (4.4, 1.3, .04), (5.0, .95, .04), (5.05, .35, .02))),
  "bus": (1.25, ((0, .35, 0), (0, 1.2, 0), (.02, 1.4, .01), (.1, 3.0, .05),
                 (9.8, 3.05, .05), (9.95, 1.3, .01), (10, 1.1, 0), (10, .35, 0))),
}  # fmt: skip


def _flank(half: float, outline, glass: int, facing: int):
  """Yields the polygons of a car's visible side: body, windows and wheels."""
  length = outline[-1][0]
  over = [(half * (1 - inset), up, along) for along, up, inset in outline]
  sill, eaves = over[2][1] + 0.04, over[3][1] - 0.09
  inner = half * (1 - outline[3][2] * 0.6)
  back, front = outline[2][0] + 0.3, outline[5][0] - 0.2
  top_back, top_front = outline[3][0] + 0.12, outline[4][0] - 0.06
  pillar = (top_back + top_front) / 2
  yield FIRST, facing, over
  for left, right in ((0, 1), (1, 2)):
    low = (back, pillar - 0.03, front) if left == 0 else (back, pillar + 0.06, front)
    high = (top_back, low[1], top_front)
    yield (
      glass,
      facing,
      [
        (half * 0.99, sill, low[left]),
        (inner, eaves, high[left]),
        (inner, eaves, high[right]),
        (half * 0.99, sill, low[right]),
      ],
    )
  radius = 0.31 if half < 0.95 else 0.38 if half < 1.1 else 0.5
  tyre, hub = paints.numbers("tyre", "hub")
  for centre in (length * 0.19, length * 0.8):
    for paint, size, corners in ((tyre, radius, 12), (hub, radius * 0.55, 8)):
      yield (
        paint,
        facing,
        [(half, y, along) for along, y in disc(centre, radius, size, corners)],
      )


def _end(half: float, outline, lamp: int, glass: int):
  """Yields the polygons of a car's near end, far to near, from roof to lamps."""
  tyre, bumper, plate = paints.numbers("tyre", "bumper", "plate")
  front = paints.FRONT

  def surface(i, shrink=1.0, low=0.0, high=1.0):
    (l0, y0, inset0), (l1, y1, inset1) = outline[i], outline[i + 1]
    corners = []
    for sign, t in ((-1, low), (-1, high), (1, high), (1, low)):
      across = half * shrink * (1 - inset0 - (inset1 - inset0) * t)
      corners.append((sign * across, y0 + (y1 - y0) * t, l0 + (l1 - l0) * t))
    return corners

  yield FIRST, paints.TOP, surface(3)
  yield FIRST, front, surface(2)
  yield glass, front, surface(2, 0.86, 0.12, 0.88)
  yield FIRST, paints.TOP, surface(1)
  for sign in (-1, 1):
    yield tyre, front, box(sign * half * 0.9, sign * half * 0.62, 0.0, 0.5, 0.25)
  bottom, waist = outline[0][1], outline[1][1]
  yield FIRST, front, surface(0)
  yield bumper, front, box(-half * 0.98, half * 0.98, bottom - 0.03, bottom + 0.2)
  for sign in (-1, 1):
    yield (
      lamp,
      front,
      box(sign * half * 0.95, sign * half * 0.62, waist - 0.2, waist - 0.02),
    )
  yield plate, front, box(-0.26, 0.26, bottom + 0.2, bottom + 0.31)


def _cars():
  glass, tail, head = paints.numbers("car glass", "tail lamp", "head lamp")
  ends, flanks = {}, {}
  for name, (half, outline) in _OUTLINES.items():
    length = outline[-1][0]
    turned = [(length - along, up, inset) for along, up, inset in reversed(outline)]
    for view, own, lamp in (("rear", outline, tail), ("front", turned, head)):
      ends[name, view] = shape(
        [*_flank(half, own, glass, SIDE), *_end(half, own, lamp, glass)]
      )
    # Seen from the side, the axis along the street becomes the one across, and the near
    # side lies at 0.
    flat = [
      (paint, facing, [(along - length / 2, up, 0.0) for _, up, along in corners])
      for paint, facing, corners in _flank(half, outline, glass, paints.FRONT)
    ]
    flanks[name] = shape(flat)
  return ends, flanks


CAR_ENDS, CAR_FLANKS = _cars()
