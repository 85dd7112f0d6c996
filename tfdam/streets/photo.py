"""The photographic rendering of a street: light, textures, haze, and a camera's faults.

Light and haze are computed once per surface, in linear reflectances. Textures, shadows on
the ground and the camera's effects are computed per pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfdam.streets import canvas as canvas_lib
from tfdam.streets import paints, sketch, textures
from tfdam.streets.dice import Dice

# Unit normals by facing (right, up, along). The rows of SOFT, whose things are round, and
# of SKYWARD and GLOW, which are not lit, are not used.
_NORMALS = np.zeros((10, 3))
_NORMALS[paints.FRONT] = (0, 0, -1)
_NORMALS[paints.LEFT_WALL] = (1, 0, 0)
_NORMALS[paints.RIGHT_WALL] = (-1, 0, 0)
_NORMALS[[paints.GROUND, paints.TOP]] = (0, 1, 0)
_NORMALS[paints.LEFT_ROOF] = (0.6, 0.8, 0)
_NORMALS[paints.RIGHT_ROOF] = (-0.6, 0.8, 0)
# The fraction of the sky that each facing sees.
_OPENNESS = np.array([1, 0.6, 0.6, 0.6, 1.0, 0.65, 1, 0.85, 0.85, 0.95])
_GREY = np.array((0.3, 0.6, 0.1))

# The exposure at which the tone curve ends; larger ones are white.
_WHITE = 1.6


class _Weather(NamedTuple):
  """The light of one picture.

  Attributes:
    sun: direction to the sun, a unit vector.
    sunlight: red, green and blue of the direct light.
    skylight: the same of the diffuse light; their sum lights an open, level surface.
    clouds: the share of the sky that clouds cover.
    sky: brightness of the sky relative to a white surface.
    haze: metres in which two thirds of the contrast are lost.
    fade: the fraction by which colours are paler; below 0, they are stronger.
  """

  sun: np.ndarray
  sunlight: np.ndarray
  skylight: np.ndarray
  clouds: float
  sky: float
  haze: float
  fade: float


class _Ground(NamedTuple):
  """The ground that pixels show, in the rows from `start` on.

  Attributes:
    start: the first row that may show the ground.
    seen: bool [H - start, W], whether a pixel shows the ground.
    right: float32 [H - start, W], its position to the right, in metres.
    along: float32 [H - start, W], its position along the street, in metres.
  """

  start: int
  seen: np.ndarray
  right: np.ndarray
  along: np.ndarray


def render(canvas: canvas_lib.Canvas, seed: int) -> np.ndarray:
  """Renders a street as uint8 [H, W, 3]; `seed` decides light, camera and noise."""
  dice = Dice(seed)
  weather = _weather(dice)
  ground = _ground(canvas)
  factor = _relief(canvas, ground)
  factor[ground.start :] *= _shadows(canvas, weather, ground) * _wear(ground, dice)
  light = _surfaces(canvas, weather)
  radiance = np.take(light, canvas.ids, axis=0)
  radiance *= factor[..., np.newaxis]
  _add_sky(canvas, weather, dice, light, radiance)
  return _develop(radiance, canvas.horizon, dice)


def _weather(dice: Dice) -> _Weather:
  is_overcast = dice.chance(0.4)
  azimuth, elevation = dice.between(0, 2 * math.pi), math.radians(dice.between(16, 55))
  flat = math.cos(elevation)
  direct = dice.between(0.0, 0.15) if is_overcast else dice.between(0.8, 1.6)
  warm = dice.between(0.0, 0.14)
  return _Weather(
    sun=np.array((flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth))),
    sunlight=direct * np.array((1 + warm, 1.0, 1 - 1.5 * warm)),
    skylight=(0.75 if is_overcast else 0.42)
    * np.array((0.96, 1.0, 1.06 if is_overcast else 1.2)),
    clouds=dice.between(0.75, 1.0) if is_overcast else dice.between(0.0, 0.7),
    sky=dice.between(1.2, 2.4) if is_overcast else dice.between(1.1, 2.0),
    haze=dice.between(250, 900),
    fade=dice.between(-0.6, 0.1),
  )


def _surfaces(canvas: canvas_lib.Canvas, weather: _Weather) -> np.ndarray:
  """Returns each polygon's radiance without texture and shadow, float32 [P, 3]."""
  world = canvas.world
  own = world.paints
  cosine = np.maximum(_NORMALS @ weather.sun, 0.0)
  # Round things are always half lit.
  cosine[paints.SOFT] = 0.35 + 0.3 * max(-weather.sun[2], 0.0)
  by_facing = np.outer(cosine, weather.sunlight) + np.outer(_OPENNESS, weather.skylight)
  by_facing[[paints.GLOW, paints.SKYWARD]] = 1.0
  light = paints.PHOTO[own] * by_facing[world.facings] * world.tints[:, np.newaxis]
  light += (paints.GLOSS[own, np.newaxis] * 1.2) * weather.skylight
  light += ((light @ _GREY)[:, np.newaxis] - light) * weather.fade
  np.maximum(light, 0.002, out=light)
  air = 1 - np.exp(-canvas.distance / weather.haze)
  air[world.facings == paints.SKYWARD] = 0.0
  light += (_glow(weather) * 0.4 - light) * air[:, np.newaxis]
  return light.astype(np.float32)


