"""Checkpoints, whole or absent: written beside their place, hashed, renamed into it."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib

_INFO = "checkpoint.json"
_PREFIX = "state"


class Checkpoints:
  """The checkpoints of one stage: <folder>/<step>/.

  Each is a folder with a TensorFlow checkpoint and checkpoint.json (step, whatever the loop
  wants back, and the SHA-256 of every file).
  """

  def __init__(
    self,
    folder: str,
    objects: Mapping[str, Any],
    keep: int = 2,
    prepare: Callable[[], None] = lambda: None,
  ):
    """Args:
    folder: made at the first save.
    objects: {name: trackable}, with all their variables built. "model" is what evaluation
      and export read.
    keep: how many of the newest stay.
    prepare: called before every save, to bring derived objects up to date.
    """
    self.folder = folder
    self.objects = dict(objects)
    self.keep = keep
    self._prepare = prepare

  def save(self, step: int, info: Mapping[str, Any]) -> None:
    """Writes one checkpoint, whole or not at all, and removes the oldest.

    Raises:
      config.UserError: a weight of the network is infinite or not a number.
    """
    self._prepare()
    self._check_finite(step)
    place = os.path.join(self.folder, f"{step:08d}")
    partial = f"{place}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    tf.train.Checkpoint(**self.objects).write(os.path.join(partial, _PREFIX))
    digests = {
      name: file_digest(os.path.join(partial, name)) for name in sorted(os.listdir(partial))
    }
    with open(os.path.join(partial, _INFO), "w") as file:
      json.dump({"step": step, **info, "sha256": digests}, file, indent=2)
    for name in os.listdir(partial):
      _sync(os.path.join(partial, name))
    # What stands above is damaged, or restoring would have taken it.
    for above in (old for old in steps(self.folder) if old >= step):
      shutil.rmtree(os.path.join(self.folder, f"{above:08d}"))
    os.replace(partial, place)
    _sync(self.folder)
    for old in steps(self.folder)[: -self.keep]:
      shutil.rmtree(os.path.join(self.folder, f"{old:08d}"))

  def _check_finite(self, step: int) -> None:
    # A loss is taken before its update, and a dead unit's weights are in no loss.
    model = self.objects.get("model")
    for variable in model.variables if model else ():
      if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
        raise config_lib.UserError(
          f"{variable.name} is not finite at step {step} of"
          f" {os.path.basename(self.folder)}: not saved. Lower the learning rates, or raise"
          " epsilon, of --config.source or --config.adapt."
        )

  def restore(self) -> dict[str, Any] | None:
    """Reads the newest whole checkpoint into the objects; None if there is none."""
    place = self.newest()
    if place is None:
      return None
    status = tf.train.Checkpoint(**self.objects).read(os.path.join(place, _PREFIX))
    status.assert_consumed()
    return read_info(place)

  def newest(self) -> str | None:
    """The newest whole checkpoint's folder."""
    return newest(self.folder)


def restore_model(model: tf.keras.Model, place: str, kind: str) -> None:
  """Reads the network alone from a checkpoint folder, whatever else it holds.

  Args:
    model: built.
    kind: its name in MODELS, for the message.

  Raises:
    config.UserError: the checkpoint holds another network.
  """
  path = os.path.join(place, _PREFIX)
  other = _other_variables(model, path)
  if not other:
    try:
      status = tf.train.Checkpoint(model=model).read(path)
      # What else it holds would be listed in a warning each, were it not expected.
      status.expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError):  # a version of this network from another time
      other = "its variables have other names"
  if other:
    raise config_lib.UserError(
      f"The checkpoint {place} does not hold the network {kind}, as it is configured here:"
      f" {other}. Set --config.model.name and its options as in the run that made it, or"
      " name another checkpoint."
    )


def _other_variables(model: tf.keras.Model, path: str) -> str:
  """By what a checkpoint's "model" differs from this network, in words; "" if it does not.

  Beforehand, since a read takes what fits, such as the convolutions of a network that has
  batch norms between them.
  """
  wanted = collections.Counter(tuple(variable.shape) for variable in model.variables)
  wrong = []
  for key, shape in tf.train.list_variables(path):
    name, *rest = key.split("/.ATTRIBUTES/")
    if name.startswith("model/") and rest:
      if not wanted[tuple(shape)]:
        wrong.append(f"{name.removeprefix('model/')} {list(shape)}")
      wanted[tuple(shape)] -= 1
  missing = [list(shape) for shape, count in (+wanted).items() for _ in range(count)]
  return " and ".join(
    f"{what} {found[0]}{f' and {len(found) - 1} more' if found[1:] else ''}"
    for what, found in (("it also has", wrong), ("it lacks variables", missing))
    if found
  )


def steps(folder: str) -> list[int]:
  """Steps of the checkpoints in a folder, whole or not, in rising order."""
  if not os.path.isdir(folder):
    return []
  return sorted(int(name) for name in os.listdir(folder) if name.isdecimal())


def newest(folder: str) -> str | None:
  """The newest whole checkpoint's folder; walks past damaged ones and says so."""
  for step in reversed(steps(folder)):
    place = os.path.join(folder, f"{step:08d}")
    damage = find_damage(place)
    if damage is None:
      return place
    logging.warning(
      "Checkpoint %s is not whole (%s): going back to the one before.", place, damage
    )
  return None


def read_info(place: str) -> dict[str, Any]:
  """The content of a checkpoint's checkpoint.json."""
  with open(os.path.join(place, _INFO)) as file:
    return json.load(file)


def change_info(place: str, changes: Mapping[str, Any]) -> None:
  """Writes entries into a checkpoint's checkpoint.json."""
  info = {**read_info(place), **changes}
  with open(os.path.join(place, _INFO), "w") as file:
    json.dump(info, file, indent=2)


def is_finished(place: str) -> bool:
  """Whether a stage's checkpoint stands at its end."""
  info = read_info(place)
  return info["step"] == info["total"]


def find_damage(place: str) -> str | None:
  """What is wrong with a checkpoint folder, or None."""
  try:
    digests = read_info(place)["sha256"]
  except (OSError, ValueError, KeyError) as error:
    return f"{_INFO}: {error}"
  for name, digest in digests.items():
    path = os.path.join(place, name)
    if not os.path.isfile(path):
      return f"{name} is missing"
    if file_digest(path) != digest:
      return f"{name} was changed or cut off"
  return None


def file_digest(path: str) -> str:
  """The file's SHA-256."""
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    while block := file.read(1 << 20):
      digest.update(block)
  return digest.hexdigest()


def _sync(path: str) -> None:
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
