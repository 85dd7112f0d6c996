"""Damage inside zip archives that keeps their checksums, and claims of zip archives."""

from __future__ import annotations

import io
import pathlib
import random
import struct
import warnings
import zipfile
from collections.abc import Iterable

from tests.damaged_inputs import cases, mutations

_DIRECTORY, _LOCAL, _END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
_WEIGHTS = "model.weights.h5"
_MANY = 20_000
# Of one member, deflated to a thousandth.
_BOMB = 1 << 28


def inside(member: str) -> cases.Rewrite:
  """Damage to what one member holds, packed anew."""

  def rewrite(place: str, mutate: mutations.Mutation) -> cases.Damage:
    def damage(folder: pathlib.Path, rng: random.Random) -> None:
      path = folder / place
      content = path.read_bytes()
      path.write_bytes(changed(content, member, mutate(read(content, member), rng)))

    return damage

  return rewrite


def read(content: bytes, member: str) -> bytes:
  with zipfile.ZipFile(io.BytesIO(content)) as archive:
    return archive.read(member)


def changed(content: bytes, member: str, new: bytes | None) -> bytes:
  """The archive with a member of other content, or without it."""
  with zipfile.ZipFile(io.BytesIO(content)) as archive:
    found = [(name, archive.read(name)) for name in archive.namelist()]
  return _packed(
    (name, new if name == member else old)
    for name, old in found
    if name != member or new is not None
  )


def _packed(
  members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_STORED
) -> bytes:
  packed = io.BytesIO()
  with zipfile.ZipFile(packed, "w", method) as archive:
    for name, content in members:
      archive.writestr(name, content)
  return packed.getvalue()


def _with(members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED):
  """More members behind those that are there, of the same names or not."""

  def mutate(content: bytes, rng: random.Random) -> bytes:
    packed = io.BytesIO(content)
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "a", method) as archive:
      warnings.simplefilter("ignore")  # of names that are there
      for name, added in members:
        archive.writestr(name, added)
    return packed.getvalue()

  return mutate


