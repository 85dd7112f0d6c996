"""Estimates that batches of target images carry with them; never the target's labels."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Guides:
  """Estimates for each of N images of a split, in its order; see tfdam/curriculum/.

  Attributes:
    shares: float32 [N, K], each image's estimated shares of the K classes.
    classes: uint8 [N, L], the classes of each image's landmarks (superpixels); 255 where an
      image has fewer than L.
    packed: each image's map of landmarks, compressed by `pack` to a twentieth.
    size: height and width of the maps, in pixels: data.height and data.width.
  """

  shares: np.ndarray
  classes: np.ndarray
  packed: Sequence[bytes]
  size: tuple[int, int]

  def __len__(self) -> int:
    return len(self.shares)

  def landmarks(self, i: int) -> np.ndarray:
    """Returns uint8 [H, W], the number of each pixel's landmark in image `i`, or 255."""
    return unpack(self.packed[i], self.size, np.uint8)


def pack(numbers: np.ndarray) -> bytes:
  """Compresses a map [H, W] with zlib."""
  return zlib.compress(np.ascontiguousarray(numbers).tobytes(), 1)


def unpack(packed: bytes, size: tuple[int, int], kind: type) -> np.ndarray:
  """Returns the map [H, W] that `pack` was given; `kind` is its dtype."""
  return np.frombuffer(zlib.decompress(packed), kind).reshape(size)
