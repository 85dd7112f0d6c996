"""The file of a user's trained network: where a run finds it, and how it tells another one.

  network.keras   the file as it came in (network.h5, network/: the form that it came in)
  adapted.keras   the last stage's network, in the same form

The copy makes a run folder whole: the run goes on, is scored and exported from it alone.
Imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from typing import Any

from tfdam import config as config_lib
from tfdam import files, keras_files, runtime, stored
from tfdam.runs import run_folder

_KEPT, _ADAPTED = "network", "adapted"
_BLOCK = 1 << 20


def find(config: config_lib.Config, folder: run_folder.RunFolder) -> config_lib.Config:
  """The config with model.path absolute: the user's file, or without it the run's copy.

  Raises:
    config.UserError: it is no file of a network, and the run has no copy.
  """
  path = runtime.resolve_path(config.model.path)
  if not os.path.lexists(path):
    kept = _kept(folder.path) or _kept(folder.shared_path)
    if kept:
      return _at(config, kept)
  try:
    keras_files.ending_of(path)
  except config_lib.UserError as error:
    raise config_lib.UserError(f"{error}", "Set model.path.") from error
  return _at(config, path)


def of_run(config: config_lib.Config, folder: run_folder.RunFolder) -> config_lib.Config:
  """The config of a run that has begun: its copy is read, wherever the user's file is."""
  if not config.model.is_file:
    return config
  kept = _kept(folder.path)
  return _at(config, kept) if kept else find(config, folder)


def run_digests(
  config: config_lib.Config, folder: run_folder.RunFolder
) -> dict[str, dict[str, str]]:
  """{run_folder.NETWORK: {file: MD5}} of a network from a file; of any other nothing.

  Raises:
    config.UserError: see `find`.
  """
  if not config.model.is_file:
    return {}
  return {run_folder.NETWORK: digests(find(config, folder).model.path)}


def digests(path: str) -> dict[str, str]:
  """{file: MD5} of a network's file, or of each one in its folder; not by its own name."""
  if not files.is_folder(path):
    return {_KEPT: _digest(path)}
  return {
    os.path.relpath(os.path.join(place, name), path): _digest(os.path.join(place, name))
    for place, names in files.walk(path)
    for name in names
  }


def keep(config: config_lib.Config, folder: run_folder.RunFolder) -> config_lib.Config:
  """Copies the file into the run folder, whole or not at all; the config names the copy.

  Raises:
    OSError: the disk refuses.
  """
  path = config.model.path
  place = folder.join(_KEPT + keras_files.ending_of(path))
  if path == place or (os.path.lexists(place) and digests(place) == digests(path)):
    return _at(config, place)
  partial = f"{place}.partial"
  _remove(partial)
  try:
    with stored.naming(place):
      _copy(path, partial)
    _remove(place)
    os.rename(partial, place)
  except OSError:
    _remove(partial)  # it may be what fills the disk
    raise
  return _at(config, place)


def adapted(config: config_lib.Config, folder: run_folder.RunFolder) -> str:
  """Where the run leaves its last stage's network."""
  return folder.join(_ADAPTED + keras_files.ending_of(config.model.path))


def save(network: Any, config: config_lib.Config, folder: run_folder.RunFolder) -> None:
  """Writes a stage's network in the form that it came in, whole or not at all.

  Args:
    network: with the weights to write, on however many replicas.
    config: of the run; `model.path` has the architecture.

  Raises:
    OSError: the disk refuses.
  """
  model = keras_files.read(config.model.path)
  model.set_weights(network.get_weights())
  keras_files.write(model, adapted(config, folder))


def written(folder: run_folder.RunFolder) -> str | None:
  """The network that the run has left; None: none, or not yet."""
  return _named(folder.path, _ADAPTED)


def _kept(folder: str) -> str | None:
  return _named(folder, _KEPT)


def _named(folder: str, stem: str) -> str | None:
  places = (os.path.join(folder, stem + ending) for ending in (".keras", ".h5", ""))
  return next((place for place in places if os.path.lexists(place)), None)


def _at(config: config_lib.Config, path: str) -> config_lib.Config:
  return dataclasses.replace(config, model=dataclasses.replace(config.model, path=path))


def _copy(path: str, place: str) -> None:
  """Copies a file or a folder; shutil's errors name what is read, or nothing."""
  if files.is_folder(path):
    for folder, names in files.walk(path):
      made = os.path.join(place, os.path.relpath(folder, path))
      os.makedirs(made, exist_ok=True)
      for name in names:
        _copy(os.path.join(folder, name), os.path.join(made, name))
  else:
    with files.open_regular(path) as source, open(place, "wb") as target:
      shutil.copyfileobj(source, target)


def _digest(path: str) -> str:
  digest = hashlib.md5()
  with files.open_regular(path) as file:
    while block := file.read(_BLOCK):
      digest.update(block)
  return digest.hexdigest()


def _remove(place: str) -> None:
  if os.path.isdir(place) and not os.path.islink(place):
    shutil.rmtree(place)
  elif os.path.lexists(place):
    os.remove(place)
