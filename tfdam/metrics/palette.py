"""The colours of classes in panels, which are the customary ones if there are any."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

# The colour of pixels without a class.
IGNORED = (0, 0, 0)

_Colour = tuple[int, int, int]

# The colours of Cityscapes, whose names come first, and those of CARLA's further classes.
_KNOWN: tuple[tuple[_Colour, tuple[str, ...]], ...] = (
  ((128, 64, 128), ("road", "street")),
  ((244, 35, 232), ("sidewalk", "pavement")),
  ((70, 70, 70), ("building",)),
  ((102, 102, 156), ("wall",)),
  ((190, 153, 153), ("fence",)),
  ((153, 153, 153), ("pole",)),
  ((250, 170, 30), ("traffic light",)),
  ((220, 220, 0), ("traffic sign", "sign", "sign symbol")),
  ((107, 142, 35), ("vegetation", "tree")),
  ((152, 251, 152), ("terrain", "grass")),
  ((70, 130, 180), ("sky",)),
  ((220, 20, 60), ("person", "pedestrian")),
  ((255, 0, 0), ("rider",)),
  ((0, 0, 142), ("car", "vehicle")),
  ((0, 0, 70), ("truck",)),
  ((0, 60, 100), ("bus",)),
  ((0, 80, 100), ("train",)),
  ((0, 0, 230), ("motorcycle", "motorbike")),
  # CamVid's bicyclist is the bicycle with its rider.
  ((119, 11, 32), ("bicycle", "bicyclist", "cyclist", "bike")),
  ((157, 234, 50), ("road line", "lane marking", "road marking")),
)  # fmt: skip
_BY_NAME = {name: colour for colour, names in _KNOWN for name in names}
# Colours for other names. Each is the colour of a coarse grid that is furthest in CIELAB
# from those before it and from black, white and mid grey; no two are closer than 26.
_FREE: tuple[_Colour, ...] = (
  (30, 30, 230), (30, 230, 30), (230, 30, 30), (230, 180, 30), (205, 30, 155),
  (30, 230, 180), (30, 105, 205), (80, 130, 30), (130, 30, 55), (55, 205, 230),
  (230, 155, 205), (205, 130, 80), (205, 230, 155), (80, 30, 105), (180, 230, 55),
  (205, 30, 230), (230, 30, 105), (30, 130, 105), (80, 80, 30), (180, 105, 230),
  (30, 130, 180), (30, 30, 155), (30, 180, 55), (80, 55, 80), (155, 130, 30),
  (155, 230, 205), (155, 155, 230), (230, 105, 30), (155, 155, 105), (230, 105, 105),
  (155, 80, 130), (105, 55, 30), (230, 180, 180), (30, 80, 80), (230, 230, 105),
  (80, 180, 105),
)  # fmt: skip
# Colours that are closer in CIELAB look the same in a thin legend.
_NEAR = 20.0
_XYZ_FROM_RGB = np.array([
  [0.4124564, 0.3575761, 0.1804375],
  [0.2126729, 0.7151522, 0.0721750],
  [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip
_WHITE = _XYZ_FROM_RGB.sum(axis=1)


def colours(class_names: Sequence[str]) -> np.ndarray:
  """Returns a colour for every class, all different for up to a few hundred classes.

  Known names ("road", "traffic_sign", "Car") get their customary colour; if two names mean
  the same thing, only the first does. The others get the next free colour that resembles
  none of these. So a class's colour does not depend on the classes after it, unless one of
  them is known and has a similar colour.

  Args:
    class_names: in the order of the labels.

  Returns:
    uint8 [num_classes, 3], RGB.
  """
  chosen: dict[int, _Colour] = {}
  for i, name in enumerate(class_names):
    known = _BY_NAME.get(" ".join(name.lower().replace("_", " ").replace("-", " ").split()))
    if known and known not in chosen.values():
      chosen[i] = known
  # Classifiers may have more classes than colours that people can tell apart.
  free = itertools.cycle(_free([IGNORED, *chosen.values()]))
  rows = [chosen[i] if i in chosen else next(free) for i in range(len(class_names))]
  return np.array(rows, np.uint8).reshape(-1, 3)


def colourise(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
  """Paints a label map.

  Args:
    labels: integers [H, W]; values that are no class, such as IGNORED, become black.
    palette: uint8 [num_classes, 3].

  Returns:
    uint8 [H, W, 3].
  """
  table = np.concatenate([palette, [IGNORED]]).astype(np.uint8)
  is_class = (labels >= 0) & (labels < len(palette))
  return table[np.where(is_class, labels, len(palette))]


def lab(rgb: npt.ArrayLike) -> np.ndarray:
  """Converts sRGB colours to CIELAB, in which distances are about the perceived ones.

  Args:
    rgb: [..., 3], 0 to 255.

  Returns:
    float64 [..., 3]: lightness, 0 to 100, and two axes of colour.
  """
  coded = np.asarray(rgb, np.float64) / 255
  linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
  xyz = linear @ _XYZ_FROM_RGB.T / _WHITE
  f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
  x, y, z = np.moveaxis(f, -1, 0)
  return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _free(taken: Sequence[_Colour]) -> Iterator[_Colour]:
  """Yields colours that are not taken; those that resemble a taken one come later."""
  distances = np.linalg.norm(lab(_FREE)[:, None] - lab(taken), axis=-1).min(axis=1)
  clear = [colour for colour, distance in zip(_FREE, distances) if distance >= _NEAR]
  # With a prime stride, successive colours are far apart in the cube.
  levels = range(40, 256, 30)
  cube = [(r, g, b) for r in levels for g in levels for b in levels]
  rest = [cube[i * 197 % len(cube)] for i in range(len(cube))]
  yield from dict.fromkeys(c for c in [*clear, *_FREE, *rest] if c not in taken)