def _glow(weather: _Weather) -> np.ndarray:
  """Returns the colour of the sky at the horizon."""
  return weather.sky * np.array((0.94, 0.97, 1.0))


def _ground(canvas: canvas_lib.Canvas) -> _Ground:
  height, width = canvas.ids.shape
  camera = canvas.world.camera
  start = min(max(int(canvas.horizon - 0.03 * height), 0), height - 1)
  across = np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)
  below = np.arange(start, height, dtype=np.float32)[:, np.newaxis]
  below = below + np.float32(0.5 - canvas.horizon) - np.float32(camera.roll) * across
  along = np.float32(canvas.focal * camera.height) / np.maximum(below, np.float32(0.35))
  right = along * (across / np.float32(canvas.focal) + np.float32(camera.yaw))
  right -= np.float32(0.5 * camera.bend) * along * along
  right += np.float32(camera.side)
  seen = np.take(canvas.world.facings == paints.GROUND, canvas.ids[start:])
  return _Ground(start, seen, right, along)


def _relief(canvas: canvas_lib.Canvas, ground: _Ground) -> np.ndarray:
  """Returns the radiance's factor from textures and dark feet, float32 [H, W]."""
  world, ids = canvas.world, canvas.ids
  height, width = ids.shape
  kind = paints.TEXTURE[world.paints]
  # Upright things are darker at their feet, which less skylight reaches.
  depth = np.where(world.facings == paints.SOFT, 0.45, 0.35)
  depth[(world.facings == paints.SKYWARD) | (world.facings == paints.GROUND)] = 0.0
  slope = depth / np.maximum(canvas.bottom - canvas.top, 1.0)
  level = 1.0 + 0.4 * depth + slope * canvas.top
  # A texel's size in pixels depends on the distance. Texels below a pixel average out.
  step = textures.SCALE[kind] * canvas.distance / canvas.focal
  rough = paints.ROUGH[world.paints] / np.sqrt(np.maximum(step, 1.0))
  tables = np.stack([step, np.arange(len(kind)) * 37 % 1021, rough, level, slope], 1)
  own = np.take(tables.astype(np.float32), ids, axis=0)
  rows = np.arange(height, dtype=np.float32)[:, np.newaxis]
  across = own[..., 0] * np.arange(width, dtype=np.float32) + own[..., 1]
  down = own[..., 0] * rows + own[..., 1]
  scale = np.take(textures.SCALE[kind], ids[ground.start :])
  np.copyto(across[ground.start :], ground.right * scale, where=ground.seen)
  np.copyto(down[ground.start :], ground.along * scale, where=ground.seen)
  texel = down.astype(np.int32)
  texel &= textures.TILE - 1
  texel *= textures.TILE
  column = across.astype(np.int32)
  column &= textures.TILE - 1
  texel += column
  texel += np.take((kind * textures.TILE**2).astype(np.int32), ids)
  factor = np.take(textures.atlas(), texel)
  factor *= own[..., 2]
  factor += 1.0
  nook = own[..., 3] - own[..., 4] * rows
  factor *= np.maximum(nook, np.float32(0.3), out=nook)
  return np.maximum(factor, np.float32(0.12), out=factor)


