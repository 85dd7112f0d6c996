"""Repeating noise and patterns, which are made once so that pictures only read them."""

from __future__ import annotations

import functools

import numpy as np

TILE = 128  # texels of a texture, in each direction
# Texels per metre of each texture, in the order of the constants in paints.
SCALE = np.array((3.0, 16.0, 14.0, 7.0, 8.0, 12.0), np.float32)
SKY = 256  # texels of the noise of clouds and twigs


@functools.lru_cache(maxsize=1)
def atlas() -> np.ndarray:
  """Returns all textures in turn, float32 [6 * TILE * TILE], zero mean, unit variance."""
  state = np.random.RandomState(5)
  fine = state.standard_normal((TILE, TILE))
  y, x = np.mgrid[:TILE, :TILE]
  smooth = _octaves(state, TILE, (4, 8, 16), 0.6)
  leaves = _octaves(state, TILE, (8, 16, 32, 64), 0.85)
  stained = smooth * 0.5 + fine * 0.35
  mortar = (y % 8 == 0) | ((x + 8 * (y // 8 % 2)) % 16 == 0)
  joints = (y % 8 == 0) | (x % 8 == 0)
  textures = (
    smooth + 0.15 * fine,  # SMOOTH
    0.7 * fine + 0.5 * smooth,  # GRAIN
    stained - 1.2 * mortar,  # BRICK
    leaves,  # LEAVES
    stained - 1.4 * joints,  # SLABS
    np.sin(2 * np.pi * x / 8) + 0.3 * (fine + smooth),  # RIBS
  )
  level = np.stack([(t - t.mean()) / t.std() for t in textures])
  return np.clip(level, -2.2, 2.2).astype(np.float32).reshape(-1)


@functools.lru_cache(maxsize=1)
def clouds() -> np.ndarray:
  """Returns the noise of clouds, float32 [SKY, SKY], zero mean, unit variance."""
  return _octaves(np.random.RandomState(6), SKY, (3, 6, 12, 24), 0.55).astype(np.float32)


@functools.lru_cache(maxsize=1)
def twigs() -> np.ndarray:
  """Returns how open bare crowns are, float32 [SKY, SKY], zero mean, unit variance."""
  state = np.random.RandomState(7)
  return _octaves(state, SKY, (24, 64, 128), 1.0).astype(np.float32)


@functools.lru_cache(maxsize=4)
def sensor(height: int, width: int) -> np.ndarray:
  """Returns slightly correlated noise, float32 [H + 64, W + 64, 3], unit variance."""
  state = np.random.RandomState(8)
  grey: np.ndarray = state.standard_normal((height + 65, width + 65)).astype(np.float32)
  grey = (grey[:-1, :-1] + grey[1:, :-1] + grey[:-1, 1:] + grey[1:, 1:]) / 2
  colour = state.standard_normal((height + 64, width + 64, 3)).astype(np.float32)
  return grey[..., np.newaxis] * np.float32(0.85) + colour * np.float32(0.53)


@functools.lru_cache(maxsize=4)
def corners(height: int, width: int) -> np.ndarray:
  """Returns squared distances from the centre, 1 at the corners, float32 [H, W, 1]."""
  y = (np.arange(height, dtype=np.float32)[:, np.newaxis] + 0.5) / height * 2 - 1
  x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
  return ((x * x + y * y) / 2)[..., np.newaxis]


def _octaves(
  state: np.random.RandomState, size: int, cells: tuple[int, ...], falloff: float
) -> np.ndarray:
  """Returns smooth noise of several scales, float64 [size, size], with unit variance."""
  total = np.zeros((size, size))
  for i, count in enumerate(cells):
    grid = state.standard_normal((count, count))
    at = np.arange(size) * (count / size)
    low, part = at.astype(int) % count, at % 1
    part = part * part * (3 - 2 * part)
    high = (low + 1) % count
    rows = grid[low] * (1 - part[:, np.newaxis]) + grid[high] * part[:, np.newaxis]
    total += falloff**i * (rows[:, low] * (1 - part) + rows[:, high] * part)
  return (total - total.mean()) / total.std()