def _packed_by(method: int):
  def mutate(content: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      found = [(name, archive.read(name)) for name in archive.namelist()]
    return _packed(found, method)

  return mutate


def _a_link(content: bytes, rng: random.Random) -> bytes:
  """A member that unpacks to a link out of the folder."""
  packed = io.BytesIO(content)
  with zipfile.ZipFile(packed, "a") as archive:
    member = zipfile.ZipInfo("assets/link")
    member.external_attr = 0o120777 << 16
    archive.writestr(member, "/etc")
  return packed.getvalue()


def _field(mark: bytes, at: int, form: str, value: int, nth: int = 0):
  """A number in one of the archive's own records, which begin with `mark`."""

  def mutate(content: bytes, rng: random.Random) -> bytes:
    place = -1
    for _ in range(nth + 1):
      place = content.index(mark, place + 1)
    packed = struct.pack(f"<{form}", value)
    return content[: place + at] + packed + content[place + at + len(packed) :]

  return mutate


def _chain(*mutate_each: mutations.Mutation) -> mutations.Mutation:
  def mutate(content: bytes, rng: random.Random) -> bytes:
    for one in mutate_each:
      content = one(content, rng)
    return content

  return mutate


def _zip64(content: bytes, rng: random.Random) -> bytes:
  """Sizes of 2^60 bytes, in the field that archives above 4 GiB have."""
  place = content.rindex(_DIRECTORY)
  name = struct.unpack_from("<H", content, place + 28)[0]
  extra = struct.pack("<HHQQ", 1, 16, 1 << 60, 1 << 60)
  entry = bytearray(content[place : place + 46 + name])
  struct.pack_into("<II", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
  old = struct.unpack_from("<H", entry, 30)[0]
  struct.pack_into("<H", entry, 30, len(extra))
  rest = content[place + 46 + name + old :]
  end = rest.index(_END)
  size = struct.unpack_from("<I", rest, end + 12)[0] + len(extra) - old
  rest = rest[: end + 12] + struct.pack("<I", size) + rest[end + 16 :]
  return content[:place] + bytes(entry) + extra + rest


def _same_bytes(content: bytes, rng: random.Random) -> bytes:
  """Entries that all lead to one member's bytes: few of them claim much."""
  place, end = content.rindex(_DIRECTORY), content.rindex(_END)
  entry = content[place:end]
  count, size = struct.unpack_from("<HH", content, end + 10)[0], len(entry)
  total = struct.unpack_from("<I", content, end + 12)[0]
  more = 1000
  tail = bytearray(content[end:])
  struct.pack_into("<HH", tail, 8, count + more, count + more)
  struct.pack_into("<I", tail, 12, total + more * size)
  return content[:end] + entry * more + bytes(tail)


# {name: function of the archive's bytes}.
ARCHIVES: dict[str, mutations.Mutation] = {
  "config_twice": _with([("config.json", b"{}")]),
  "weights_twice": _with([(_WEIGHTS, b"text")]),
  "metadata_twice": _with([("metadata.json", b'{"keras_version": "9.9.9"}')]),
  "same_twice": lambda c, _: _with([("config.json", read(c, "config.json"))])(c, _),
  "up": _with([("../../outside.txt", b"x")]), "absolute": _with([("/etc/outside", b"x")]),
  "up_in_assets": _with([("assets/", b""), ("assets/../../outside", b"x")]),
  "backslash": _with([("assets\\..\\..\\outside", b"x")]), "link": _a_link,
  "folder_as_config": lambda c, _: _with([("config.json/", b"")])(
    changed(c, "config.json", None), _
  ),
  "encrypted": _chain(_field(_DIRECTORY, 8, "H", 1), _field(_LOCAL, 6, "H", 1)),
  "encrypted_strongly": _field(_DIRECTORY, 8, "H", 0x41),
  "encrypted_names": _field(_DIRECTORY, 8, "H", 0x2001),
  "zip64": _zip64, "zip64_mark": _field(_DIRECTORY, 42, "I", 0xFFFFFFFF),
  "huge": _field(_DIRECTORY, 24, "I", 0xFFFFFFFE), "bomb": _with([("zeros", bytes(_BOMB))]),
  "packed_huge": _field(_DIRECTORY, 20, "I", 0xFFFFFFFE),
  "smaller": _field(_DIRECTORY, 24, "I", 3), "offset": _field(_DIRECTORY, 42, "I", 1 << 31),
  "version": _field(_DIRECTORY, 6, "H", 99), "date": _field(_DIRECTORY, 14, "H", 0),
  "method": _field(_DIRECTORY, 10, "H", 99), "checksum": _field(_DIRECTORY, 16, "I", 7),
  "disk": _field(_END, 4, "H", 3), "entries": _field(_END, 10, "H", 0xFFFF),
  "directory": _field(_END, 16, "I", 0xFFFFFFFF), "comment": _field(_END, 20, "H", 0xFFFF),
  "same_bytes": _same_bytes, "prefixed": lambda c, _: b"#!/bin/sh\n" + c,
  "many": _with([(f"assets/{i}", b"") for i in range(_MANY)], zipfile.ZIP_STORED),
  "long_name": _with([("assets/" + "a" * 60_000, b"x")]),
  "odd_names": _with(
    [(name, b"x") for name in ("a\nb", "\u202eabc", "\x1b[31m", "Z\u00fc", " ")]
  ),
  "nul_name": _chain(_with([("assets/aXb", b"x")]),
                     lambda c, _: c.replace(b"assets/aXb", b"assets/a\0b")),
  "no_utf8_name": _chain(_with([("assets/\u00fc", b"x")]),
                         lambda c, _: c.replace(b"assets/\xc3\xbc", b"assets/\xc3\xff")),
  "deflated": _packed_by(zipfile.ZIP_DEFLATED), "bzip2": _packed_by(zipfile.ZIP_BZIP2),
  "lzma": _packed_by(zipfile.ZIP_LZMA),
  "within_a_folder": lambda c, _: _packed(
    (f"network/{n}", read(c, n)) for n in ("config.json", "metadata.json", _WEIGHTS)
  ),
  "within_an_archive": lambda c, _: _packed([("network.keras", c)]),
  "no_members": lambda c, _: _packed([]),
  **{f"without_{name}": (lambda c, _, name=name: changed(c, name, None))
     for name in ("config.json", "metadata.json", _WEIGHTS)},
}  # fmt: skip
# Those that hold the same network.
HARMLESS = {"deflated", "same_twice", "prefixed", "date"}
