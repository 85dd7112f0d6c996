"""Maps of a prediction's entropy, used as a tap (ADVENT, Vu et al., CVPR 2019, Eq. 5)."""

from __future__ import annotations

import math

import tensorflow as tf


def self_information(logits: tf.Tensor) -> tf.Tensor:
  """Each class's part of the prediction's entropy: -p log p / log K.

  Args:
    logits: float32 [B, ..., K].

  Returns:
    float32 [B, ..., K]; the sum over classes is the normalised entropy, from 0 to 1.
  """
  log_chances = tf.nn.log_softmax(logits)
  return -tf.exp(log_chances) * log_chances / math.log(logits.shape[-1])
