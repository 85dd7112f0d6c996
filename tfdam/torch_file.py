"""Reads the tensors of a file that PyTorch saved, without PyTorch.

`torch.save` writes a pickle that names tensors by their place in raw storages. Since
PyTorch 1.6 both are in a zip archive; before, some pickles were followed by the storages. A
pickle can call anything when it is read. Here it may make tensors and dictionaries only,
and no tensor is larger than its storage.
"""

from __future__ import annotations

import collections
import io
import math
import os
import pickle
import zipfile
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

import numpy as np

# What the older form begins with: this number, and the version of the form.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_TYPES: dict[str, Any] = {
  "FloatStorage": np.dtype("<f4"), "DoubleStorage": np.dtype("<f8"),
  "HalfStorage": np.dtype("<f2"), "LongStorage": np.dtype("<i8"),
  "IntStorage": np.dtype("<i4"), "ShortStorage": np.dtype("<i2"),
  "CharStorage": np.dtype("i1"), "ByteStorage": np.dtype("u1"),
  "BoolStorage": np.dtype("?"),
}  # fmt: skip
_REMEDY = "save the network's state_dict() alone, in float32"
# Where training scripts keep the weights among other things.
_INSIDE = "state_dict"


class _Kind(NamedTuple):
  """A type of storages. Pickles cannot change it, as it has no attributes to set."""

  name: str


class _Storage(NamedTuple):
  key: str
  dtype: np.dtype


class _Tensor(NamedTuple):
  """A view of a storage; offset and strides in values."""

  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def read(file: IO[bytes]) -> dict[str, np.ndarray]:
  """Reads a dictionary of tensors, `state_dict()` of a network as a rule.

  Args:
    file: what `torch.save` wrote; of a dictionary with "state_dict" that is read.

  Returns:
    {name: array} of all tensors, in the file's order.

  Raises:
    OSError: the file cannot be read.
    ValueError: it is not such a file, is damaged, or holds more than tensors.
  """
  try:
    found, storages = _of_zip(file) if zipfile.is_zipfile(file) else _of_pickles(file)
    if isinstance(found, Mapping) and isinstance(found.get(_INSIDE), Mapping):
      found = found[_INSIDE]
    if not isinstance(found, Mapping):
      raise ValueError("it holds no dictionary of tensors")
    tensors = {str(n): t for n, t in found.items() if isinstance(t, _Tensor)}
    return {name: _array(tensor, storages) for name, tensor in tensors.items()}
  except (OSError, ValueError):
    raise
  # Damaged pickles and archives raise many kinds of errors.
  except Exception as error:
    raise ValueError(str(error) or type(error).__name__) from error


class _Rebuild:
  """Makes a _Tensor from the arguments of torch._utils._rebuild_tensor_v2."""

  __slots__ = ()  # So a pickle cannot change it.

  def __call__(
    self, storage: Any, offset: int, shape: Any, strides: Any, *_: Any
  ) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Parameter:
  """Returns the tensor of a torch.nn.Parameter."""

  __slots__ = ()

  def __call__(self, tensor: Any, *_: Any) -> Any:
    return tensor


_ALLOWED: dict[tuple[str, str], Any] = {
  ("collections", "OrderedDict"): collections.OrderedDict,
  ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
  ("torch._utils", "_rebuild_parameter"): _Parameter(),
}


class _Unpickler(pickle.Unpickler):
  """Makes _Tensor in the place of PyTorch's, and refuses everything else.

  Attributes:
    dtypes: {key of a storage: its type}, of all that the pickle refers to.
  """

  def __init__(self, file: IO[bytes]):
    super().__init__(file)
    self.dtypes: dict[str, np.dtype] = {}

  def find_class(self, module: str, name: str) -> Any:
    if module == "torch" and name.endswith("Storage"):
      return _Kind(name)
    if (module, name) not in _ALLOWED:
      raise ValueError(f"it holds {module}.{name}, which is no tensor: {_REMEDY}")
    return _ALLOWED[module, name]

  def persistent_load(self, pid: Any) -> _Storage:
    kind, of, key, *others = pid
    if kind != "storage" or not isinstance(of, _Kind):
      raise ValueError(f"it refers to {kind!r}, which is no storage")
    if of.name not in _TYPES:
      raise ValueError(f"it holds values of torch.{of.name}: {_REMEDY}")
    if len(others) > 2 and others[2] is not None:
      raise ValueError(f"it holds views of storages, as PyTorch had them once: {_REMEDY}")
    self.dtypes[str(key)] = _TYPES[of.name]
    return _Storage(str(key), _TYPES[of.name])


def _of_zip(file: IO[bytes]) -> tuple[Any, dict[str, bytes]]:
  with zipfile.ZipFile(file) as archive:
    names = archive.namelist()
    pickled = next((name for name in names if name.endswith("/data.pkl")), None)
    if pickled is None:
      raise ValueError("the archive has no data.pkl")
    if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
      raise ValueError("the archive is compressed, which PyTorch's are not")
    start = pickled[: -len("data.pkl")]
    if f"{start}byteorder" in names and archive.read(f"{start}byteorder") != b"little":
      raise ValueError("it was written on a machine with another order of bytes")
    folder = f"{start}data/"
    found = _Unpickler(io.BytesIO(archive.read(pickled))).load()
    keys = [n for n in names if n.startswith(folder)]
    return found, {name[len(folder) :]: archive.read(name) for name in keys}


def _of_pickles(file: IO[bytes]) -> tuple[Any, dict[str, bytes]]:
  file.seek(0)
  if (_Unpickler(file).load(), _Unpickler(file).load()) != (_MAGIC, _VERSION):
    raise ValueError("it does not begin as PyTorch's files do")
  machine = _Unpickler(file).load()
  if isinstance(machine, Mapping) and not machine.get("little_endian", True):
    raise ValueError("it was written on a machine with another order of bytes")
  tensors = _Unpickler(file)
  found = tensors.load()
  storages = {}
  end = os.fstat(file.fileno()).st_size
  for key in _Unpickler(file).load():
    count = file.read(8)
    size = int.from_bytes(count, "little") * tensors.dtypes[str(key)].itemsize
    if len(count) < 8 or size > end - file.tell():
      raise ValueError("it ends before its last tensor does")
    storages[str(key)] = file.read(size)
  return found, storages


def _array(tensor: _Tensor, storages: Mapping[str, bytes]) -> np.ndarray:
  values = np.frombuffer(storages[tensor.storage.key], tensor.storage.dtype)
  last = tensor.offset + sum(
    (n - 1) * step for n, step in zip(tensor.shape, tensor.strides)
  )
  lowest = min((tensor.offset, *tensor.shape, *tensor.strides))
  if lowest < 0 or (0 not in tensor.shape and last >= len(values)):
    raise ValueError("a tensor reaches beyond its storage")
  if math.prod(tensor.shape) > len(values):
    raise ValueError("a tensor is larger than its storage")
  width = values.itemsize
  return np.lib.stride_tricks.as_strided(
    values[tensor.offset :], tensor.shape, [width * step for step in tensor.strides]
  ).copy()
