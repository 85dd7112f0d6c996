"""The shapes of pedestrians and cyclists."""

from __future__ import annotations

from tfdam.streets import paints
from tfdam.streets.shapes import FIRST, SECOND, THIRD, beam, box, disc, shape


def _walkers():
  hair, shoe = paints.numbers("hair", "shoe")
  soft = paints.SOFT
  head = [
    (THIRD, soft, disc(0, 1.60, 0.105, 10, 0.85)),
    (
      hair,
      soft,
      [(-0.1, 1.6), (-0.09, 1.7), (0, 1.74), (0.09, 1.7), (0.1, 1.6), (0, 1.66)],
    ),
  ]
  standing = [
    (SECOND, soft, [(-0.17, .85), (.17, .85), (.14, .06), (.02, .06), (0, .7), (-.02, .06),
                    (-.14, .06)]),
    (shoe, soft, box(-.16, -.02, 0, .08)), (shoe, soft, box(.02, .16, 0, .08)),
    (FIRST, soft, [(-.25, 1.4), (-.1, 1.5), (.1, 1.5), (.25, 1.4), (.21, .8), (-.21, .8)]),
    (FIRST, soft, beam(-.24, 1.4, -.3, .85, .12)),
    (FIRST, soft, beam(.24, 1.4, .3, .85, .12)),
  ]  # fmt: skip
  striding = [
    (SECOND, soft, [(-.14, .85), (.14, .85), (.2, .45), (.36, .07), (.24, .04), (.04, .6),
                    (-.12, .42), (-.34, .1), (-.4, .17), (-.18, .5)]),
    (shoe, soft, [(.24, 0), (.46, 0), (.36, .1), (.24, .1)]),
    (shoe, soft, [(-.42, .2), (-.34, .02), (-.26, .05), (-.32, .18)]),
    (FIRST, soft, [(-.15, 1.4), (-.05, 1.5), (.08, 1.5), (.16, 1.38), (.17, .78),
                   (-.17, .78)]),
    (FIRST, soft, beam(-.02, 1.38, -.26, .95, .11)),
    (FIRST, soft, beam(.04, 1.38, .22, .98, .11)),
  ]  # fmt: skip
  long_coat = [
    (SECOND, soft, box(-.13, .13, .05, .6)), (shoe, soft, box(-.16, .16, 0, .08)),
    (FIRST, soft, [(-.23, 1.4), (-.1, 1.5), (.1, 1.5), (.23, 1.4), (.27, .48),
                   (-.27, .48)]),
  ]  # fmt: skip
  return tuple(shape(body + head) for body in (standing, striding, long_coat))


WALKERS = _walkers()


def _cyclists():
  tyre, spokes, frame, skin = paints.numbers("cycle tyre", "spokes", "frame", "rider skin")
  soft, front = paints.SOFT, paints.FRONT
  from_side = []
  for x in (-0.53, 0.53):
    from_side += [
      (tyre, front, disc(x, 0.35, 0.35, 16)),
      (spokes, front, disc(x, 0.35, 0.29, 14)),
    ]
  from_side += [
    (frame, front, beam(x0, y0, x1, y1, .06))
    for x0, y0, x1, y1 in ((-.53, .35, -.2, .8), (-.2, .85, 0, .35), (-.53, .35, 0, .35),
                 (0, .35, .42, .82), (-.2, .8, .42, .82), (.53, .35, .4, 1.0))
  ]  # fmt: skip
  from_side += [
    (SECOND, soft, [(-.32, .9), (-.1, 1.02), (.2, .75), (.1, .32), (-.02, .3), (.02, .66)]),
    (tyre, soft, box(-.06, .18, .25, .33)),
    (FIRST, soft, [(-.34, .92), (-.3, 1.12), (.1, 1.5), (.27, 1.45), (.24, 1.28),
                   (-.06, .96)]),
    (FIRST, soft, beam(.2, 1.4, .36, 1.12, .1)),
    (skin, soft, beam(.35, 1.14, .47, 1.03, .08)),
    (skin, soft, disc(.3, 1.6, .11, 10)),
    (THIRD, soft, [(.17, 1.6), (.2, 1.71), (.3, 1.76), (.41, 1.7), (.43, 1.62)]),
  ]  # fmt: skip
  from_end = [
    (tyre, front, box(-.035, .035, 0, .68)),
    (frame, front, beam(-.29, 1.02, .29, 1.02, .05)),
    (SECOND, soft, beam(-.12, .9, -.15, .3, .15)),
    (SECOND, soft, beam(.12, .9, .15, .5, .15)),
    (tyre, soft, box(-.21, -.1, .22, .32)), (tyre, soft, box(.1, .21, .42, .5)),
    (FIRST, soft, [(-.23, 1.42), (-.1, 1.52), (.1, 1.52), (.23, 1.42), (.2, .86),
                   (-.2, .86)]),
    (FIRST, soft, beam(-.23, 1.38, -.3, 1.05, .1)),
    (FIRST, soft, beam(.23, 1.38, .3, 1.05, .1)),
    (skin, soft, disc(0, 1.62, .11, 10)),
    (THIRD, soft, [(-.11, 1.63), (-.1, 1.72), (0, 1.77), (.1, 1.72), (.11, 1.63)]),
  ]  # fmt: skip
  return shape(from_side), shape(from_end)


CYCLIST_SIDE, CYCLIST_END = _cyclists()
