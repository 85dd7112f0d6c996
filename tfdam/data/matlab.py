"""Reads arrays from MATLAB files with SciPy, once the sizes that they claim are checked."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import scipy.io

from tfdam import claims, files
from tfdam.data import examples

# What whosmat calls arrays of numbers. Other kinds may claim any size, or hold objects.
_NUMBERS = frozenset(
  [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
  + ["single", "double", "logical"]
)
_HEADER, _TAG = 128, 8
_VERSION_5, _PACKED = 0x0100, 15


def read(path: str, names: Sequence[str]) -> tuple[dict[str, np.ndarray], str]:
  """Reads variables that are arrays of numbers.

  Returns:
    {name: array}, and the file's MD5.

  Raises:
    config.UserError: `path` is no file, or claims more than it can hold.
    KeyError: a variable is missing.
    Exception: the file is damaged; SciPy raises many types.
  """
  with files.open_regular(path) as file:
    claims.check_memory(path, "content", file.seek(0, 2))
    file.seek(0)
    content = file.read()
  # From a BytesIO, SciPy cannot read more than the file holds.
  unpacked = io.BytesIO(_unpacked(path, content))
  for name, shape, kind in scipy.io.whosmat(unpacked):
    if name in names:
      if kind not in _NUMBERS:
        raise ValueError(f"{name} is of the kind {kind}; expected numbers")
      # At least one byte per number: MATLAB stores small numbers in small types.
      claims.check(path, f"{name} {shape}", math.prod(shape), unpacked.getbuffer().nbytes)
  variables = scipy.io.loadmat(unpacked, variable_names=list(names))
  return {name: np.asarray(variables[name]) for name in names}, examples.md5(content)


def _unpacked(path: str, content: bytes) -> bytes:
  """Decompresses the variables of a version 5 file; other versions are not changed."""
  order = "<" if content[126:128] == b"IM" else ">"
  if content[124:126] != struct.pack(f"{order}H", _VERSION_5):
    return content
  parts, place, total = [content[:_HEADER]], _HEADER, 0
  while place + _TAG <= len(content):
    kind, size = struct.unpack_from(f"{order}II", content, place)
    claims.check(path, "a variable", size, len(content) - place - _TAG)
    element = content[place : place + _TAG + size]
    place += len(element)
    if kind == _PACKED:
      stream = zlib.decompressobj()
      tag = stream.decompress(element[_TAG:], _TAG)
      _, size = struct.unpack(f"{order}II", tag)
      claims.check(path, "a variable", size, len(element), claims.DEFLATE)
      # One byte more than claimed, to see whether there is more.
      element = tag + stream.decompress(stream.unconsumed_tail, size + 1)
      if len(element) != _TAG + size:
        raise ValueError(f"a variable claims {size:,} bytes and has another number")
    total += len(element)
    claims.check_memory(path, "variables", total)
    parts.append(element)
  return b"".join(parts)
