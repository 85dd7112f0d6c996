"""Reads arrays of HDF5 files after checking them.

An HDF5 file can do more than hold arrays: it can refer to other files (external links,
external storage, virtual data sets), hold Python objects, and unpack data by plugins. Data
sets and weights need none of this, so it is refused.
"""

from __future__ import annotations

import math
import zlib
from typing import BinaryIO

import h5py
import numpy as np

from tfdam import claims, files

_GZIP, _SHUFFLE, _CHECKSUM, _LZF = 1, 2, 3, 32000
_SAFE_FILTERS = {_GZIP, _SHUFFLE, _CHECKSUM, _LZF}
# Chunks may be larger than their data: h5py makes such chunks for arrays that may grow.
_LARGEST_IDLE_CHUNK = 1 << 24
# How a heap of strings begins: a signature, a version and three zeros.
_HEAP = b"GCOL\1\0\0\0"
_BLOCK = 1 << 20
# Levels of nested groups. Each is looked up from the top, and networks have only a few.
_DEEPEST = 200


def read(path: str, names: list[str]) -> list[np.ndarray]:
  """Reads the numeric arrays with these names, such as "train/data".

  Raises:
    config.UserError: `path` is not a file, or an array claims an impossible size.
    Exception: h5py raises many kinds if something is damaged or missing.
  """
  size = _size(path)
  with h5py.File(path, "r") as file:
    return [_checked(path, name, _dataset(file, name), size)[()] for name in names]


def check(path: str) -> None:
  """Checks everything in a file, if it is HDF5, before another library reads it.

  Raises:
    the same errors as `read`.
  """
  with files.open_regular(path) as content:
    if h5py.is_hdf5(path):
      check_stream(path, content)


def check_stream(path: str, content: BinaryIO) -> None:
  """Checks an HDF5 file inside another file, such as an archive.

  Args:
    path: the other file, for errors.
    content: the HDF5 file's bytes.
  """
  size = _check_heaps(content)
  with h5py.File(content, "r") as file:
    names: list[str] = []

    def visit(name: str) -> bool | None:
      names.append(name)
      return name.count("/") > _DEEPEST or None  # True ends the visit.

    if file.visit_links(visit):
      raise ValueError(f"its groups are nested deeper than {_DEEPEST}")
    for name in names:
      if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} leads elsewhere")
      if isinstance(file[name], h5py.Dataset):
        _checked(path, name, _dataset(file, name, "biufV"), size)


def _check_heaps(content: BinaryIO) -> int:
  """Raises ValueError if HDF5 would read for ever; returns the number of bytes.

  Strings are stored in heaps, which are sequences of objects that state their own length.
  HDF5 walks through them, and would loop for ever at free space with a length of 0.
  """
  size = content.seek(0, 2)
  place = 0
  while (place := _find(content, _HEAP, place)) >= 0:
    content.seek(place)
    length = int.from_bytes(content.read(16)[8:], "little")
    end = min(place + length, size)
    at = place + 16
    while at + 16 <= end:
      content.seek(at)
      header = content.read(16)
      number = int.from_bytes(header[:2], "little")
      taken = int.from_bytes(header[8:], "little")
      if not number and not taken:
        raise ValueError(f"the heap at byte {place:,} has free space of no length")
      at += 16 + -(-taken // 8) * 8 if number else taken
    place += len(_HEAP)
  return size


def _find(content: BinaryIO, wanted: bytes, start: int) -> int:
  """The position of the first `wanted` from `start` on; -1 if there is none."""
  content.seek(start)
  before = b""
  while block := content.read(_BLOCK):
    at = (before + block).find(wanted)
    if at >= 0:
      return content.tell() - len(block) - len(before) + at
    before = (before + block)[1 - len(wanted) :]
  return -1


def _size(path: str) -> int:
  with files.open_regular(path) as file:
    return file.seek(0, 2)


def _checked(path: str, name: str, dataset: h5py.Dataset, size: int) -> h5py.Dataset:
  """Returns `dataset` if its claimed size is possible in a file of `size` bytes."""
  claimed = math.prod(dataset.shape) * dataset.dtype.itemsize
  creation = dataset.id.get_create_plist()
  filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
  if not _SAFE_FILTERS.issuperset(filters) or filters.count(_GZIP) > 1:
    raise ValueError(f"{name} is packed by the filters {filters}")
  stored = min(dataset.id.get_storage_size(), size)
  ratio = claims.DEFLATE if {_GZIP, _LZF} & {*filters} else 1
  claims.check(path, f"{name} ({dataset.shape})", claimed, stored, ratio)
  if dataset.chunks:
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if chunk > max(claimed, _LARGEST_IDLE_CHUNK):
      raise ValueError(f"{name} has {claimed:,} bytes, in chunks of {chunk:,}")
    if _GZIP in filters:
      _check_chunks(dataset, chunk, size, 1 << filters.index(_GZIP))
  return dataset


def _dataset(file: h5py.File, name: str, kinds: str = "iuf") -> h5py.Dataset:
  """Finds a data set of numbers that is stored in the file itself.

  Args:
    file: the open file.
    name: path of the data set in it.
    kinds: allowed kinds of NumPy dtypes; bfloat16 is V.
  """
  found = file
  for part in name.split("/"):
    if not isinstance(found, h5py.Group):
      raise ValueError(f"there is no group above '{part}' in {name}")
    if not isinstance(found.get(part, getlink=True), h5py.HardLink):
      raise ValueError(f"{name} leads elsewhere")
    found = found[part]
  if not isinstance(found, h5py.Dataset) or found.shape is None:
    raise ValueError(f"{name} is no array")
  if found.is_virtual or found.external:
    raise ValueError(f"{name} lies in other files")
  if found.dtype.kind not in kinds or found.dtype.names or found.dtype.hasobject:
    raise ValueError(f"{name} is {found.dtype}, no numbers")
  return found


def _check_chunks(dataset: h5py.Dataset, chunk: int, size: int, unpacked: int) -> None:
  """Raises ValueError if a gzipped chunk unpacks to too much, since HDF5 unpacks it all.

  Args:
    dataset: a chunked data set.
    chunk: bytes that a chunk should hold.
    size: bytes of the file.
    unpacked: the bit in a chunk's filter mask that says that it is not gzipped.
  """
  for i in range(dataset.id.get_num_chunks()):
    place = dataset.id.get_chunk_info(i)
    if place.size > size:
      raise ValueError(f"a chunk claims {place.size:,} bytes, of a file of {size:,}")
    if place.filter_mask & unpacked:
      continue
    _, packed = dataset.id.read_direct_chunk(place.chunk_offset)
    # A checksum in the chunk takes four more bytes.
    if len(zlib.decompressobj().decompress(packed, chunk + 5)) > chunk + 4:
      raise ValueError(f"a chunk unpacks to more than its {chunk:,} bytes")
