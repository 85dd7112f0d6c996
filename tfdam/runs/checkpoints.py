"""Checkpoints that are whole or absent: written to a temporary folder, hashed, renamed."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import files, stored
from tfdam.runs import signals, supervisor

_INFO = "checkpoint.json"
_PREFIX = "state"
# Errors of TensorFlow for files with unexpected content or structure.
_UNREADABLE = (
  AssertionError, KeyError, RuntimeError, TypeError, ValueError, tf.errors.OpError
)  # fmt: skip
_WORKER_LOST = (
  tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError
)  # fmt: skip


class _Saved(TypedDict):
  step: stored.Count
  sha256: dict[str, str]


class Info(_Saved, total=False):
  """The content of checkpoint.json.

  Attributes:
    step: the step at which it was saved.
    sha256: {file: its digest}.
    stage: the stage's name.
    total: number of steps of the stage.
    steps: steps that were timed for `seconds`, compilation left out.
    seconds: how long these steps took.
    run_seconds: seconds of the run so far.
    shared: the source cache's key, if the network came from there.
  """

  stage: str
  total: stored.Count
  steps: stored.Count
  seconds: float
  run_seconds: float
  shared: str


class Checkpoints:
  """The checkpoints of one stage: <folder>/<step>/.

  Each folder holds a TensorFlow checkpoint and checkpoint.json, which has the step, the
  loop's information, and the SHA-256 digest of every file.
  """

  def __init__(
    self,
    folder: str,
    objects: Mapping[str, Any],
    keep: int = 2,
    prepare: Callable[[], None] = lambda: None,
  ):
    """Sets what is saved, and where.

    Args:
      folder: the stage's folder, made at the first save.
      objects: {name: trackable}, with all variables built. Evaluation and export read
        "model".
      keep: number of newest checkpoints to keep.
      prepare: called before every save, to update derived objects.
    """
    self.folder = folder
    self.objects = dict(objects)
    self.keep = keep
    self._prepare = prepare

  def save(self, step: int, info: Mapping[str, Any]) -> None:
    """Writes one checkpoint, whole or not at all, and removes the oldest.

    Args:
      step: number of steps done.
      info: further content of checkpoint.json.

    Raises:
      config.UserError: a weight of the network is infinite or nan.
    """
    self._prepare()
    self._check_finite(step)
    place = os.path.join(self.folder, f"{step:08d}")
    partial = f"{place}.partial"
    _remove(partial)
    try:
      self._write(partial, {"step": step, **info})
    except BaseException:
      shutil.rmtree(partial, ignore_errors=True)  # It may be what fills the disk.
      raise
    # Newer checkpoints are damaged, or `restore` would have used them.
    for above in (old for old in steps(self.folder) if old >= step):
      _remove(os.path.join(self.folder, f"{above:08d}"))
    os.replace(partial, place)
    _sync(self.folder)
    for old in steps(self.folder)[: -self.keep]:
      _remove(os.path.join(self.folder, f"{old:08d}"))

  def _write(self, place: str, info: Mapping[str, Any]) -> None:
    os.makedirs(place)
    tf.train.Checkpoint(**self.objects).write(os.path.join(place, _PREFIX))
    digests = {
      name: files.digest(os.path.join(place, name)) for name in sorted(os.listdir(place))
    }
    _write_info(place, {**info, "sha256": digests})
    for name in os.listdir(place):
      _sync(os.path.join(place, name))

  def _check_finite(self, step: int) -> None:
    # Losses do not show it: they are computed before the update, and leave out dead units.
    models = [self.objects[k] for k in ("model", "model_norms") if k in self.objects]
    for variable in (v for model in models for v in model.variables):
      if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
        raise config_lib.UserError(
          f"{variable.name} is not finite at step {step} of"
          f" {os.path.basename(self.folder)}: not saved.",
          "Lower the learning rates, or raise epsilon, of source or adapt.",
        )

  def restore(self) -> Info | None:
    """Reads the newest whole checkpoint into the objects.

    Returns:
      Its checkpoint.json; None if there is no checkpoint.

    Raises:
      config.UserError: it is another network's or another run's.
    """
    place = self.newest()
    if place is None:
      return None
    try:
      status = tf.train.Checkpoint(**self.objects).read(os.path.join(place, _PREFIX))
      status.assert_consumed()
    except _WORKER_LOST:
      raise
    except _UNREADABLE as error:
      raise config_lib.UserError(
        f"The checkpoint {files.shown(place)} does not hold what this run trains"
        f" ({_brief(error)}). Remove it to go on from the one before, or set --workdir to"
        " another folder."
      ) from error
    return read_info(place)

  def deferred_signals(self) -> contextlib.AbstractContextManager[list[signal.Signals]]:
    """Collects signals, for the loop to act on between two calls."""
    return signals.deferred()

  def allow(self, seconds: float) -> None:
    """Sets how long the next call may still take after a signal; see supervisor.py."""
    supervisor.allow(seconds)

  def newest(self) -> str | None:
    """The folder of the newest whole checkpoint; None if there is none."""
    return newest(self.folder)


def restore_model(model: tf.keras.Model, place: str, kind: str) -> None:
  """Reads only the network from a checkpoint folder.

  Args:
    model: a built network.
    place: the checkpoint folder.
    kind: the network's name in MODELS, for the message.

  Raises:
    config.UserError: the checkpoint holds another network.
  """
  path = os.path.join(place, _PREFIX)
  try:
    other = _other_variables(model, path)
  except _UNREADABLE as error:
    other = _brief(error)
  if not other:
    try:
      status = tf.train.Checkpoint(model=model).read(path)
      # Without `expect_partial`, TensorFlow warns of every other object in it.
      status.expect_partial().assert_existing_objects_matched()
    except _UNREADABLE:  # Another version of this network.
      other = "its variables have other names"
  if other:
    raise config_lib.UserError(
      f"The checkpoint {files.shown(place)} does not hold the network {kind}, as it is"
      f" configured here: {other}.",
      "Set model.name and its options as in the run that made it, or name another"
      " checkpoint.",
    )


def restore_norms(norms: tf.Module, place: str, kind: str) -> None:
  """Reads the batch norms of further targets from a checkpoint folder.

  Args:
    norms: see training/per_target.py.
    place: the checkpoint folder.
    kind: as for `restore_model`.

  Raises:
    config.UserError: the checkpoint holds none, or other ones.
  """
  try:
    status = tf.train.Checkpoint(model_norms=norms).read(os.path.join(place, _PREFIX))
    status.expect_partial().assert_existing_objects_matched()
  except _UNREADABLE as error:
    raise config_lib.UserError(
      f"The checkpoint {files.shown(place)} does not hold norms of {kind} for each target"
      f" ({_brief(error)}).",
      "Set adapt.per_target as in the run that made it.",
    ) from error


def _other_variables(model: tf.keras.Model, path: str) -> str:
  """Describes how a checkpoint's "model" differs from this network; "" if it does not.

  This is checked first because a read restores whatever fits, such as the convolutions of a
  network that has batch norms between them.
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
  """Steps of all checkpoints in a folder, whole or not, in ascending order."""
  if not os.path.isdir(folder):
    return []
  names = files.list_folder(folder)
  return sorted(
    int(name) for name in names if re.fullmatch("[0-9]{8}|[1-9][0-9]{8,}", name)
  )


