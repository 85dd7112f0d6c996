"""Damage inside a SavedModel's list of layers that leaves it a protocol buffer.

Its fields that matter here: SavedMetadata.nodes (1), of each SavedObject.metadata (5),
which is JSON.
"""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator

from tests.damaged_inputs import cases, mutations

LAYERS = "keras_metadata.pb"
_NODES, _METADATA = 1, 5
_BYTES = 2  # the type of a field that says how long it is

# (number, type, content) of a message's fields.
_Fields = list[tuple[int, int, bytes]]


def inside_config(place: str, mutate: mutations.Mutation) -> cases.Damage:
  """Damage to the architecture of the network, which is the first node's metadata.

  Args:
    place: of the SavedModel's folder.
  """

  def damage(folder: pathlib.Path, rng: random.Random) -> None:
    path = folder / place / LAYERS
    nodes = _parse(path.read_bytes())
    first = _parse(nodes[0][2])
    changed = [
      (number, kind, mutate(content, rng) if number == _METADATA else content)
      for number, kind, content in first
    ]
    nodes[0] = (_NODES, _BYTES, _packed(changed))
    path.write_bytes(_packed(nodes))

  return damage


def config(path: pathlib.Path) -> bytes:
  """The JSON of the network's architecture."""
  nodes = _parse((path / LAYERS).read_bytes())
  return next(content for number, _, content in _parse(nodes[0][2]) if number == _METADATA)


def _parse(message: bytes) -> _Fields:
  return list(_fields(message))


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
  at = 0
  while at < len(message):
    key, at = _number(message, at)
    if key & 7 == _BYTES:
      size, at = _number(message, at)
      content = message[at : at + size]
      at += size
    else:
      begin = at
      _, at = _number(message, at)
      content = message[begin:at]
    yield key >> 3, key & 7, content


def _packed(fields: _Fields) -> bytes:
  packed = b""
  for number, kind, content in fields:
    packed += _varint(number << 3 | kind)
    packed += (_varint(len(content)) if kind == _BYTES else b"") + content
  return packed


def _number(message: bytes, at: int) -> tuple[int, int]:
  value = shift = 0
  while True:
    byte = message[at]
    value |= (byte & 0x7F) << shift
    at, shift = at + 1, shift + 7
    if byte < 0x80:
      return value, at


def _varint(value: int) -> bytes:
  packed = bytearray()
  while value > 0x7F:
    packed.append(value & 0x7F | 0x80)
    value >>= 7
  return bytes([*packed, value])
