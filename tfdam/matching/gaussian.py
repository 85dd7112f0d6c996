"""Gaussian i.i.d. matching, the closed form of Eq. (2), and the moments that it needs."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Values per block: in float64 they fit into a core's cache. On whole maps, the conversion
# and three passes through memory took three times as long as the forward pass.
_BLOCK = 1 << 16
# For `quick_moments`: numbers per row, and samples from which the pivot is averaged.
_WIDTH = 2048
_PIVOT = 64
# Takes (block, scratch, mean, squares) and fills the last two.
_Measure = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


class Moments(NamedTuple):
  """Moments of each channel over images and locations.

  Attributes:
    count: float64 [], the number of samples.
    mean: float64 [channels].
    squares: float64 [channels], sum of squared distances from the mean.
  """

  count: tf.Tensor
  mean: tf.Tensor
  squares: tf.Tensor

  @property
  def variance(self) -> tf.Tensor:
    """Population variance, float64 [channels]."""
    return self.squares / self.count

  def after(self, scale: tf.Tensor, shift: tf.Tensor) -> Moments:
    """Moments of scale * x + shift.

    Args:
      scale: float64 [channels].
      shift: float64 [channels].
    """
    return Moments(self.count, scale * self.mean + shift, tf.square(scale) * self.squares)


def moments(activations: tf.Tensor) -> Moments:
  """Moments of one batch: every axis but the last counts as i.i.d. samples.

  Args:
    activations: float [B, ..., channels].
  """
  if _on_gpu(activations):
    return _moments_where_it_is(activations)
  values = _samples(activations)
  return _of_blocks(values, max(1, _BLOCK // values.shape[-1]), _measure_block)


def quick_moments(activations: tf.Tensor) -> Moments:
  """The moments of one batch in less time, to about six digits.

  Short sums are taken in float32, of distances from a pivot near each channel's mean, so
  that a mean far from zero costs no precision. Blocks are merged in float64.

  Args:
    activations: float [B, ..., channels]. On a GPU, or in float64, `moments` is used.
  """
  if _on_gpu(activations) or activations.dtype == tf.float64:
    return moments(activations)
  values = _samples(activations)
  pivot = values[:: max(1, len(values) // _PIVOT)].mean(0, dtype=np.float64)
  # Several samples per row: NumPy's loops are slow on short rows.
  group = max(1, _WIDTH // values.shape[-1])
  rows = max(1, _BLOCK // values.shape[-1] // group) * group
  measure = functools.partial(_measure_block_quickly, pivot.astype(np.float32), group)
  return _of_blocks(values, rows, measure, group)


def _on_gpu(activations: tf.Tensor) -> bool:
  return "GPU" in getattr(activations, "device", "")


def _samples(activations: tf.Tensor) -> np.ndarray:
  """A view of activations [B, ..., channels] as [samples, channels]."""
  values = np.asarray(activations)
  return values.reshape(-1, values.shape[-1])


def _of_blocks(values: np.ndarray, rows: int, measure: _Measure, group: int = 1) -> Moments:
  """Moments of samples, block by block, on all cores.

  Args:
    values: float [N, channels].
    rows: samples per block, a multiple of `group`.
    measure: computes the moments of one block.
    group: samples that `measure` takes at a time. The rest of N makes a block of its own.
  """
  samples, channels = values.shape
  whole = samples - samples % group
  starts = [*range(0, whole, rows), *([whole] if whole < samples else [])]
  counts = np.diff([*starts, samples])
  means, squares = (np.empty([len(starts), channels]) for _ in range(2))
  num_threads = max(1, min(os.cpu_count() or 1, len(starts)))

  def share(first: int) -> None:
    # All blocks of a thread share one buffer: allocating costs more than the arithmetic.
    scratch = np.empty(min(rows, samples) * channels)
    for i in range(first, len(starts), num_threads):
      block = values[starts[i] : starts[i] + counts[i]]
      measure(block, scratch, means[i], squares[i])

  if num_threads > 1:
    with futures.ThreadPoolExecutor(num_threads) as pool:
      list(pool.map(share, range(num_threads)))
  else:
    share(0)
  counts = counts.astype(np.float64)[:, None]
  # As in `merge`, for all blocks at once and in order.
  mean = (counts * means).sum(0) / samples
  between = (counts * np.square(means - mean)).sum(0)
  return Moments(
    *(tf.constant(v, tf.float64) for v in (samples, mean, squares.sum(0) + between))
  )


def _measure_block(
  block: np.ndarray, scratch: np.ndarray, mean: np.ndarray, squares: np.ndarray
) -> None:
  """Computes the mean of a block and the sum of squared distances from it.

  Args:
    block: float [samples, channels].
    scratch: float64, at least as many numbers as the block.
    mean: float64 [channels], filled.
    squares: float64 [channels], filled.
  """
  work = scratch[: block.size].reshape(block.shape)
  np.copyto(work, block, casting="unsafe")
  work.mean(0, out=mean)
  np.subtract(work, mean, out=work)
  np.einsum("ij,ij->j", work, work, out=squares)


def _measure_block_quickly(
  pivot: np.ndarray,
  group: int,
  block: np.ndarray,
  scratch: np.ndarray,
  mean: np.ndarray,
  squares: np.ndarray,
) -> None:
  """As `_measure_block`, with short sums in float32.

  Args:
    pivot: float32 [channels], a value near each channel's mean.
    group: consecutive samples that make up one row.
    block: float32 [samples, channels].
    scratch: float64, at least as many numbers as the block.
    mean: float64 [channels], filled.
    squares: float64 [channels], filled.
  """
  rows, channels = block.shape
  if rows % group:
    _measure_block(block, scratch, mean, squares)
    return
  work = scratch.view(np.float32)[: block.size].reshape(-1, group * channels)
  np.subtract(block.reshape(work.shape), np.tile(pivot, group), out=work)
  offset = work.sum(0).reshape(group, channels).sum(0, dtype=np.float64) / rows
  square = np.einsum("ij,ij->j", work, work).reshape(group, channels)
  np.add(pivot, offset, out=mean)
  np.subtract(square.sum(0, dtype=np.float64), rows * np.square(offset), out=squares)


def _moments_where_it_is(activations: tf.Tensor) -> Moments:
  """As `moments`, on the activations' own device, without a copy to the host."""
  samples = tf.cast(activations, tf.float64)
  samples = tf.reshape(samples, [-1, samples.shape[-1]])
  mean = tf.reduce_mean(samples, axis=0)
  squares = tf.reduce_sum(tf.square(samples - mean), axis=0)
  return Moments(tf.cast(tf.shape(samples)[0], tf.float64), mean, squares)


