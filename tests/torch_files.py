"""Writes files as PyTorch's torch.save does, in both of its forms, without PyTorch."""

import collections
import contextlib
import io
import pickle
import sys
import types
import zipfile

import numpy as np

FORMS = ("zip", "pickles")
_TYPES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage",
          "i8": "LongStorage", "u1": "ByteStorage", "b1": "BoolStorage"}  # fmt: skip


def write(path, values, form="zip"):
  """Writes a dictionary; arrays in it, also in inner dictionaries, become tensors."""
  storages = {}
  with _torch() as torch:

    class Pickler(pickle.Pickler):
      def persistent_id(self, found):
        return found.pid if isinstance(found, _Stored) else None

    def pickled(content):
      file = io.BytesIO()
      Pickler(file, 2).dump(content)
      return file.getvalue()

    def tensor(array):
      array = np.asarray(array)
      base = array if array.base is None else array.base
      key = str(len(storages))
      storages[key] = base.size, np.ascontiguousarray(base).tobytes()
      kind = getattr(torch, _TYPES[array.dtype.str[1:]])
      start = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
      steps = tuple(step // array.itemsize for step in array.strides)
      pid = ("storage", kind, key, "cpu", base.size)
      return _Tensor(torch, pid, start // array.itemsize, array.shape, steps)

    def converted(found):
      if isinstance(found, dict):
        return collections.OrderedDict((k, converted(v)) for k, v in found.items())
      return tensor(found) if isinstance(found, np.ndarray) else found

    content = pickled(converted(values))
    if form == "zip":
      with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for key, (_, raw) in storages.items():
          archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", "3\n")
      return str(path)
    with open(path, "wb") as file:
      head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
      file.write(b"".join(pickled(each) for each in head) + content)
      file.write(pickled(list(storages)))
      for count, raw in storages.values():
        file.write(count.to_bytes(8, "little") + raw)
  return str(path)


class _Stored:
  """Stands for a storage; pickled by its name alone."""

  def __init__(self, pid):
    self.pid = pid


class _Tensor:
  """Pickled as PyTorch's tensors are."""

  def __init__(self, torch, pid, offset, shape, strides):
    self._made = (
      torch._utils._rebuild_tensor_v2,
      (_Stored(pid), offset, shape, strides, False, collections.OrderedDict()),
    )

  def __reduce__(self):
    return self._made


@contextlib.contextmanager
def _torch():
  """Modules of PyTorch's names, for what a pickle refers to."""
  torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
  for name in _TYPES.values():
    kind = type(name, (), {"__module__": "torch", "__qualname__": name})
    setattr(torch, name, kind)

  def rebuild():
    raise AssertionError("only named, never called")

  rebuild.__module__, rebuild.__name__ = "torch._utils", "_rebuild_tensor_v2"
  rebuild.__qualname__ = rebuild.__name__
  utils._rebuild_tensor_v2, torch._utils = rebuild, utils
  before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
  sys.modules.update({"torch": torch, "torch._utils": utils})
  try:
    yield torch
  finally:
    for name, module in before.items():
      if module is None:
        del sys.modules[name]
      else:
        sys.modules[name] = module
