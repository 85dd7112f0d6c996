"""The file of a user's trained network, its copy in the run folder, and its digests.

  network.keras   a copy of the file (or network.h5, network/: in the file's own form)
  adapted.keras   the last stage's network, in the same form

Thanks to the copy, a run can be resumed, scored and exported from its run folder alone.
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
  """The config with an absolute model.path: the user's file or, if missing, the run's copy.

  Raises:
    config.UserError: the path is not a network's file, and the run has no copy.
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
  """The config of a run that has begun: model.path is the run's copy if it has one."""
  if not config.model.is_file:
    return config
  kept = _kept(folder.path)
  return _at(config, kept) if kept else find(config, folder)


def run_digests(
  config: config_lib.Config, folder: run_folder.RunFolder
) -> dict[str, dict[str, str]]:
  """{run_folder.NETWORK: {file: MD5}} for a network from a file; else an empty dict.

  Raises:
    config.UserError: see `find`.
  """
  if not config.model.is_file:
    return {}
  return {run_folder.NETWORK: digests(find(config, folder).model.path)}


def digests(path: str) -> dict[str, str]:
  """{file: MD5} of a network's file, or of all files in its folder.

  The name of the file or folder itself does not matter.
  """
  if not files.is_folder(path):
    return {_KEPT: _digest(path)}
  return {
    os.path.relpath(os.path.join(place, name), path): _digest(os.path.join(place, name))
    for place, names in files.walk(path)
    for name in names
  }


def keep(config: config_lib.Config, folder: run_folder.RunFolder) -> config_lib.Config:
  """Copies the network's file into the run folder, whole or not at all.

  Returns:
    The config, with the copy as model.path.

  Raises:
    OSError: the copy cannot be written.
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
    _remove(partial)  # It may be what fills the disk.
    raise
  return _at(config, place)


def adapted(config: config_lib.Config, folder: run_folder.RunFolder) -> str:
  """The path to which the run writes its last stage's network."""
  return folder.join(_ADAPTED + keras_files.ending_of(config.model.path))


def save(network: Any, config: config_lib.Config, folder: run_folder.RunFolder) -> None:
  """Writes a stage's network in the form of the user's file, whole or not at all.

  Args:
    network: has the weights to write, on any number of replicas.
    config: the run's; the architecture is read from `model.path`.
    folder: the run folder.

  Raises:
    OSError: the file cannot be written.
  """
  model = keras_files.read(config.model.path)
  model.set_weights(network.get_weights())
  keras_files.write(model, adapted(config, folder))


def written(folder: run_folder.RunFolder) -> str | None:
  """The path of the network that the run has written; None if there is none."""
  return _named(folder.path, _ADAPTED)


def _kept(folder: str) -> str | None:
  return _named(folder, _KEPT)


def _named(folder: str, stem: str) -> str | None:
  places = (os.path.join(folder, stem + ending) for ending in (".keras", ".h5", ""))
  return next((place for place in places if os.path.lexists(place)), None)


def _at(config: config_lib.Config, path: str) -> config_lib.Config:
  return dataclasses.replace(config, model=dataclasses.replace(config.model, path=path))


def _copy(path: str, place: str) -> None:
  """Copies a file or a folder without shutil.copy*, whose errors name only the source."""
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
