"""The classes of procedural streets, and the materials of things, called paints.

A paint has a class, so that a pixel's label and its colours come from one table and always
agree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# CamVid's 11 classes, in the order of its label ids.
CLASSES = (
  "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
  "pedestrian", "bicyclist",
)  # fmt: skip

# Orientations of surfaces; photo._NORMALS has a row for each. Walls are named after their
# side of the street.
SKYWARD, FRONT, LEFT_WALL, RIGHT_WALL, GROUND, SOFT, GLOW, LEFT_ROOF, RIGHT_ROOF, TOP = (
  range(10)
)

# Textures, by their position in textures.atlas().
SMOOTH, GRAIN, BRICK, LEAVES, SLABS, RIBS = range(6)


class Paint(NamedTuple):
  """One material.

  Attributes:
    kind: its class.
    sim: colour of the flat rendering, 0 to 255.
    photo: reflectance of red, green and blue, 0 to 1, before light and camera.
    texture: its pattern.
    rough: the pattern's strength, a fraction of the brightness.
    gloss: the fraction of the sky's light that it mirrors.
    veil: the fraction of the sky's light that shines through it.
  """

  kind: str
  sim: tuple[int, int, int]
  photo: tuple[float, float, float]
  texture: int = SMOOTH
  rough: float = 0.1
  gloss: float = 0.0
  veil: float = 0.0


PAINTS = {
  "sky blue": Paint("sky", (118, 178, 238), (0.42, 0.62, 0.95)),
  "sky pale": Paint("sky", (176, 212, 240), (0.75, 0.85, 1.0)),
  "sky white": Paint("sky", (222, 230, 238), (1.0, 1.0, 1.0)),
  "cloud": Paint("sky", (246, 248, 252), (1.0, 1.0, 1.0)),

  "brick red": Paint("building", (172, 84, 64), (0.20, 0.11, 0.08), BRICK, 0.35),
  "brick brown": Paint("building", (138, 88, 66), (0.15, 0.105, 0.08), BRICK, 0.35),
  "brick yellow": Paint("building", (204, 168, 108), (0.30, 0.24, 0.16), BRICK, 0.3),
  "stone": Paint("building", (176, 158, 128), (0.25, 0.22, 0.18), BRICK, 0.25),
  "soot": Paint("building", (98, 90, 88), (0.09, 0.083, 0.077), BRICK, 0.3),
  "render white": Paint("building", (232, 226, 212), (0.52, 0.50, 0.46), SMOOTH, 0.12),
  "render cream": Paint("building", (232, 206, 150), (0.45, 0.39, 0.28), SMOOTH, 0.12),
  "render pink": Paint("building", (222, 160, 146), (0.38, 0.28, 0.24), SMOOTH, 0.12),
  "render blue": Paint("building", (140, 160, 190), (0.24, 0.27, 0.32), SMOOTH, 0.12),
  "concrete": Paint("building", (158, 156, 152), (0.28, 0.275, 0.26), SMOOTH, 0.2),
  "far town": Paint("building", (150, 132, 126), (0.16, 0.15, 0.145), BRICK, 0.3),
  "roof slate": Paint("building", (92, 94, 110), (0.085, 0.087, 0.10), RIBS, 0.25),
  "roof tile": Paint("building", (160, 74, 52), (0.17, 0.085, 0.06), RIBS, 0.25),
  "roof brown": Paint("building", (110, 76, 62), (0.12, 0.085, 0.07), RIBS, 0.25),
  "trim": Paint("building", (240, 238, 230), (0.55, 0.54, 0.50)),
  "window": Paint("building", (64, 82, 112), (0.035, 0.04, 0.05), SMOOTH, 0.4, 0.22),
  "window lit": Paint("building", (120, 150, 186), (0.07, 0.075, 0.08), SMOOTH, 0.4, 0.5),
  "shop glass": Paint("building", (70, 96, 112), (0.06, 0.06, 0.055), BRICK, 0.9, 0.1),
  "door red": Paint("building", (160, 40, 40), (0.20, 0.03, 0.03)),
  "door green": Paint("building", (36, 96, 66), (0.03, 0.09, 0.06)),
  "door blue": Paint("building", (44, 62, 134), (0.03, 0.045, 0.15)),
  "door brown": Paint("building", (98, 62, 40), (0.09, 0.055, 0.035)),
  "fascia red": Paint("building", (196, 46, 42), (0.30, 0.05, 0.045)),
  "fascia green": Paint("building", (40, 120, 76), (0.04, 0.13, 0.07)),
  "fascia blue": Paint("building", (46, 84, 170), (0.05, 0.08, 0.25)),
  "fascia dark": Paint("building", (52, 50, 56), (0.05, 0.05, 0.05)),
  "fascia cream": Paint("building", (236, 222, 180), (0.50, 0.45, 0.34)),

  "steel": Paint("pole", (112, 120, 124), (0.16, 0.165, 0.165)),
  "post dark": Paint("pole", (56, 62, 62), (0.045, 0.048, 0.048)),
  "post white": Paint("pole", (212, 214, 212), (0.45, 0.45, 0.43)),
  "post green": Paint("pole", (52, 92, 76), (0.05, 0.085, 0.065)),
  "wood": Paint("pole", (124, 98, 72), (0.14, 0.11, 0.08), RIBS, 0.3),

  "asphalt": Paint("road", (112, 112, 118), (0.135, 0.135, 0.138), GRAIN, 0.15),
  "asphalt dark": Paint("road", (90, 90, 98), (0.095, 0.095, 0.10), GRAIN, 0.15),
  "asphalt light": Paint("road", (138, 136, 136), (0.185, 0.18, 0.175), GRAIN, 0.13),
  "patch": Paint("road", (98, 98, 104), (0.105, 0.105, 0.11), GRAIN, 0.2),
  "seam": Paint("road", (72, 72, 78), (0.065, 0.065, 0.07), GRAIN, 0.2),
  "iron": Paint("road", (80, 76, 74), (0.07, 0.066, 0.062), BRICK, 0.4),
  "mark": Paint("road", (244, 244, 240), (0.50, 0.50, 0.48), GRAIN, 0.35),
  "mark yellow": Paint("road", (236, 196, 52), (0.44, 0.33, 0.09), GRAIN, 0.35),
  "lane red": Paint("road", (164, 92, 84), (0.20, 0.125, 0.105), GRAIN, 0.15),
  "under car": Paint("road", (40, 40, 46), (0.012, 0.012, 0.013), GRAIN, 0.1),

  "paving": Paint("pavement", (184, 178, 170), (0.27, 0.26, 0.24), SLABS, 0.25),
  "paving red": Paint("pavement", (186, 136, 118), (0.24, 0.18, 0.15), SLABS, 0.3),
  "paving dark": Paint("pavement", (146, 144, 148), (0.175, 0.175, 0.175), GRAIN, 0.2),
  "kerb": Paint("pavement", (210, 208, 202), (0.34, 0.335, 0.32), GRAIN, 0.15),

  "trunk": Paint("tree", (104, 76, 52), (0.075, 0.06, 0.047), RIBS, 0.4),
  "leaf": Paint("tree", (62, 136, 52), (0.075, 0.105, 0.04), LEAVES, 0.75),
  "leaf deep": Paint("tree", (40, 104, 52), (0.05, 0.075, 0.033), LEAVES, 0.8),
  "leaf light": Paint("tree", (112, 164, 62), (0.13, 0.15, 0.06), LEAVES, 0.65),
  "leaf autumn": Paint("tree", (176, 132, 52), (0.19, 0.14, 0.06), LEAVES, 0.65),
  "twigs": Paint("tree", (146, 126, 106), (0.085, 0.073, 0.06), LEAVES, 0.8, 0.0, 0.75),
  "twigs dark": Paint("tree", (116, 102, 88), (0.065, 0.055, 0.05), LEAVES, 0.8, 0.0, 0.55),
  "far trees": Paint("tree", (84, 124, 84), (0.07, 0.08, 0.055), LEAVES, 0.5),
  "grass": Paint("tree", (104, 164, 70), (0.10, 0.15, 0.05), LEAVES, 0.3),
  "grass dry": Paint("tree", (144, 156, 84), (0.15, 0.165, 0.075), LEAVES, 0.3),

  "sign red": Paint("sign", (214, 38, 42), (0.42, 0.035, 0.04)),
  "sign white": Paint("sign", (246, 246, 246), (0.62, 0.62, 0.60)),
  "sign blue": Paint("sign", (36, 84, 188), (0.03, 0.09, 0.36)),
  "sign yellow": Paint("sign", (246, 204, 44), (0.60, 0.42, 0.05)),
  "sign green": Paint("sign", (30, 116, 76), (0.025, 0.17, 0.09)),
  "sign grey": Paint("sign", (122, 126, 130), (0.18, 0.185, 0.19)),
  "signal box": Paint("sign", (40, 42, 44), (0.03, 0.031, 0.031)),
  "signal red": Paint("sign", (255, 64, 48), (1.0, 0.12, 0.08)),
  "signal amber": Paint("sign", (255, 186, 48), (1.0, 0.55, 0.10)),
  "signal green": Paint("sign", (64, 230, 130), (0.12, 1.0, 0.50)),
  "signal off": Paint("sign", (66, 62, 60), (0.05, 0.048, 0.045)),

  "rail dark": Paint("fence", (70, 78, 82), (0.06, 0.065, 0.066), RIBS, 0.6, 0.0, 0.0),
  "rail grey": Paint("fence", (150, 156, 160), (0.22, 0.23, 0.235), RIBS, 0.5),
  "boards": Paint("fence", (166, 122, 78), (0.19, 0.145, 0.095), RIBS, 0.5),
  "boards dark": Paint("fence", (116, 84, 60), (0.11, 0.083, 0.06), RIBS, 0.5),
  "pickets": Paint("fence", (226, 224, 214), (0.45, 0.44, 0.41), RIBS, 0.5),
  "rail post": Paint("fence", (48, 52, 56), (0.04, 0.042, 0.044)),

  "car white": Paint("car", (238, 240, 244), (0.60, 0.60, 0.59), SMOOTH, 0.05, 0.06),
  "car silver": Paint("car", (178, 186, 194), (0.34, 0.35, 0.36), SMOOTH, 0.05, 0.12),
  "car grey": Paint("car", (104, 112, 122), (0.12, 0.125, 0.135), SMOOTH, 0.05, 0.12),
  "car black": Paint("car", (44, 46, 56), (0.018, 0.018, 0.021), SMOOTH, 0.05, 0.12),
  "car red": Paint("car", (206, 36, 44), (0.30, 0.025, 0.03), SMOOTH, 0.05, 0.1),
  "car blue": Paint("car", (34, 78, 186), (0.03, 0.06, 0.24), SMOOTH, 0.05, 0.1),
  "car teal": Paint("car", (24, 134, 140), (0.03, 0.15, 0.16), SMOOTH, 0.05, 0.1),
  "car green": Paint("car", (34, 96, 60), (0.02, 0.07, 0.045), SMOOTH, 0.05, 0.1),
  "car yellow": Paint("car", (240, 190, 30), (0.52, 0.36, 0.04), SMOOTH, 0.05, 0.08),
  "car glass": Paint("car", (58, 74, 94), (0.03, 0.034, 0.038), SMOOTH, 0.3, 0.3),
  "bumper": Paint("car", (56, 58, 64), (0.04, 0.04, 0.042), SMOOTH, 0.05, 0.05),
  "tyre": Paint("car", (30, 30, 34), (0.02, 0.02, 0.02)),
  "hub": Paint("car", (168, 172, 176), (0.28, 0.28, 0.28)),
  "tail lamp": Paint("car", (226, 30, 30), (0.42, 0.02, 0.02), SMOOTH, 0.0, 0.05),
  "head lamp": Paint("car", (244, 244, 226), (0.75, 0.75, 0.68), SMOOTH, 0.0, 0.2),
  "plate": Paint("car", (240, 220, 120), (0.55, 0.48, 0.20)),

  "skin": Paint("pedestrian", (226, 172, 140), (0.38, 0.26, 0.19)),
  "skin dark": Paint("pedestrian", (132, 90, 66), (0.12, 0.075, 0.052)),
  "hair": Paint("pedestrian", (62, 46, 36), (0.035, 0.026, 0.02)),
  "coat black": Paint("pedestrian", (46, 46, 58), (0.022, 0.022, 0.026)),
  "coat navy": Paint("pedestrian", (44, 58, 110), (0.03, 0.04, 0.09)),
  "coat red": Paint("pedestrian", (200, 48, 56), (0.26, 0.04, 0.045)),
  "coat beige": Paint("pedestrian", (214, 184, 136), (0.33, 0.27, 0.19)),
  "coat green": Paint("pedestrian", (74, 118, 76), (0.065, 0.095, 0.06)),
  "coat white": Paint("pedestrian", (232, 232, 236), (0.50, 0.50, 0.50)),
  "jeans": Paint("pedestrian", (66, 92, 142), (0.055, 0.075, 0.13)),
  "trousers": Paint("pedestrian", (60, 60, 66), (0.035, 0.035, 0.038)),
  "chinos": Paint("pedestrian", (172, 150, 116), (0.23, 0.19, 0.14)),
  "shoe": Paint("pedestrian", (34, 30, 30), (0.02, 0.02, 0.02)),

  "rider skin": Paint("bicyclist", (226, 172, 140), (0.38, 0.26, 0.19)),
  "helmet": Paint("bicyclist", (236, 236, 60), (0.45, 0.45, 0.08)),
  "helmet dark": Paint("bicyclist", (54, 48, 46), (0.03, 0.027, 0.025)),
  "jersey blue": Paint("bicyclist", (44, 140, 206), (0.05, 0.16, 0.33)),
  "jersey vest": Paint("bicyclist", (196, 236, 48), (0.40, 0.56, 0.06)),
  "jersey red": Paint("bicyclist", (222, 60, 48), (0.33, 0.05, 0.04)),
  "jersey dark": Paint("bicyclist", (56, 56, 70), (0.03, 0.03, 0.037)),
  "leggings": Paint("bicyclist", (52, 52, 62), (0.03, 0.03, 0.034)),
  "leggings blue": Paint("bicyclist", (70, 92, 140), (0.055, 0.075, 0.13)),
  "cycle tyre": Paint("bicyclist", (32, 32, 36), (0.02, 0.02, 0.02)),
  "spokes": Paint("bicyclist", (124, 126, 130), (0.10, 0.10, 0.10)),
  "frame": Paint("bicyclist", (150, 40, 70), (0.12, 0.05, 0.06)),
}  # fmt: skip

SKY, BUILDING, POLE = (CLASSES.index(name) for name in ("sky", "building", "pole"))

NUMBER = {name: i for i, name in enumerate(PAINTS)}

_every = tuple(PAINTS.values())
# The same as arrays, with one row per paint.
KIND = np.array([CLASSES.index(p.kind) for p in _every], np.uint8)
SIM = np.array([p.sim for p in _every], np.float32)
PHOTO = np.array([p.photo for p in _every], np.float32)
TEXTURE = np.array([p.texture for p in _every], np.int32)
ROUGH = np.array([p.rough for p in _every], np.float32)
GLOSS = np.array([p.gloss for p in _every], np.float32)
VEIL = np.array([p.veil for p in _every], np.float32)


def numbers(*names: str) -> tuple[int, ...]:
  """Returns the rows of some paints; raises KeyError for an unknown name."""
  return tuple(NUMBER[name] for name in names)