def _shadows(
  canvas: canvas_lib.Canvas, weather: _Weather, ground: _Ground
) -> np.ndarray:  # fmt: skip
  """Returns the share of light that reaches the ground, float32 [rows, W] or [1].

  It is 1 for pixels that do not show the ground.
  """
  height, width = canvas.ids.shape
  casters, sun = canvas.world.casters, weather.sun
  dark = weather.skylight.sum() / (weather.sunlight + weather.skylight).sum()
  if not len(casters) or dark > 0.8:
    return np.ones(1, np.float32)
  run = -sun[[0, 2]] / sun[1]  # length of a shadow per metre of height
  ends = casters[:, :4].reshape(-1, 2, 2)
  low = ends + casters[:, 4, np.newaxis, np.newaxis] * run
  high = ends + casters[:, 5, np.newaxis, np.newaxis] * run
  points = np.zeros((len(casters), 4, 3))
  points[:, :2, ::2], points[:, 2:, ::2] = low, high[:, ::-1]
  np.maximum(points[..., 2], sketch.NEAREST, out=points[..., 2])
  columns, rows, _, _ = canvas_lib.project(
    canvas.world.camera, points.reshape(-1, 3), height, width
  )
  outlines = np.stack([columns, rows - ground.start], 1).reshape(len(casters), 8)
  beside = (columns.reshape(-1, 4).max(1) < 0) | (columns.reshape(-1, 4).min(1) > width)
  mask = Image.new("L", (width, height - ground.start), 255)
  pen, fill = ImageDraw.Draw(mask), int(255 * dark)
  for outline in outlines[~beside].tolist():
    pen.polygon(outline, fill=fill)
  mask = mask.filter(ImageFilter.BoxBlur(height / 200))
  share = np.asarray(mask, np.float32) * np.float32(1 / 255)
  share[~ground.seen] = 1.0
  return share


def _wear(ground: _Ground, dice: Dice) -> np.ndarray:
  """Returns a factor for stains and wheel tracks on the ground, float32 [rows, W]."""
  strength = np.float32(dice.between(0.04, 0.18))
  texel = (ground.along * np.float32(0.9)).astype(np.int32)
  texel &= textures.TILE - 1
  texel *= textures.TILE
  column = (ground.right * np.float32(5.0)).astype(np.int32)
  column += int(dice.between(0, 90))
  column &= textures.TILE - 1
  texel += column
  wear = np.take(textures.atlas(), texel)
  wear *= strength * ground.seen
  wear += 1.0
  return wear