def newest(folder: str) -> str | None:
  """The folder of the newest whole checkpoint; skips damaged ones with a warning."""
  for step in reversed(steps(folder)):
    place = os.path.join(folder, f"{step:08d}")
    damage = find_damage(place)
    if damage is None:
      return place
    logging.warning(
      "Checkpoint %s is not whole (%s): going back to the one before.",
      *(files.shown(place), damage),
    )
  return None


def read_info(place: str) -> Info:
  """The content of a checkpoint's checkpoint.json.

  Raises:
    config.UserError: it is missing or damaged; `find_damage` detects both.
  """
  path = os.path.join(place, _INFO)
  remedy = "Remove that checkpoint, or bring it back from a copy."
  info = stored.read(path, Info, remedy)
  if info is None:
    raise config_lib.UserError(f"{files.shown(path)} is missing. {remedy}")
  return info


def copy(place: str, target: str, changes: Mapping[str, Any]) -> None:
  """Copies a checkpoint folder to a new one.

  Args:
    place: the checkpoint folder.
    target: the new folder, which must not exist.
    changes: replacements for entries of checkpoint.json.
  """
  info = read_info(place)
  os.makedirs(target)
  for name in info["sha256"]:
    shutil.copyfile(os.path.join(place, name), os.path.join(target, name))
  _write_info(target, {**info, **changes})


def _write_info(place: str, info: Mapping[str, Any]) -> None:
  stored.write_text(os.path.join(place, _INFO), json.dumps(info, indent=2))


def is_finished(place: str) -> bool:
  """Whether a checkpoint is from its stage's last step."""
  info = read_info(place)
  return info["step"] == info.get("total")


def progress(place: str) -> str:
  """A checkpoint's progress in its stage, such as "step 20 of 60"."""
  info = read_info(place)
  return f"step {info['step']} of {info.get('total', 'unknown')}"


def find_damage(place: str) -> str | None:
  """Says what is wrong with a checkpoint folder; None if it is whole.

  Raises:
    PermissionError: it may not be read, so it may still be whole.
  """
  try:
    with files.open_regular(os.path.join(place, _INFO)) as file:
      info = stored.parse(file.read(), Info)
    return _contradiction(place, info)
  except PermissionError:
    raise
  except config_lib.UserError:
    return f"{_INFO} is no file"
  except stored.DamagedError as error:
    return f"{_INFO}: {error}"
  except OSError as error:  # It is missing, or the disk fails.
    return f"{_INFO}: {error.strerror}"


def _contradiction(place: str, info: Info) -> str | None:
  """Says where a checkpoint's files contradict its checkpoint.json; None if they agree."""
  step, digests = os.path.basename(place), info["sha256"]
  if step.isdecimal() and int(step) != info["step"]:
    return f"{_INFO} is of step {info['step']}"
  for kind in (".index", ".data"):
    if not any(name.startswith(_PREFIX + kind) for name in digests):
      return f"{_INFO} names no {_PREFIX}{kind}"
  for name, digest in digests.items():
    path = os.path.join(place, name)
    if not os.path.isfile(path):
      return f"{files.shown(name)} is missing"
    if files.digest(path) != digest:
      return f"{files.shown(name)} was changed or cut off"
  return None


def _brief(error: Exception) -> str:
  """The first line of an error, whose text may be pages long."""
  return (str(error).strip() or type(error).__name__).splitlines()[0]


def _remove(place: str) -> None:
  """Removes a checkpoint folder, or a file in its place."""
  if os.path.isdir(place) and not os.path.islink(place):
    shutil.rmtree(place)
  elif os.path.lexists(place):
    os.remove(place)


def _sync(path: str) -> None:
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
