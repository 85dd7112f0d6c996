"""Checks the content of a Keras network's file before Keras reads it.

For a damaged file, or one of another program, Keras raises errors that do not say so. This
module finds out what a file is, and whether it is whole, from its content and not its name.
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

# The forms in which Keras saves, by the endings of their names; SAVED_MODEL is a folder.
KERAS, HDF5, SAVED_MODEL = ".keras", ".h5", ""
_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
_GRAPH, _LAYERS = "saved_model.pb", "keras_metadata.pb"
_CHUNK = 1 << 20
# Bytes of the longest file name on all systems.
_LONGEST_NAME = 255
# How files of other programs begin: (bytes, offset, what the file seems to be).
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
  """What a checked file of a network holds.

  Attributes:
    ending: its form: KERAS, HDF5 or SAVED_MODEL.
    keras_version: version of the Keras that wrote it, such as "2.15.0"; "" if unknown.
    config: the network's architecture, parsed JSON; None for a SavedModel, which has it in
      a protocol buffer.
  """

  ending: str
  keras_version: str = ""
  config: Any = None


def ending(path: str) -> str:
  """The form of what is at a path: KERAS, HDF5 or SAVED_MODEL.

  Raises:
    config.UserError: there is no such file, or it is none of these.
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
  """Reads and checks everything in a file but the values of its arrays.

  Raises:
    config.UserError: it is missing, of another kind, damaged, or claims impossible sizes.
  """
  form = ending(path)
  try:
    if form == KERAS:
      return _look_into_archive(path)
    if form == HDF5:
      return _look_into_hdf5(path)
  except config_lib.UserError:
    raise
  # zipfile, zlib, h5py and JSON raise many kinds of errors for damaged files.
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
  """Guesses what another program's file is, such as "seems to be a NumPy array"."""
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
    # Keras seeks in the weights, so the archive's checksum of them is not checked there.
    hdf5.check_stream(files.shown(path), io.BytesIO(archive.read(_WEIGHTS)))
    for name in {*archive.namelist()} - {_METADATA, _CONFIG, _WEIGHTS}:
      with archive.open(name) as member:
        while member.read(_CHUNK):
          pass
  return Contents(KERAS, metadata["keras_version"], config)


def _check_members(path: str, archive: zipfile.ZipFile, size: int) -> None:
  """Raises config.UserError unless the members are a network's, of possible sizes."""
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
    if longest > _LONGEST_NAME:  # Keras unpacks some members into files.
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
