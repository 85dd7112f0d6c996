"""Keeps activations at a site: in memory up to a bound, on disk beyond it."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import files
from tfdam import sites as sites_lib

_MIB = 2**20
# The part of the budget that stored states may take. Fragmentation takes the rest: 12 to
# 20 % was measured (benchmarks/matching_memory.py).
_SHARE = 0.8
# Memory of the batch in progress (its old state, corrected, advanced, and in float64 for
# moments), in units of the largest state. The same benchmark measured 3 without a budget.
_IN_WORK = 4


class WaitingStates:
  """The states of a forward pass, one per batch; a context manager.

  Every pass reads and writes each state once, so the time of the whole walk is linear in
  the network's depth, whether or not the states fit into memory.
  """

  def __init__(self, batches: Iterable[tf.Tensor], limit_mb: int):
    """Starts at the network's input.

    Args:
      batches: images, float32 [B, H, W, C]; read one by one, at the first `update`.
      limit_mb: MiB of memory for all stored states and the batch in progress.
    """
    self._limit_mb = limit_mb
    self._largest = 0
    self._batches: Iterable[tf.Tensor] | None = batches
    self._states: list[sites_lib.State | None] = []
    self._dtypes: dict[int, dict[str, tf.DType]] = {}
    self._in_memory = 0
    self._folder: tempfile.TemporaryDirectory | None = None

  def __enter__(self) -> WaitingStates:
    return self

  def __exit__(self, *_: object) -> None:
    if self._folder is not None:
      self._folder.cleanup()

  def __len__(self) -> int:
    """The number of batches, known after the first pass."""
    return len(self._states)

  def update(self, change: Callable[[sites_lib.State], sites_lib.State]) -> None:
    """Replaces every state by `change(state)`, batch by batch, in order.

    Raises:
      config.UserError: the states fit neither into memory nor on disk.
    """
    if self._batches is not None:
      for images in self._batches:
        self._states.append(None)
        self._put(len(self._states) - 1, change({"output": images}))
      self._batches = None
      return
    for i in range(len(self._states)):
      self._put(i, change(self._take(i)))

  def _take(self, i: int) -> sites_lib.State:
    state, self._states[i] = self._states[i], None
    if state is not None:
      self._in_memory -= _size(state)
      return state
    dtypes = self._dtypes[i]
    with np.load(self._path(i), allow_pickle=False) as stored:
      return {name: tf.cast(stored[name], dtypes[name]) for name in stored.files}

  def _put(self, i: int, state: sites_lib.State) -> None:
    size = _size(state)
    self._largest = max(self._largest, size)
    limit = _SHARE * self._limit_mb * _MIB - _IN_WORK * self._largest
    if self._in_memory + size <= limit:
      self._states[i] = state
      self._in_memory += size
      return
    try:
      # NumPy files cannot hold bfloat16; float32 stores it without loss.
      arrays = {name: tf.cast(value, tf.float32).numpy() for name, value in state.items()}
      np.savez(self._path(i), **arrays)
    except OSError as error:
      place, free = "a temporary folder", ""
      if self._folder is not None:
        place = files.shown(self._folder.name)
        free = f"; {shutil.disk_usage(self._folder.name).free // _MIB} MiB free"
      raise config_lib.UserError(
        f"The activations that wait at a site do not fit into match.memory_mb"
        f" ({self._limit_mb} MiB) nor into {place} ({error.strerror or error}{free}).",
        "Lower match.max_images, raise match.memory_mb, or set TMPDIR to a larger folder.",
      ) from error
    self._dtypes[i] = {name: value.dtype for name, value in state.items()}

  def _path(self, i: int) -> str:
    if self._folder is None:
      self._folder = tempfile.TemporaryDirectory(prefix="tfdam-activations-")
    return os.path.join(self._folder.name, f"{i:06d}.npz")


def _size(state: sites_lib.State) -> int:
  """The size of a state in bytes."""
  return sum(math.prod(value.shape) * value.dtype.size for value in state.values())
