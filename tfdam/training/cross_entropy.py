"""Cross-entropy of images or locations, with class weights and ignored labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import scenes
from tfdam.training import replicas


class CrossEntropy:
  """A weighted mean; averaged over replicas, it is that of the global batch."""

  def __init__(
    self, class_weights: Sequence[float] | None = None, ignored: int | None = None
  ):
    """Sets which classes and labels count, and how much.

    Args:
      class_weights: the weight of each class in the loss; None for equal weights.
      ignored: the label of pixels that do not count; None if all count.
    """
    self._class_weights = class_weights
    self._ignored = ignored

  def counted(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Separates labels that count from ignored ones.

    Args:
      labels: integers [B, ...], classes or the ignored label.

    Returns:
      (labels, counted): valid classes [B, ...], and float32 [B, ...] that is 1 for labels
      that count, else 0, or None if all count.
    """
    if self._ignored is None:
      return labels, None
    counted = tf.not_equal(labels, self._ignored)
    labels = tf.cast(tf.where(counted, labels, tf.zeros_like(labels)), tf.int32)
    return labels, tf.cast(counted, tf.float32)

  def __call__(
    self,
    logits: tf.Tensor,
    labels: tf.Tensor,
    counted: tf.Tensor | None = None,
    sure: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """The mean over all labels that count.

    Args:
      logits: float32 [B, ..., classes].
      labels: integers [B, ...], all valid classes.
      counted: float32 [B, ...], 1 or 0; None if all count.
      sure: float32 [B, ...], factors of the losses that do not change the mean's divisor.

    Returns:
      float32 [], in nats.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    losses = losses if sure is None else losses * sure
    if self._class_weights is None:
      return mean(losses, counted)
    weights = tf.gather(tf.constant(self._class_weights, tf.float32), labels)
    return mean(losses, weights if counted is None else weights * counted)


def mean(values: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
  """The weighted mean; averaged over replicas, it is that of the global batch.

  Args:
    values: float32 [...].
    weights: float32 [...], of the same shape; None for equal weights.

  Returns:
    float32 [].
  """
  if weights is None:
    return tf.reduce_mean(values)
  # A batch without any label has a loss of 0.
  total = tf.maximum(replicas.mean(tf.reduce_sum(weights)), 1e-8)
  return tf.reduce_sum(values * weights) / total


def class_weights(
  options: config_lib.Source, prior: np.ndarray | None
) -> list[float] | None:
  """The weight of each class in source training; None for equal weights.

  The formula is ENet's (Paszke et al. 2016, Sec. 5.2): 1 / ln(offset + frequency).

  Args:
    options: sets the offset; 0 for equal weights.
    prior: float [classes], the source's label frequencies; None if it has no labels.
  """
  if not options.class_weight_offset or prior is None:
    return None
  return [1.0 / math.log(options.class_weight_offset + share) for share in prior]


def of_task(config: config_lib.Config, prior: np.ndarray | None) -> CrossEntropy:
  """The cross-entropy of the config's task.

  Args:
    config: a whole config.
    prior: as for `class_weights`.
  """
  if not config.data.classes:
    return CrossEntropy()
  return CrossEntropy(class_weights(config.source, prior), scenes.IGNORED)
