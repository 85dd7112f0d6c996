"""What can be said of a network on unlabelled target images, and a warning made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam.metrics import label_free

_DISCRIMINATOR, _ACCURACY = "discriminator/", "/accuracy"
# No label tells the two causes apart.
SKEW_ADVICE = (
  "Either the target's labels are spread otherwise, and matching whole distributions will"
  " force them into the source's shares; or the source network mislabels the target, as a"
  " weak one does, and matching may mend that. If you know the first to hold, consider a"
  " source with the target's shares, a larger --config.adapt.drift_weight, or"
  " --config.adapt.information_weight=0; --config.loop.alarm_marginal sets the bound."
)


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


def skew_alarm(
  found: Mapping[str, Any],
  source_shares: Sequence[float],
  names: Sequence[str],
  bound: float,
) -> dict[str, Any] | None:
  """Says that the source network spreads its labels otherwise on the target.

  Args:
    found: the source network's, as results.json has it under "label_free".
    source_shares: the source's label frequencies.
    names: of the classes, in the order of labels.
    bound: loop.alarm_marginal.

  Returns:
    An alarm of before the first step; None where the distance is within the bound.
  """
  distance, shares = found.get("marginal_distance"), found.get("label_shares", [])
  if distance is None or distance <= bound or None in shares:
    return None
  differences = np.array(shares) - np.array(source_shares)

  def shown(label: int) -> str:
    return f"'{names[label]}' ({shares[label]:.0%}, source {source_shares[label]:.0%})"

  return {
    "step": 0,
    "what": (
      "Labels that the source network predicts on the target are"
      f" {distance:.2f} from the source's in total variation (loop.alarm_marginal"
      f" {bound:g}): most too often {shown(int(differences.argmax()))}, most too seldom"
      f" {shown(int(differences.argmin()))}."
    ),
  }
