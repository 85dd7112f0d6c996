"""Reads a user's trained Keras network from a file, and writes one in the same form.

`tf.keras` is Keras 2 on every stack. Files of Keras 3 are read by `keras`, which is Keras 3
only with TensorFlow 2.21. Networks are not compiled, and no code in a file is run.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from absl import logging

from tfdam import config as config_lib
from tfdam import files, memory, stored
from tfdam.keras_files import configs as keras_configs
from tfdam.keras_files import contents as keras_contents
from tfdam.keras_files import errors as keras_errors

# The names in a SavedModel's folder.
_SAVED_MODEL = {
  "assets", "fingerprint.pb", "keras_metadata.pb", "saved_model.pb", "variables"
}  # fmt: skip


def keras_of(model: Any) -> str:
  """Which Keras a network belongs to, "2" or "3"; imports neither.

  Raises:
    config.UserError: it is not a Keras network.
  """
  for kind in type(model).__mro__:
    package = kind.__module__.partition(".")[0]
    if kind.__name__ == "Model" and package in ("keras", "tf_keras"):
      return "2" if package == "tf_keras" else sys.modules["keras"].__version__[0]
  raise config_lib.UserError(
    f"The network is a {type(model).__module__}.{type(model).__qualname__}; expected a"
    " tf.keras.Model or keras.Model. Read its file with tf.keras.models.load_model."
  )


def ending_of(path: str) -> str:
  """The usual ending of the names of files in this file's form.

  Returns:
    ".keras", ".h5", or "" for a SavedModel folder, found from the content, not the name.

  Raises:
    config.UserError: there is no such file, or it holds no network.
  """
  return keras_contents.ending(os.fspath(path))


def read(path: str) -> Any:
  """Reads a network from a file or folder that Keras saved, without compiling it.

  Args:
    path: a .keras archive or a .h5 file of Keras 2 or 3, or a SavedModel folder of Keras 2.
      The kind of a file is found from its content.

  Returns:
    A `tf.keras.Model`, or a `keras.Model` of Keras 3, as it was when it was saved.

  Raises:
    config.UserError: there is no such file; it is damaged, unsafe, of another program, or
      of a Keras version that is not installed; or its layers are not registered.
  """
  path = os.fspath(path)
  found = keras_contents.look(path)
  keras = _keras(path, found.keras_version)
  version, configs = found.keras_version, [found.config]
  if found.ending == keras_contents.SAVED_MODEL:
    version, configs = _saved_model(keras, path)
  custom: dict[str, Any] = {}
  for config in configs:
    custom.update(keras_configs.check(path, config, _finder(keras)))
  try:
    with _quiet(), _linked(path, found.ending) as link:
      model = keras.models.load_model(link, custom, compile=False, safe_mode=True)
  except Exception as error:  # Keras raises errors of every kind.
    if isinstance(error, OSError) and error.filename:
      raise keras_errors.unreadable(path, error) from error
    raise keras_errors.refused(path, version, _version(keras), error) from error
  _check_network(path, version, keras, model)
  return model


def write(model: Any, path: str) -> None:
  """Saves a network by its own Keras, whole or not at all.

  Args:
    model: a `tf.keras.Model`, or a `keras.Model` of Keras 3.
    path: a file that ends with .keras, .h5 or .hdf5; any other path is a SavedModel folder,
      which only Keras 2 can write.

  Raises:
    config.UserError: it is not a Keras network, or cannot be saved in that form.
    OSError: the file cannot be written.
  """
  path, version = os.path.abspath(os.fspath(path)), keras_of(model)
  stem, ending = os.path.splitext(path)
  is_file = ending in (keras_contents.KERAS, keras_contents.HDF5, ".hdf5")
  if not is_file and version == "3":
    raise config_lib.UserError(
      f"Keras 3 saves no SavedModel that can be read again; expected a path that ends with"
      f" .keras or .h5, not {files.shown(path)}. Save it as {files.shown(stem)}.keras."
    )
  os.stat(os.path.dirname(path))  # Raises if it is missing; Keras may silently make it.
  name = os.path.basename(f"{stem}.partial{ending}")
  place = stored.replacing(path, name) if is_file else _replacing_folder(path)
  with place as partial:
    try:
      with _quiet():
        model.save(partial)
    except Exception as error:
      full = keras_errors.of_disk(path, error)
      if full:
        raise full from error
      if files.problem(error) or memory.shortage(error):
        raise
      why = keras_errors.reason(error)
      raise config_lib.UserError(
        f"The network cannot be saved as {files.shown(path)} ({why}). Save it in another"
        " form (.keras, .h5, or a folder), or give its layers a get_config()."
      ) from error
    _sync(partial)


@contextlib.contextmanager
def _replacing_folder(path: str) -> Iterator[str]:
  """Yields a new folder, which then becomes `path`; only a SavedModel may be replaced."""
  is_there = os.path.lexists(path)
  is_folder = os.path.isdir(path) and not os.path.islink(path)
  if is_there and not (is_folder and {*files.list_folder(path)} <= _SAVED_MODEL):
    raise config_lib.UserError(
      f"{files.shown(path)} is there, and no SavedModel of Keras; expected no folder there"
      " or one to replace. Choose another, or a path that ends with .keras."
    )
  partial, former = f"{path}.partial", f"{path}.former"
  with stored.naming(path, partial):
    shutil.rmtree(partial, ignore_errors=True)  # A killed process may have left it.
    try:
      yield partial
      if is_there:
        shutil.rmtree(former, ignore_errors=True)
        os.rename(path, former)
      try:
        os.rename(partial, path)
      except OSError:
        if is_there:
          os.rename(former, path)
        raise
    finally:
      shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(former, ignore_errors=True)


def _sync(path: str) -> None:
  """Flushes a file, or all files of a folder, to the disk before it is renamed."""
  places = [path] if os.path.isfile(path) else []
  for folder, _, names in os.walk(path):
    places += [os.path.join(folder, name) for name in names]
  for place in places:
    with open(place, "rb") as file:
      os.fsync(file.fileno())


def _keras(path: str, version: str) -> Any:
  """The module that reads files of this Keras version.

  Raises:
    config.UserError: it is not installed.
  """
  import tensorflow as tf

  major = version.partition(".")[0]
  if major in ("", "2"):
    return tf.keras
  if major != "3":
    raise config_lib.UserError(
      f"{files.shown(path)} says that Keras '{keras_errors.short(version)}' wrote it;"
      " expected Keras 2 or 3. Read it with a Keras of its time, and save it with Keras 2."
    )
  import keras

  if not keras.__version__.startswith("3."):
    raise keras_errors.of_another_keras(path, version, _version(tf.keras))
  if keras.config.backend() != "tensorflow":
    raise config_lib.UserError(
      f"{files.shown(path)} is a network of Keras 3, which computes with"
      f" {keras.config.backend()} here; expected tensorflow. Set KERAS_BACKEND=tensorflow"
      " before the program starts."
    )
  return keras


def _package(keras: Any) -> str:
  """The package of a Keras module: that of `tf.keras` is "keras" or "tf_keras"."""
  return keras.Model.__module__.partition(".")[0]


def _version(keras: Any) -> str:
  return sys.modules[_package(keras)].__version__


def _finder(keras: Any) -> Callable[[str], Any]:
  """A function that finds what the user registered, by a name with or without package."""
  parts = ("activations", "constraints", "initializers", "layers", "regularizers")

  def find(name: str) -> Any:
    found = keras.saving.get_registered_object(name)
    if found is None and not any(hasattr(getattr(keras, part), name) for part in parts):
      registered = keras.saving.get_custom_objects()
      same = [known for known in registered if known.endswith(f">{name}")]
      found = registered[same[0]] if len(same) == 1 else None
    return found

  return find


def _saved_model(keras: Any, path: str) -> tuple[str, list[Any]]:
  """Returns (TensorFlow's version, which is also Keras 2's, configs) of a SavedModel."""
  from tensorflow.core.protobuf import saved_model_pb2

  protocol = importlib.import_module(f"{_package(keras)}.protobuf.saved_metadata_pb2")
  graph, layers = saved_model_pb2.SavedModel(), protocol.SavedMetadata()
  try:
    for message, name in ((graph, "saved_model.pb"), (layers, "keras_metadata.pb")):
      with files.open_regular(os.path.join(path, name)) as file:
        message.ParseFromString(file.read())
    version = graph.meta_graphs[0].meta_info_def.tensorflow_version
    configs = [stored.parse(node.metadata.encode(), dict) for node in layers.nodes]
  except config_lib.UserError:
    raise
  except OSError as error:
    raise keras_errors.unreadable(path, error) from error
  except Exception as error:  # Errors of protobuf and JSON.
    raise keras_errors.damaged(path, error) from error
  return version, configs


@contextlib.contextmanager
def _linked(path: str, ending: str) -> Iterator[str]:
  """Yields a link to a path with the right ending for Keras, in UTF-8 for TensorFlow."""
  with tempfile.TemporaryDirectory(prefix="tfdam-network-") as folder:
    link = os.path.join(folder, f"network{ending}")
    os.symlink(os.path.abspath(path), link)
    yield link


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Silences warnings of Keras and TensorFlow; they raise what is wrong."""
  import tensorflow as tf

  logger = tf.get_logger()
  level, verbosity = logger.level, logging.get_verbosity()
  logger.setLevel("ERROR")
  logging.set_verbosity(logging.ERROR)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      yield
  finally:
    logging.set_verbosity(verbosity)
    logger.setLevel(level)


def _check_network(path: str, version: str, keras: Any, model: Any) -> None:
  """Raises config.UserError unless this is a network of known layers, with no nan."""
  if not isinstance(model, keras.Model):
    raise keras_errors.no_network(path, f"holds a {type(model).__name__}")
  # In a SavedModel, layers of unknown classes are replaced by their traced functions.
  revived = {
    type(part).__name__
    for part in (model, *getattr(model, "submodules", ()))
    if type(part).__module__.endswith("saved_model.load")
  }
  known = sorted(name for name in revived if hasattr(keras.layers, name))
  if known:
    error = ValueError(f"{', '.join(known)} cannot be made as the file describes it")
    raise keras_errors.refused(path, version, _version(keras), error)
  if revived:
    names = sorted(f"'{name}'" for name in revived)
    raise keras_errors.unknown(path, version, _version(keras), names)
  for weight, values in zip(model.weights, model.get_weights()):
    # Infinite weights may be meant, as in a mask; nan comes from a failed training.
    if values.dtype.kind == "f" and np.isnan(values).any():
      name = getattr(weight, "path", weight.name)
      raise keras_errors.no_number(files.shown(path), name)
