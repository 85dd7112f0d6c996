"""Terms of the target's loss that use classes.

Matching alone does not determine which part of a matched distribution belongs to which
class. All terms are optional, and none is in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

from tfdam.matching import information
from tfdam.training import cross_entropy, optimizers, replicas

Batch = Mapping[str, Any]
Output = Mapping[str, Any]


class Term(Protocol):
  """A part of the target's loss.

  Attributes:
    name: its metric is "loss/<name>".
    weight: its weight in the loss.
  """

  name: str
  weight: float

  def __call__(self, batch: Batch, output: Output) -> tf.Tensor:
    """The term, float32 [].

    Args:
      batch: as for AdaptStep; "source_taps" is always present.
      output: the target network's {"logits", "taps"} for batch["target"].
    """


class Information:
  """Information maximisation; see matching/information.py."""

  name = "information"

  def __init__(self, weight: float, prior: tf.Tensor):
    self.weight = weight
    self._prior = prior

  def __call__(self, batch: Batch, output: Output) -> tf.Tensor:
    return information.loss(output["logits"], self._prior, replicas.mean)


class SourceLabels:
  """Cross-entropy of the target network on labelled source images.

  The term keeps the target network accurate on the source, as methods with one network for
  both domains do (Ganin and Lempitsky 2015, Sec. 3). With the source's norms, the domains
  share all other weights (Chang et al., "Domain-specific batch normalization", 2019).
  """

  name = "source_labels"

  def __init__(self, weight: float, target: Any, loss: cross_entropy.CrossEntropy):
    """Takes the network that learns.

    Args:
      weight: weight of the term in the loss.
      target: the network, or per_target.WithNorms of it and of the source's norms.
      loss: the cross-entropy of the task.
    """
    self.weight = weight
    self._target = target
    self._loss = loss

  def __call__(self, batch: Batch, output: Output) -> tf.Tensor:
    labels, counted = self._loss.counted(batch["source_label"])
    found = self._target(batch["source_varied"], training=False)["logits"]
    return self._loss(found, labels, counted)


class SelfTraining:
  """Cross-entropy on target images, with labels predicted by the averaged network.

  The averaged network labels each image as it is, and the network learns from an augmented
  copy (Tarvainen and Valpola, "Mean teachers are better role models", 2017; French et al.,
  "Self-ensembling for visual domain adaptation", 2018). In scenes, half of a source image's
  classes may be pasted over the target image, with their labels (Olsson et al., "ClassMix",
  2021; Tranheden et al., "DACS", 2021).
  """

  name = "self_training"

  def __init__(
    self,
    weight: float,
    confidence: float,
    target: tf.keras.Model,
    averaged: tf.keras.Model,
    optimizer: tf.keras.optimizers.Optimizer,
    loss: cross_entropy.CrossEntropy,
  ):
    """Takes the network that learns and the one that labels.

    Args:
      weight: weight of the term in the loss.
      confidence: predictions below this probability are not used as labels.
      target: the network that learns.
      averaged: takes the moving average of the target's weights at each step, and labels.
      optimizer: the target's optimiser, which keeps that average.
      loss: the cross-entropy of the task.
    """
    self.weight = weight
    self._confidence = confidence
    self._target = target
    self._averaged = averaged
    self._optimizer = optimizer
    self._loss = loss

  def __call__(self, batch: Batch, output: Output) -> tf.Tensor:
    averages = optimizers.averages(self._optimizer)
    replicas.assign(self._averaged.trainable_variables, averages)
    found = self._averaged(batch["target"], training=False)["logits"]
    chances = tf.stop_gradient(tf.nn.softmax(found))
    labels = tf.argmax(chances, axis=-1, output_type=tf.int32)
    sure = tf.reduce_max(chances, axis=-1) >= self._confidence
    images = batch["target_varied"]
    if "pasted" in batch:
      source_labels, counted = self._loss.counted(batch["source_label"])
      over = tf.gather(batch["pasted"], source_labels, batch_dims=1)
      over = over if counted is None else over & (counted > 0)
      images = tf.where(over[..., tf.newaxis], batch["source_varied"], images)
      labels = tf.where(over, tf.cast(source_labels, tf.int32), labels)
      sure = sure | over
    varied = self._target(images, training=False)["logits"]
    return self._loss(varied, labels, sure=tf.cast(sure, tf.float32))
