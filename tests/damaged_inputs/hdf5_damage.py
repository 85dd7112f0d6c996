"""Damage inside HDF5 files of weights that leaves them HDF5."""

from __future__ import annotations

import io
import pathlib
import random
from collections.abc import Callable

import h5py
import numpy as np

from tests.damaged_inputs import cases, mutations

_CONFIG = "model_config"
_DEEP = 2_000


def inside_config(place: str, mutate: mutations.Mutation) -> cases.Damage:
  """Damage to the network's architecture, a text in an attribute."""

  def damage(folder: pathlib.Path, rng: random.Random) -> None:
    with h5py.File(folder / place, "a") as file:
      text = mutate(_bytes(file.attrs[_CONFIG]), rng)
      _write_text(file, _CONFIG, text)

  return damage


def config(path: pathlib.Path) -> bytes:
  """The text of a network's architecture."""
  with h5py.File(path, "r") as file:
    return _bytes(file.attrs[_CONFIG])


def mutation(change: Callable[[h5py.File, list[h5py.Dataset]], None]) -> mutations.Mutation:
  """A change to an open file and its arrays, as one to the file's bytes."""

  def mutate(content: bytes, rng: random.Random) -> bytes:
    held = io.BytesIO(content)
    with h5py.File(held, "a") as file:
      arrays: list[h5py.Dataset] = []

      def visit(name: str, found: object) -> None:
        if isinstance(found, h5py.Dataset) and found.size:
          arrays.append(found)

      file.visititems(visit)
      change(file, arrays)
    return held.getvalue()

  return mutate


def _bytes(text: str | bytes) -> bytes:
  return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _write_text(file: h5py.File, name: str, text: bytes) -> None:
  # Texts of any length end at a NUL.
  file.attrs.create(name, text.replace(b"\0", b"\1"), dtype=h5py.string_dtype())


def _replace(array: h5py.Dataset, values: np.ndarray, **options) -> None:
  parent, name = array.parent, array.name.rpartition("/")[2]
  del parent[name]
  parent.create_dataset(name, data=values, **options)


def _instead(array: h5py.Dataset, link: object) -> None:
  parent, name = array.parent, array.name.rpartition("/")[2]
  del parent[name]
  parent[name] = link


