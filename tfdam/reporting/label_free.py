"""What can be said of a network on unlabelled target images, and a warning made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam.metrics import label_free

_DISCRIMINATOR, _ACCURACY = "discriminator/", "/accuracy"


def predict(
  network: tf.keras.Model, batches: Iterable[tf.Tensor], num_classes: int
) -> label_free.Predictions:
  """What a network predicts, in inference.

  Args:
    batches: float32 [B, H, W, C], in [0, 1].
  """
  found = label_free.Predictions(num_classes)
  for images in batches:
    found.add(network(images, training=False)["logits"].numpy())
  return found


def discriminator_accuracy(values: Mapping[str, Any]) -> float | None:
  """Mean over taps; None where no discriminator played.

  Args:
    values: of metrics.jsonl, the last of each name.
  """
  found = [
    value
    for name, value in values.items()
    if name.startswith(_DISCRIMINATOR) and name.endswith(_ACCURACY)
  ]
  numbers = [value for value in found if isinstance(value, (int, float))]
  return float(np.mean(numbers)) if numbers else None
