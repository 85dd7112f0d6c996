"""Scores a network on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Union

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import progress
from tfdam.data import feeds, pairs, unions
from tfdam.data import scenes as scenes_lib
from tfdam.metrics import confusion

Logits = Callable[[tf.Tensor], tf.Tensor]
# Logits; or {target: Logits of its network}, if each target has a network.
Inference = Union[Logits, Mapping[str, Logits]]


def compile_inference(model: tf.keras.Model, options: config_lib.Data) -> Inference:
  """Compiles the network for inference on batches of any number of images.

  Uncompiled, it takes twice as long on a CPU.

  Args:
    model: a network, or a network for each target (training/per_target.py).
    options: `height`, `width` and `channels` of the images.

  Returns:
    A function, or one for each target, from images float32 [B, H, W, C] to logits float32
    [B, classes] or [B, H, W, classes].
  """
  if hasattr(model, "of_target"):
    return {name: _compiled(model.of_target(name), options) for name in model.names}
  return _compiled(model, options)


def logits_of(model: Any, images: tf.Tensor, split: feeds.Split) -> tf.Tensor:
  """Returns the logits of images, from the network of each image's target.

  Args:
    model: a network, or a network for each target (training/per_target.py).
    images: float32 [B, H, W, C], all images of the split.
    split: knows each image's target.
  """
  if not hasattr(model, "of_target"):
    return model(images, training=False)["logits"]
  assert split.parts is not None
  names = [split.parts.names[part] for part in split.parts.of]
  every = [
    model.of_target(name)(images[i : i + 1])["logits"] for i, name in enumerate(names)
  ]
  return tf.concat(every, axis=0)


def _compiled(model: Any, options: config_lib.Data) -> Logits:
  shape = [None, options.height, options.width, options.channels]

  @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
  def logits(images):
    return model(images, training=False)["logits"]

  return logits


def score(
  logits: Inference,
  split: feeds.Split,
  config: config_lib.Config,
  title: str = "",
  matrices: dict[str, np.ndarray] | None = None,
) -> dict[str, Any]:
  """Scores a split: accuracies of images, or IoUs of pixels at the labels' own size.

  All scores are fractions from 0 to 1. If the split has several parts, such as targets,
  "parts" has the scores of each.

  Args:
    logits: what `compile_inference` returned.
    split: with labels.
    config: of the run.
    title: of the split, for messages.
    matrices: receives the confusion matrix, {title: int64 [classes, classes]}, with labels
      in rows.

  Raises:
    config.UserError: the split's labels ignore every pixel.
  """
  if not split.has_labels:
    raise ValueError("Images without labels cannot be scored.")
  parts = split.parts.names if split.parts else ("",)
  counted = [confusion.Confusion(config.data.num_classes) for _ in parts]
  ignored = scenes_lib.IGNORED if isinstance(split, scenes_lib.Scenes) else None
  with progress.bar(f"scoring {title}", 0, len(split), "images") as shown:
    for done, part, predicted, labels in _predictions(logits, split, config):
      counted[part].add(labels, predicted, ignored=ignored)
      shown.update(done, {})
  matrix = counted[0]
  if split.parts:
    matrix = confusion.Confusion(config.data.num_classes)
    matrix.counts += sum(of_part.counts for of_part in counted)
  if not matrix.counts.any():
    raise config_lib.UserError(
      f"No label of {config.data.target}, split '{title}', has a pixel of data.classes"
      f" ({config.data.classes}): it cannot be scored.",
      "Mend the labels or take them away (a target needs none), or set data.classes.",
    )
  if matrices is not None:
    matrices[title] = matrix.counts
  is_scenes = isinstance(split, scenes_lib.Scenes)
  scores = _scores(matrix, len(split), is_scenes)
  if split.parts:
    scores["parts"] = {
      name: _scores(of_part, len(split.parts.where(name)), is_scenes)
      for name, of_part in zip(parts, counted)
      if of_part.counts.any()
    }
  return scores


def _scores(
  matrix: confusion.Confusion, num_images: int, is_scenes: bool
) -> dict[str, Any]:
  if is_scenes:
    return {**matrix.scores(), "num_images": num_images}
  return {
    "accuracy": matrix.accuracy(),
    "per_class_accuracy": matrix.per_class_accuracy(),
    "per_class_images": matrix.counts.sum(axis=1).tolist(),
    "num_images": num_images,
  }


def score_splits(
  model: tf.keras.Model,
  scored: Mapping[str, feeds.Split | None],
  config: config_lib.Config,
  matrices: dict[str, np.ndarray] | None = None,
) -> dict[str, Any]:
  """Returns {split: scores} for every split that has labels.

  Args:
    model: a network, or a network for each target.
    scored: {"test": ..., "transductive": ...}; the latter is the split that was adapted to.
    config: of the run.
    matrices: receives the confusion matrices, {split: int64 [classes, classes]}.
  """
  logits = compile_inference(model, config.data)
  return {
    name: score(logits, split, config, name, matrices)
    for name, split in scored.items()
    if split is not None
  }


def label_map(logits: tf.Tensor, size: tuple[int, ...]) -> np.ndarray:
  """Returns the likeliest class of every pixel of a scene.

  Args:
    logits: float32 [H, W, classes], resized bilinearly to `size`.
    size: height and width of the map.

  Returns:
    int64 [*size].
  """
  if tuple(logits.shape[:2]) != size:
    logits = tf.image.resize(logits, size)
  return tf.argmax(logits, axis=-1).numpy()


def _predictions(
  network: Inference, split: feeds.Split, config: config_lib.Config
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
  """Yields (images done, part, predictions, labels) over a split."""
  done = 0
  if not callable(network):
    assert split.parts is not None
    for name, images_of in unions.parts(split).items():
      which = split.parts.names.index(name)
      for found, _, predicted, labels in _predictions(network[name], images_of, config):
        yield done + found, which, predicted, labels
      done += len(images_of)
    return
  of = split.parts.of if split.parts else np.zeros(len(split), np.int64)
  for images in pairs.ordered_batches(split, config.loop.eval_batch_size, config.data):
    logits = network(images)
    end = done + len(images)
    if isinstance(split, scenes_lib.Scenes):
      for i in range(done, end):
        assert split.read_label  # `score` has checked this
        labels = split.read_label(i)
        yield i + 1, of[i], label_map(logits[i - done], labels.shape), labels
    else:
      assert split.labels is not None
      predicted, labels = tf.argmax(logits, axis=-1).numpy(), split.labels[done:end]
      for part in np.unique(of[done:end]):
        chosen = of[done:end] == part
        yield end, part, predicted[chosen], labels[chosen]
    done = end