def merge(first: Moments, second: Moments) -> Moments:
  """Moments of the union of two sets of samples.

  Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
  variances", 1979. Unlike running averages this is exact, and unlike sums of squares it is
  numerically stable.
  """
  count = first.count + second.count
  delta = second.mean - first.mean
  mean = first.mean + delta * second.count / count
  between = tf.square(delta) * first.count * second.count / count
  return Moments(count, mean, first.squares + second.squares + between)


def affine(
  source: Moments, target: Moments, max_scale: float = 10.0, min_variance: float = 1e-10
) -> tuple[tf.Tensor, tf.Tensor]:
  """Scale and shift that give the target's activations the source's moments (Eq. 2).

    alpha = sigma_s / sigma_t;  beta = mu_s - alpha * mu_t

  Args:
    source: moments of the source network on source images.
    target: moments of the target network on target images.
    max_scale: alpha is kept within [1 / max_scale, max_scale].
    min_variance: a channel with less variance in either domain is dead. Its alpha is 1, and
      only its mean is matched.

  Returns:
    (alpha, beta), float64 [channels] each.
  """
  dead = dead_channels(source, target, min_variance)
  # The inner where keeps the unused branch finite.
  divisor = tf.where(dead, tf.ones_like(target.variance), target.variance)
  ratio = tf.sqrt(source.variance / divisor)
  alpha = tf.where(dead, tf.ones_like(ratio), ratio)
  alpha = tf.clip_by_value(alpha, 1.0 / max_scale, max_scale)
  return alpha, source.mean - alpha * target.mean


def dead_channels(source: Moments, target: Moments, min_variance: float) -> tf.Tensor:
  """Bool [channels]: whether a channel has too little variance in one of the domains."""
  return (source.variance < min_variance) | (target.variance < min_variance)
