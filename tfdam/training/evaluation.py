"""Scores a network on labelled images: beside source training, all that reads labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import pairs
from tfdam.metrics import confusion


def score(
  model: tf.keras.Model, examples: examples_lib.Examples, config: config_lib.Config
) -> dict[str, Any]:
  """Accuracy and per-class accuracy, fractions from 0 to 1."""
  if examples.labels is None:
    raise ValueError("Examples without labels cannot be scored.")
  matrix = confusion.Confusion(config.data.num_classes)
  done = 0
  for images in pairs.ordered_batches(examples, config.loop.eval_batch_size, config.data):
    predictions = tf.argmax(model(images, training=False)["logits"], axis=-1).numpy()
    matrix.add(examples.labels[done : done + len(predictions)], predictions)
    done += len(predictions)
  return {
    "accuracy": matrix.accuracy(),
    "per_class_accuracy": matrix.per_class_accuracy(),
    "num_images": len(examples),
  }


def score_splits(
  model: tf.keras.Model,
  scored: Mapping[str, examples_lib.Examples | None],
  config: config_lib.Config,
) -> dict[str, Any]:
  """{split: scores} of every split that has labels.

  Args:
    scored: {"test": ..., "transductive": ...}; the latter is the split that was adapted to.
  """
  return {
    split: score(model, examples, config)
    for split, examples in scored.items()
    if examples is not None
  }
