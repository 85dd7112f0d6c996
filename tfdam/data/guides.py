"""What batches of target images carry beside them: estimates, no labels of the target's."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Guides:
  """Of each image of a split, in its order; see tfdam/curriculum/.

  Attributes:
    shares: float32 [N, K], estimated shares of the classes in an image.
    classes: uint8 [N, L], of an image's landmarks; 255 where it has fewer.
    packed: of each image zlib's bytes of its landmarks' map, a twentieth of its size.
    size: height and width of the maps, those of the images that a run resizes to.
  """

  shares: np.ndarray
  classes: np.ndarray
  packed: Sequence[bytes]
  size: tuple[int, int]

  def __len__(self) -> int:
    return len(self.shares)

  def landmarks(self, i: int) -> np.ndarray:
    """uint8 [H, W], the number of the landmark that a pixel belongs to, or 255."""
    return unpack(self.packed[i], self.size, np.uint8)


def pack(numbers: np.ndarray) -> bytes:
  """A map [H, W], as `Guides.packed` has those of landmarks."""
  return zlib.compress(np.ascontiguousarray(numbers).tobytes(), 1)


def unpack(packed: bytes, size: tuple[int, int], kind: type) -> np.ndarray:
  """What `pack` was given."""
  return np.frombuffer(zlib.decompress(packed), kind).reshape(size)