def _add_sky(
  canvas: canvas_lib.Canvas, weather: _Weather, dice: Dice, light: np.ndarray,
  radiance: np.ndarray,
) -> None:  # fmt: skip
  """Paints the sky, which also shines through bare trees."""
  world = canvas.world
  height, width = canvas.ids.shape
  end = int(min(max(canvas.horizon + height * 0.12, 1), height))
  ids = canvas.ids[:end]
  share = np.maximum(paints.VEIL, paints.KIND == paints.SKY)
  share = np.take(share[world.paints], ids).reshape(-1)
  pixels = np.flatnonzero(share)
  share = share[pixels]
  rows = pixels // width
  columns = pixels - rows * width
  # The sky is bluer upwards. Clouds are where a smooth noise exceeds a level, which decides
  # their share. Rows near the horizon show more distant clouds, which are flatter.
  up = np.linspace(1.0, 0.0, end)[:, np.newaxis]
  zenith = paints.PHOTO[world.paints[0]] * weather.sky
  blue = (_glow(weather) * (1 - 0.85 * up) + zenith * 0.85 * up).astype(np.float32)
  white = (_glow(weather) * (1.15 + 0.1 * up)).astype(np.float32) - blue
  mask = textures.SKY - 1
  down = (dice.between(0, 256) + np.linspace(0, 150, end)).astype(int) & mask
  across = (dice.between(0, 256) + np.linspace(0, 170, width)).astype(int) & mask
  cover = np.take(textures.clouds(), down[rows] * textures.SKY + across[columns])
  cover += np.float32((weather.clouds - 0.5) * 3)
  np.clip(cover, 0, 1, out=cover)
  sky = np.take(white, rows, axis=0)
  sky *= cover[:, np.newaxis]
  sky += np.take(blue, rows, axis=0)
  flat = radiance.reshape(-1, 3)
  veiled = np.flatnonzero(share < 1)
  if veiled.size:
    # Twigs are a few thousandths of the picture's height thick, at any size.
    grain = 200 / height
    texel = ((rows[veiled] * grain).astype(int) & mask) * textures.SKY
    texel += (columns[veiled] * grain).astype(int) & mask
    part = np.take(textures.twigs(), texel)
    part = np.clip(share[veiled] * (0.75 + 0.6 * part), 0, 0.95)[:, np.newaxis]
    wall = np.take(canvas.behind.reshape(-1), pixels[veiled])
    through = np.where(wall[:, np.newaxis] > 0, light[wall], sky[veiled])
    twig = flat[pixels[veiled]]
    sky[veiled] = twig + (through - twig) * part
  flat[pixels] = sky


def _develop(radiance: np.ndarray, horizon: float, dice: Dice) -> np.ndarray:
  """Applies the camera: exposure, colour cast, softness, vignette and noise."""
  height, width, _ = radiance.shape
  # The light meter uses the part below the horizon, with a random error.
  middle = radiance[min(max(int(horizon), 0), height - 8) :: 4, ::4, 1].mean()
  exposure = 0.055 * 4.2 ** dice.unit() / max(float(middle), 1e-3)
  casts = (1 + dice.between(-0.07, 0.06), 1.0, 1 + dice.between(-0.08, 0.09))
  contrast, gamma = dice.between(1.0, 1.5), dice.between(0.42, 0.5)
  lift = dice.between(0.0, 0.05)
  # Square roots keep dark shades distinct in 8 bits; the curve maps roots to tones.
  levels = np.linspace(0, 1, 256) ** 2 * _WHITE
  tones = np.minimum(np.outer(casts, levels), 1.0) ** gamma
  tones = lift + (1 - lift) * (0.5 + (tones - 0.5) * contrast)
  curves = np.clip(255 * tones, 0, 255).astype(np.uint8).reshape(-1)
  radiance *= np.float32(exposure / _WHITE)
  np.minimum(radiance, 1.0, out=radiance)
  np.sqrt(radiance, out=radiance)
  radiance *= 255
  blur = dice.between(0.001, 0.003) * math.sqrt(height * width)
  picture = Image.fromarray(radiance.astype(np.uint8)).filter(ImageFilter.BoxBlur(blur))
  out = np.asarray(picture.point(curves.tolist()), np.float32)
  out *= 1 - np.float32(dice.between(0.05, 0.3)) * textures.corners(height, width)
  y, x = int(dice.between(0, 64)), int(dice.between(0, 64))
  noise = textures.sensor(height, width)[y : y + height, x : x + width]
  out += noise * np.float32(dice.between(0.8, 3.2))
  np.clip(out, 0, 255, out=out)
  return out.astype(np.uint8)
