"""What may befall a file's bytes: pure functions of them and of a random generator."""

from __future__ import annotations

import random
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, rng: random.Random) -> bytes:
  """A transfer that ended early."""
  return content[: rng.randrange(max(1, len(content)))]


def cut_header(content: bytes, rng: random.Random) -> bytes:
  """One that ended within the first bytes, where formats keep their sizes."""
  return content[: rng.randrange(min(32, max(1, len(content))))]


def flip(content: bytes, rng: random.Random) -> bytes:
  """One bit of another value."""
  changed = bytearray(content)
  if changed:
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
  return bytes(changed)


def flip_header(content: bytes, rng: random.Random) -> bytes:
  """One bit of the first bytes."""
  changed = bytearray(content)
  if changed:
    changed[rng.randrange(min(64, len(changed)))] ^= 1 << rng.randrange(8)
  return bytes(changed)


def flip_many(content: bytes, rng: random.Random) -> bytes:
  """One bit in a hundred bytes."""
  changed = bytearray(content)
  for _ in range(1 + len(changed) // 100 if changed else 0):
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
  return bytes(changed)


def ones(content: bytes, rng: random.Random) -> bytes:
  """Four bytes of the first ones, where sizes stand, at their largest."""
  at = rng.randrange(min(64, max(1, len(content))))
  return content[:at] + b"\xff" * 4 + content[at + 4 :]


def insert(content: bytes, rng: random.Random) -> bytes:
  """Bytes that do not belong there."""
  at = rng.randrange(len(content) + 1)
  return content[:at] + rng.randbytes(1 + rng.randrange(40)) + content[at:]


def drop(content: bytes, rng: random.Random) -> bytes:
  """A part in the middle is gone."""
  at = rng.randrange(max(1, len(content)))
  return content[:at] + content[at + 1 + rng.randrange(100) :]


def zero(content: bytes, rng: random.Random) -> bytes:
  """A part is zeros, as after a crash of the machine."""
  at = rng.randrange(max(1, len(content)))
  length = min(len(content) - at, 1 + rng.randrange(512))
  return content[:at] + bytes(length) + content[at + length :]


def twice(content: bytes, rng: random.Random) -> bytes:
  """Written again behind itself."""
  return content + content


def trailing(content: bytes, rng: random.Random) -> bytes:
  """Something behind the end."""
  return content + rng.randbytes(100)


def as_text(content: bytes, rng: random.Random) -> bytes:
  """A transfer that took bytes for text of a system with other ends of lines."""
  return content.replace(b"\n", b"\r\n")


MUTATIONS: dict[str, Mutation] = {
  function.__name__: function
  for function in (
    cut, cut_header, flip, flip_header, flip_many, ones, insert, drop, zero, twice,
    trailing, as_text,
  )
}  # fmt: skip
