"""What a file of a trained Keras network holds, looked at before Keras reads it.

Keras answers a damaged file, or one of another program, with errors that name neither. What
the file is, and whether it is whole, is found out here: by its content, whatever its name.
Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import io
import os
import zipfile
from typing import Any, TypedDict

import h5py

from tfdam import claims, files, hdf5, stored
from tfdam import config as config_lib
from tfdam.keras_files import errors as keras_errors

# The forms that Keras saves in, by what their names end with; SAVED_MODEL is a folder.
KERAS, HDF5, SAVED_MODEL = ".keras", ".h5", ""
_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
_GRAPH, _LAYERS = "saved_model.pb", "keras_metadata.pb"
_CHUNK = 1 << 20
# Of a file, on all systems.
_LONGEST_NAME = 255
# How other files begin: (bytes, where, what it seems to be).
_OTHERS = (
  (b"version https://git-lfs", 0, "a pointer of Git LFS, not the file: run git lfs pull"),
  (b"TFL3", 4, "a TensorFlow Lite network"),
  (b"\x93NUMPY", 0, "a NumPy array"),
  (b"\x1f\x8b", 0, "packed by gzip: unpack it"),
  (b"\x80", 0, "a pickle (of Python, joblib or PyTorch)"),
  (b"\x78", 0, "packed by zlib, as joblib does"),
  (b"{", 0, "JSON: a network's architecture without its weights"),
  (b"<", 0, "a page of the web"),
)
_ENDINGS = {
  ".onnx": "an ONNX network",
  ".pb": "a graph: give the SavedModel's folder, not a file in it",
  ".pt": "a PyTorch network",
  ".pth": "a PyTorch network",
  ".ckpt": "a checkpoint: weights without a network",
  ".index": "a checkpoint: weights without a network",
}


class _Metadata(TypedDict):
  keras_version: str


class _Config(TypedDict):
  class_name: str


@dataclasses.dataclass(frozen=True)
class Contents:
  """A whole file of a network.

  Attributes:
    ending: its form: KERAS, HDF5 or SAVED_MODEL.
    keras_version: of the Keras that wrote it, such as "2.15.0"; "" where none is said.
    config: the network's architecture, parsed JSON; None in a SavedModel, where it lies in
      a protocol buffer of Keras.
  """

  ending: str
  keras_version: str = ""
  config: Any = None


def ending(path: str) -> str:
  """The form of what is at a path: KERAS, HDF5 or SAVED_MODEL.

  Raises:
    config.UserError: there is no such file, or it is neither.
  """
  if files.is_folder(path):
    _check_folder(path)
    return SAVED_MODEL
  head = _head(path)
  if head.startswith(b"PK"):
    return KERAS
  if head.startswith(b"\x89HDF"):
    return HDF5
  raise keras_errors.no_network(path, _other(path, head))


def look(path: str) -> Contents:
  """Reads and checks all of a file but its arrays' values.

  Raises:
    config.UserError: it is missing, of another kind, damaged, or larger than it can be.
  """
  form = ending(path)
  try:
    if form == KERAS:
      return _look_into_archive(path)
    if form == HDF5:
      return _look_into_hdf5(path)
  except config_lib.UserError:
    raise
  # zipfile, zlib, h5py and JSON raise many kinds of errors, by what is damaged.
  except Exception as error:
    if isinstance(error, OSError) and error.filename:
      raise keras_errors.unreadable(path, error) from error
    raise keras_errors.damaged(path, error) from error
  return Contents(SAVED_MODEL)


def _head(path: str) -> bytes:
  try:
    with files.open_regular(path) as file:
      return file.read(64)
  except (FileNotFoundError, NotADirectoryError) as error:
    folder, name = os.path.split(path)
    near = ""
    if files.is_folder(folder or "."):
      near = config_lib.nearest(name, map(files.shown, files.list_folder(folder or ".")))
    remedy = near.strip() or "Give the path of one."
    raise keras_errors.no_network(path, "is not there", remedy) from error
  except OSError as error:
    raise keras_errors.unreadable(path, error) from error


def _other(path: str, head: bytes) -> str:
  """What a file is that Keras has not saved: "seems to be a NumPy array"."""
  if not head:
    return "is empty"
  known = _ENDINGS.get(os.path.splitext(path)[1].lower())
  for begin, place, kind in _OTHERS:
    if not known and head[place:].startswith(begin):
      known = kind
  return f"seems to be {known}" if known else "is neither a zip archive nor HDF5"


def _check_folder(path: str) -> None:
  names = files.list_folder(path)
  if _GRAPH in names and _LAYERS in names:
    for folder, inside in files.walk(path):
      for name in inside:
        files.check_regular(os.path.join(folder, name))
    return
  networks = [name for name in names if name.endswith((KERAS, HDF5, ".hdf5"))]
  if _GRAPH in names:
    raise keras_errors.no_network(
      path,
      f"holds a SavedModel without its layers (no {_LAYERS}), as tf.saved_model.save and"
      " Keras 3's model.export write it",
    )
  if networks:
    there = files.shown(os.path.join(path, networks[0]))
    said = "is a folder without a SavedModel"
    raise keras_errors.no_network(path, said, f"Did you mean '{there}'?")
  if _CONFIG in names:
    raise keras_errors.no_network(path, "holds an unpacked .keras archive")
  if any(name == "checkpoint" or name.endswith(".index") for name in names):
    raise keras_errors.no_network(path, "holds weights without their network")
  said = f"is a folder without {_GRAPH}"
  raise keras_errors.no_network(path, said, "Give the path of one.")


def _look_into_archive(path: str) -> Contents:
  with files.open_regular(path) as file, zipfile.ZipFile(file) as archive:
    _check_members(path, archive, file.seek(0, 2))
    metadata = stored.parse(archive.read(_METADATA), _Metadata)
    config = stored.parse(archive.read(_CONFIG), _Config)
    # Keras jumps about in the weights, which leaves their checksum out.
    hdf5.check_stream(files.shown(path), io.BytesIO(archive.read(_WEIGHTS)))
    for name in {*archive.namelist()} - {_METADATA, _CONFIG, _WEIGHTS}:
      with archive.open(name) as member:
        while member.read(_CHUNK):
          pass
  return Contents(KERAS, metadata["keras_version"], config)


def _check_members(path: str, archive: zipfile.ZipFile, size: int) -> None:
  """Raises config.UserError unless they are a network's, and can be so large."""
  names, shown = set(archive.namelist()), files.shown(path)
  needed = {_METADATA, _CONFIG, _WEIGHTS}
  if not needed & names:
    raise keras_errors.no_network(path, f"seems to be {_other_archive(names)}")
  if not needed <= names:
    missing = " and no ".join(sorted(needed - names))
    raise keras_errors.no_network(path, f"has no {missing}")
  methods = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: claims.DEFLATE}
  for member in archive.infolist():
    if member.compress_type not in methods:
      raise ValueError(f"{member.filename} is packed by method {member.compress_type}")
    longest = max(len(os.fsencode(part)) for part in member.filename.split("/"))
    if longest > _LONGEST_NAME:  # Keras unpacks some of them
      raise ValueError(f"a member's name has a part of {longest:,} bytes")
    claims.check(
      shown,
      files.shown(member.filename),
      member.file_size,
      min(member.compress_size, size),
      methods[member.compress_type],
      claims.NETWORK,
    )
  total = sum(member.file_size for member in archive.infolist())
  claims.check_memory(shown, "its members", total, claims.NETWORK)


def _other_archive(names: set[str]) -> str:
  if any(name.endswith("data.pkl") for name in names):
    return "a PyTorch network"
  if names and all(name.endswith(".npy") for name in names):
    return "NumPy's arrays"
  if any(name.endswith(_GRAPH) for name in names):
    return "a packed SavedModel: unpack it"
  return "a zip archive of something else"


def _look_into_hdf5(path: str) -> Contents:
  hdf5.check(path)
  with h5py.File(path, "r") as file:
    config = file.attrs.get("model_config")
    version = _text(file.attrs.get("keras_version", ""))
  if config is None:
    raise keras_errors.no_network(
      path, "holds weights alone, or is no file of Keras (it has no model_config)"
    )
  return Contents(HDF5, version, stored.parse(_text(config).encode(), _Config))


def _text(value: Any) -> str:
  if isinstance(value, bytes):
    return value.decode()
  if not isinstance(value, str):
    raise ValueError(f"an attribute is {type(value).__name__}, no text")
  return value
