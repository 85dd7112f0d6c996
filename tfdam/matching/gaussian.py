"""Gaussian i.i.d. matching, the closed form of Eq. (2): exact moments, in float64."""

from __future__ import annotations

import os
from concurrent import futures
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Values of a block: in float64 they stay in a core's cache. Over whole maps, conversion and
# three passes through memory took three times as long as the forward pass.
_BLOCK = 1 << 16


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


def moments(activations: tf.Tensor) -> Moments:
  """Moments of one batch: every axis but the last counts as i.i.d. samples.

  Args:
    activations: float [B, ..., channels].
  """
  if "GPU" in getattr(activations, "device", ""):
    return _moments_where_it_is(activations)
  values = np.asarray(activations)
  values = values.reshape(-1, values.shape[-1])
  rows = max(1, _BLOCK // values.shape[-1])
  blocks = [values[i : i + rows] for i in range(0, len(values), rows)]
  if len(blocks) > 1:
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
      found = list(pool.map(_block_moments, blocks))
  else:
    found = [_block_moments(values)]
  counts = np.array([len(block) for block in blocks], np.float64)[:, None]
  means, squares = np.stack([f[0] for f in found]), np.stack([f[1] for f in found])
  # The moments of the union (`merge`), of all blocks at once and in their order.
  mean = (counts * means).sum(0) / len(values)
  between = (counts * np.square(means - mean)).sum(0)
  return Moments(
    *(tf.constant(v, tf.float64) for v in (len(values), mean, squares.sum(0) + between))
  )


def _block_moments(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """(mean, sum of squared distances from it), float64 [channels] each."""
  block = block.astype(np.float64)
  mean = block.mean(0)
  block -= mean
  return mean, np.einsum("ij,ij->j", block, block)


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
