"""Computes the frozen source network's activations once for all steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import progress
from tfdam.training import chosen_taps

_MIB = 2**20


def compute(
  source: tf.keras.Model,
  batches: Iterable[tf.Tensor],
  num_images: int,
  taps: Sequence[str],
  limit_mb: int,
) -> dict[str, tf.Tensor] | None:
  """Activations of every image, if they fit into memory.

  Args:
    source: the frozen source network; it is called in inference mode.
    batches: float32 [b, H, W, C], `num_images` in all, in the order of their indices.
    num_images: number of images in all batches.
    taps: names, as for chosen_taps.of_output.
    limit_mb: MiB that the activations of all taps together may take.

  Returns:
    {tap: float32 [num_images, ...]}, on the host; None if they would take more.
  """
  batches = iter(batches)
  first = next(batches)

  def found(images: tf.Tensor) -> dict[str, tf.Tensor]:
    return chosen_taps.of_output(source(images, training=False), taps)

  shapes = {tap: array.shape[1:] for tap, array in found(first[:1]).items()}
  needed_mb = num_images * 4 * sum(math.prod(shape) for shape in shapes.values()) / _MIB
  if needed_mb > limit_mb:
    logging.info(
      "adapted: the source's taps would take %d MiB (adapt.cache_taps_mb is %d): computed"
      " at every step.",
      *(needed_mb, limit_mb),
    )
    return None
  parts: dict[str, list[np.ndarray]] = {tap: [] for tap in taps}
  done, batch = 0, first
  with progress.bar("adapted (source taps)", 0, num_images, "images") as shown:
    while batch is not None:
      for tap, array in found(batch).items():
        parts[tap].append(tf.cast(array, tf.float32).numpy())
      done += len(batch)
      shown.update(done, {})
      batch = next(batches, None)
  with tf.device("/CPU:0"):  # Batches are gathered there.
    return {tap: tf.constant(np.concatenate(parts.pop(tap))) for tap in taps}
