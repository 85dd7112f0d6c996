"""Gaussian i.i.d. matching, the closed form of Eq. (2); moments in float64, or quicker."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Values of a block: in float64 they stay in a core's cache. Over whole maps, conversion and
# three passes through memory took three times as long as the forward pass.
_BLOCK = 1 << 16
# Of `quick_moments`: numbers in a row, and samples that a pivot is the mean of.
_WIDTH = 2048
_PIVOT = 64
# (block, scratch, mean, squares); fills the last two.
_Measure = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


class Moments(NamedTuple):
  """Moments of each channel over images and locations.

  Attributes:
    count: float64 [], number of samples.
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
    """Moments of scale * x + shift, float64 [channels] each."""
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
  """The same in less time, to about six digits: sums of few samples are float32.

  Distances are from a pivot near each channel's mean, so that a mean far from zero costs no
  digits; blocks are united in float64.

  Args:
    activations: float [B, ..., channels]; on a GPU, or float64, `moments` takes them.
  """
  if _on_gpu(activations) or activations.dtype == tf.float64:
    return moments(activations)
  values = _samples(activations)
  pivot = values[:: max(1, len(values) // _PIVOT)].mean(0, dtype=np.float64)
  # Rows of several samples: short ones would hold NumPy's loops up.
  group = max(1, _WIDTH // values.shape[-1])
  rows = max(1, _BLOCK // values.shape[-1] // group) * group
  measure = functools.partial(_measure_block_quickly, pivot.astype(np.float32), group)
  return _of_blocks(values, rows, measure, group)


def _on_gpu(activations: tf.Tensor) -> bool:
  return "GPU" in getattr(activations, "device", "")


def _samples(activations: tf.Tensor) -> np.ndarray:
  """A view, float [samples, channels]."""
  values = np.asarray(activations)
  return values.reshape(-1, values.shape[-1])


def _of_blocks(values: np.ndarray, rows: int, measure: _Measure, group: int = 1) -> Moments:
  """Moments of samples [N, channels], block by block, by all cores.

  Args:
    rows: samples of a block.
    group: divides `rows`; what is left of N after groups is a block of its own.
  """
  samples, channels = values.shape
  whole = samples - samples % group
  starts = [*range(0, whole, rows), *([whole] if whole < samples else [])]
  counts = np.diff([*starts, samples])
  means, squares = (np.empty([len(starts), channels]) for _ in range(2))
  num_threads = max(1, min(os.cpu_count() or 1, len(starts)))

  def share(first: int) -> None:
    # One memory for all blocks: fresh memory costs more than the arithmetic.
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
  # The moments of the union (`merge`), of all blocks at once and in their order.
  mean = (counts * means).sum(0) / samples
  between = (counts * np.square(means - mean)).sum(0)
  return Moments(
    *(tf.constant(v, tf.float64) for v in (samples, mean, squares.sum(0) + between))
  )


def _measure_block(
  block: np.ndarray, scratch: np.ndarray, mean: np.ndarray, squares: np.ndarray
) -> None:
  """Fills the mean and the sum of squared distances from it, float64 [channels] each.

  Args:
    block: float [samples, channels].
    scratch: float64, at least as many numbers.
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
  """The same, by sums of few float32 numbers each.

  Args:
    pivot: float32 [channels].
    group: samples in a row of which such sums are taken.
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
  """The same without a copy to the host."""
  samples = tf.cast(activations, tf.float64)
  samples = tf.reshape(samples, [-1, samples.shape[-1]])
  mean = tf.reduce_mean(samples, axis=0)
  squares = tf.reduce_sum(tf.square(samples - mean), axis=0)
  return Moments(tf.cast(tf.shape(samples)[0], tf.float64), mean, squares)


def merge(first: Moments, second: Moments) -> Moments:
  """Moments of the union of two sets of samples.

  Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
  variances", 1979: exact, unlike running averages, and stable, unlike sums of squares.
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
    min_variance: a channel with less variance in either domain is dead: alpha is 1, and
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
  """Bool [channels]: no variance to match in one of the domains."""
  return (source.variance < min_variance) | (target.variance < min_variance)