def _filled(value: float):
  def change(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
    for array in arrays:
      array[...] = np.full(array.shape, value, array.dtype)

  return change


def _first(make: Callable[[np.ndarray], np.ndarray]):
  """The first array replaced."""
  return lambda file, arrays: _replace(arrays[0], make(arrays[0][()]))


def _deep(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
  group = file
  for _ in range(_DEEP):
    group = group.create_group("a")


def _cycle(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
  arrays[0].parent["again"] = file["/"]


def _external(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
  array = arrays[0]
  parent, name, shape = array.parent, array.name.rpartition("/")[2], array.shape
  del parent[name]
  size = int(np.prod(shape)) * 4
  parent.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, size)])


def _virtual(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
  array = arrays[0]
  parent, name, shape = array.parent, array.name.rpartition("/")[2], array.shape
  layout = h5py.VirtualLayout(shape, "f4")
  layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape)
  del parent[name]
  parent.create_virtual_dataset(name, layout)


def _claims(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
  array = arrays[0]
  parent, name = array.parent, array.name.rpartition("/")[2]
  del parent[name]
  parent.create_dataset(name, (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))


def _attributes(make: Callable[[object], object]):
  """Every attribute replaced: names of layers and of weights, Keras' version."""

  def change(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
    def each(owner) -> None:
      for name in list(owner.attrs):
        if name != _CONFIG:
          owner.attrs[name] = make(owner.attrs[name])

    each(file)
    file.visititems(lambda _, found: each(found))

  return change


def _attribute(name: str, value: object):
  def change(file: h5py.File, arrays: list[h5py.Dataset]) -> None:
    file.attrs[name] = value

  return change


# {name: change}; what each of them does is right HDF5.
CHANGES = {
  "nan": _filled(np.nan), "infinite": _filled(np.inf), "zeros": _filled(0.0),
  "huge": _filled(3e38), "one_nan": lambda f, a: a[0].write_direct(
    np.where(np.arange(a[0].size).reshape(a[0].shape) == 0, np.nan, a[0][()]).astype("f4")
  ),
  "turned": _first(lambda x: x.T.copy()), "longer": _first(
    lambda x: np.concatenate([x, x])
  ),
  "flat": _first(np.ravel), "one_number": _first(lambda x: np.float32(1)),
  "none": _first(lambda x: x[:0]), "float64": _first(lambda x: x.astype("f8")),
  "float16": _first(lambda x: x.astype("f2")), "int8": _first(lambda x: x.astype("i1")),
  "complex": _first(lambda x: x.astype("c8")), "bool": _first(lambda x: x > 0),
  "text": _first(lambda x: np.array(b"text")), "pair": _first(
    lambda x: np.zeros(x.shape, [("a", "f4"), ("b", "f4")])
  ),
  "references": lambda f, a: _replace(
    a[0], np.full(a[0].shape, f["/"].ref, h5py.ref_dtype), dtype=h5py.ref_dtype
  ),
  "big_endian": _first(lambda x: x.astype(">f4")),
  "gone": lambda f, a: a[0].parent.__delitem__(a[0].name.rpartition("/")[2]),
  "all_gone": lambda f, a: f.clear(),
  "group": lambda f, a: _instead(a[0], h5py.Empty("f4")),
  "soft_link": lambda f, a: _instead(a[0], h5py.SoftLink(a[1].name)),
  "link_to_itself": lambda f, a: _instead(a[0], h5py.SoftLink(a[0].name)),
  "link_to_nothing": lambda f, a: _instead(a[0], h5py.SoftLink("/nothing")),
  "link_elsewhere": lambda f, a: _instead(a[0], h5py.ExternalLink("/etc/other.h5", "/a")),
  "link_to_a_pipe": lambda f, a: _instead(a[0], h5py.ExternalLink("/dev/zero", "/a")),
  "external": _external, "virtual": _virtual, "claims": _claims, "cycle": _cycle,
  "deep": _deep, "many": lambda f, a: [f.create_group(f"g{i}") for i in range(3000)],
  "odd_names": lambda f, a: [
    f.create_group(n) for n in ("a\nb", "\u202eabc", "\x1b[31m", "Z\u00fc", b"caf\xe9")
  ],
  "attributes_empty": _attributes(lambda old: h5py.Empty("S1")),
  "attributes_zero": _attributes(lambda old: 0), "attributes_nan": _attributes(
    lambda old: np.full(3, np.nan)
  ),
  "attributes_text": _attributes(lambda old: "text"),
  "attributes_turned": _attributes(
    lambda old: old[::-1] if isinstance(old, np.ndarray) else old
  ),
  "attributes_twice": _attributes(
    lambda old: np.concatenate([old, old]) if isinstance(old, np.ndarray) else old
  ),
  "attributes_odd": _attributes(lambda old: ["\x1b[31m", "a\nb"]),
  "version_1": _attribute("keras_version", "1.2.2"),
  "version_9": _attribute("keras_version", "9.0.0"),
  "version_digits": _attribute("keras_version", "9" * 5000),
  "version_empty": _attribute("keras_version", ""),
  "version_odd": _attribute("keras_version", "2.\x1b[31m\n"),
  "version_number": _attribute("keras_version", 2.15),
  "backend": _attribute("backend", "theano"), "backend_number": _attribute("backend", 7),
}  # fmt: skip
CHANGES_OF_BYTES: dict[str, mutations.Mutation] = {
  name: mutation(change) for name, change in CHANGES.items()
}
# With these a network is read, and gives no numbers: the error names the layer.
NO_NUMBERS = {"infinite", "huge"}
