"""The terms of the target's loss that keep predictions close to estimated label shares.

After Zhang et al. (ICCV 2017); see PAPER.md [34] and tfdam/curriculum/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.curriculum import losses
from tfdam.training import cross_entropy


class LabelShares:
  """Cross-entropy between an image's estimated and predicted shares of classes."""

  name = "label_shares"

  def __init__(self, weight: float):
    self.weight = weight

  def __call__(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> tf.Tensor:
    return tf.reduce_mean(losses.of_images(output["logits"], batch["target_shares"]))


class Landmarks:
  """Cross-entropy between each landmark's class and the mean prediction on its pixels.

  The mean is over the landmarks of the global batch.
  """

  name = "landmarks"

  def __init__(self, weight: float):
    self.weight = weight

  def __call__(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> tf.Tensor:
    found, seen = losses.of_landmarks(
      output["logits"], batch["landmarks"], batch["landmark_classes"]
    )
    return cross_entropy.mean(found, seen)


def of_options(options: config_lib.Adapt) -> list[LabelShares | Landmarks]:
  """The terms with a weight above 0."""
  weight, local = options.curriculum_weight, options.curriculum_local_weight
  terms: list[LabelShares | Landmarks] = [LabelShares(weight)] if weight else []
  return terms + ([Landmarks(weight * local)] if weight * local else [])
