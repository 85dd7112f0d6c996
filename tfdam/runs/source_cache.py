"""Trained source networks, shared by runs with the same source training.

  <cache>/source/<key>/   a checkpoint of the finished source stage
  <cache>/source/<key>.lock

The key is a digest of everything that determines the weights: the fields of source
training, the data's checksums, the training code, the devices and TensorFlow's version. If
two runs start at once, one trains and the other waits. Entries are renamed into place, so
they are always whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from tfdam import code_digest, files, runtime
from tfdam import config as config_lib
from tfdam.runs import checkpoints, network_file
from tfdam.training import networks

# The training code: a change in any of these files gives another key.
_CODE = (
  "config/*.py", "network.py", "torch_file.py", "sites.py", "keras_files/*.py",
  "keras_models/*.py", "models/*.py", "data/*.py", "runs/context.py", "runs/run.py",
  "runs/workers.py", "training/cross_entropy.py", "training/distribution.py",
  "training/loop.py", "training/networks.py", "training/optimizers.py",
  "training/own_network.py", "training/replicas.py", "training/source_step.py",
)  # fmt: skip
# The code that draws the images, if the source is drawn.
_STREETS = "streets/*.py"
# Fields that do not affect the source network's weights.
_LEFT_OUT = {"data": ("root", "target", "target_limit", "target_skew", "on_bad_image",
                      "cache_mb", "require_canonical"),
             "source": ("cache",)}  # fmt: skip


def folder(options: config_lib.Source) -> str | None:
  """The cache's folder; None if the run does not use the cache."""
  if options.cache == "off" or not options.steps or options.init_checkpoint:
    return None
  try:
    return os.path.join(runtime.cache_root(options.cache), "source")
  except config_lib.UserError as error:
    logging.warning("No source networks are shared: %s", error)
    return None


def key(
  config: config_lib.Config,
  digests: Mapping[str, str],
  num_images: int,
  devices: Sequence[str],
) -> str:
  """A digest of everything that the source network's weights depend on.

  Args:
    config: the run's.
    digests: {file: MD5} of the source's training data.
    num_images: number of training images, without skipped damaged ones.
    devices: names of the devices that train.
  """
  sections = {"model": dataclasses.asdict(config.model)}
  for name, left_out in _LEFT_OUT.items():
    fields = dataclasses.asdict(getattr(config, name))
    sections[name] = {k: v for k, v in fields.items() if k not in left_out}
  weights = networks.weights_file(config.model)
  if os.path.isfile(weights):
    sections["model"]["weights"] = files.digest(weights)
  if config.model.is_file:
    sections["model"]["path"] = network_file.digests(config.model.path)
  if config.source.augment:
    sections["augment"] = dataclasses.asdict(config.augment)
  decides = {
    "code": _code_digest(config.data.source),
    "seed": config.seed,
    **sections,
    "digests": dict(digests),
    "num_images": num_images,
    "devices": list(devices),
    "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
    "deterministic": config.runtime.deterministic,
    "precision": config.runtime.precision,
    "tensorflow": tf.__version__,
  }
  text = json.dumps(decides, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:24]


def _code_digest(source: str) -> str:
  base = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  patterns = (*_CODE, _STREETS) if source.startswith("streets/") else _CODE
  return code_digest.of(base, patterns)


@contextlib.contextmanager
def shared(cache: str | None, name: str, stage_folder: str) -> Iterator[None]:
  """Copies a cached source network into a run; else caches what the body trains.

  Args:
    cache: the result of `folder`.
    name: the result of `key`.
    stage_folder: the run's checkpoints of its source stage. A run that has begun its own
      training continues with that.
  """
  if cache is None or not _usable(cache):
    yield
    return
  with _locked(os.path.join(cache, f"{name}.lock"), name):
    cached = os.path.join(cache, name)
    # The checkpoints here may come from other code or devices than the key says now, so
    # they are not shared.
    begun = bool(checkpoints.steps(stage_folder))
    if not begun and os.path.isdir(cached):
      _take(cached, stage_folder)
    yield
    finished = None if begun else checkpoints.newest(stage_folder)
    if finished and checkpoints.is_finished(finished) and not os.path.isdir(cached):
      try:
        _copy(finished, cached)
      # A full disk, or another user's folder: the run has its network, and can go on.
      except OSError as error:
        logging.warning("The source network is not shared: %s.", error)


def _take(cached: str, stage_folder: str) -> None:
  """Copies a cached network into a run, or removes it if it is damaged."""
  try:
    damage = checkpoints.find_damage(cached)
    if not damage and not checkpoints.is_finished(cached):
      damage = "its training had not ended"
    if damage:
      logging.warning("%s is not whole (%s): training again.", cached, damage)
      shutil.rmtree(cached)
      return
    info = checkpoints.read_info(cached)
  except OSError as error:  # Another user's file.
    logging.warning("%s is not used (%s): training again.", cached, error.strerror)
    return
  logging.info("source_only: taken from %s.", cached)
  # The other run's time does not count for this one.
  changes = {"run_seconds": 0.0, "shared": os.path.basename(cached)}
  _copy(cached, os.path.join(stage_folder, f"{info['step']:08d}"), changes)


def _usable(cache: str) -> bool:
  try:
    os.makedirs(cache, exist_ok=True)
    reason = "" if os.access(cache, os.W_OK) else "cannot be written"
  except OSError as error:
    reason = str(error.strerror)
  if reason:
    logging.warning(
      "No source networks are shared: %s %s. Set --config.source.cache.", cache, reason
    )
  return not reason


@contextlib.contextmanager
def _locked(path: str, name: str) -> Iterator[None]:
  """Holds the lock of a key; the kernel releases it if the process dies."""
  files.check_regular(path)
  with contextlib.ExitStack() as stack:
    try:
      file = stack.enter_context(open(path, "w"))
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        logging.info(
          "source_only: another run trains the same network (%s): waiting.", name
        )
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
      logging.warning(
        "%s cannot be locked (%s): two runs may train the same network.",
        *(path, error.strerror),
      )
    yield


def _copy(source: str, target: str, changes: Mapping[str, Any] | None = None) -> None:
  """Copies a checkpoint folder, whole or not at all.

  Args:
    source: the checkpoint folder.
    target: the new folder.
    changes: replacements for entries of checkpoint.json.
  """
  # Remove what killed runs left behind.
  for stale in glob.glob(f"{glob.escape(target)}.*.partial"):
    shutil.rmtree(stale, ignore_errors=True)
  partial = f"{target}.{os.getpid()}.partial"
  try:
    checkpoints.copy(source, partial, changes or {})
    os.rename(partial, target)
  except OSError:
    shutil.rmtree(partial, ignore_errors=True)
    if not os.path.isdir(target):  # Else another run was first, without locks.
      raise
