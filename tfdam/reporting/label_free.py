"""Measures of a network on unlabelled target images, and a warning based on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam.metrics import label_free

_DISCRIMINATOR, _ACCURACY = "discriminator/", "/accuracy"
# Without labels the two causes cannot be told apart.
SKEW_ADVICE = (
  "Either the target has other label frequencies, and matching whole distributions will"
  " force the source's onto it; or a weak source network mislabels the target, which"
  " matching may mend. If you know that the frequencies differ, consider a source with the"
  " target's frequencies, a larger --config.adapt.drift_weight, or"
  " --config.adapt.information_weight=0. --config.loop.alarm_marginal sets the bound."
)


def predict(
  network: tf.keras.Model, batches: Iterable[tf.Tensor], num_classes: int
) -> label_free.Predictions:
  """Collects a network's predictions in inference.

  Args:
    network: built.
    batches: float32 [B, H, W, C], in [0, 1].
    num_classes: number of classes.
  """
  found = label_free.Predictions(num_classes)
  for images in batches:
    found.add(network(images, training=False)["logits"].numpy())
  return found


def discriminator_accuracy(values: Mapping[str, Any]) -> float | None:
  """Returns the discriminators' mean accuracy over taps; None without discriminators.

  Args:
    values: {name: its last value} from metrics.jsonl.
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
  """Raises an alarm if predicted labels on the target differ from the source's frequencies.

  Args:
    found: the source network's entry under "label_free" in results.json.
    source_shares: the source's label frequencies, [num_classes].
    names: of the classes, in the order of labels.
    bound: loop.alarm_marginal, the largest total variation without an alarm.

  Returns:
    An alarm at step 0, before adaptation; None if the distance is within the bound.
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
      f" {bound:g}). Much too often: {shown(int(differences.argmax()))}; much too seldom:"
      f" {shown(int(differences.argmin()))}."
    ),
  }
