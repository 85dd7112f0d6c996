"""Turns indices of images into tensors: digits from memory, scenes from files."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import scene_files, transforms
from tfdam.data import scenes as scenes_lib

Split = scenes_lib.Split
# indices int64 [B] -> {"image": float32 [B, height, width, C] in [0, 1], "label": int64 [B]
# or uint8 [B, height, width]}
Feed = Callable[[tf.Tensor], dict[str, tf.Tensor]]

# {mark: what a reader raised}. TensorFlow passes on only an error's text. A mark in the
# text tells this error from those of other feeds and of prefetched batches that nobody
# read.
_failures: dict[str, Exception] = {}
_numbers = itertools.count()


def feed(split: Split, options: config_lib.Data, labels: bool) -> Feed:
  """Returns the function that makes batches of a split; see `Feed`.

  Args:
    split: the images.
    options: `height`, `width` and `channels`.
    labels: whether a batch holds labels; False leaves them unread.
  """
  if isinstance(split, scenes_lib.Scenes):
    return _from_scenes(split, options, labels)
  return _from_memory(split, options, labels)


@contextlib.contextmanager
def failures_explained() -> Iterator[None]:
  """Raises a reader's own error instead of the one that TensorFlow wraps it in."""
  try:
    yield
  except tf.errors.OpError as error:
    marks = [mark for mark in tuple(_failures) if mark in str(error)]
    if not marks:
      raise
    raise _failures.pop(marks[0]) from error


def marked(error: Exception) -> RuntimeError:
  """Returns the error to raise within tf.data; `failures_explained` then raises `error`."""
  mark = f"<reader's error {next(_numbers)}>"
  _failures[mark] = error
  return RuntimeError(f"{mark} {error}")


def _from_memory(split: examples_lib.Examples, options, labels: bool) -> Feed:
  # On the host: tf.data runs there, and arrays on a GPU would be copied back and forth.
  with tf.device("/CPU:0"):
    stored_images = tf.constant(split.images)
    stored_labels = tf.constant(split.labels) if labels else None

  def read(indices):
    images = transforms.to_network(
      tf.gather(stored_images, indices), options.height, options.width, options.channels
    )
    if stored_labels is None:
      return {"image": images}
    return {"image": images, "label": tf.gather(stored_labels, indices)}

  return read


def _from_scenes(split: scenes_lib.Scenes, options, labels: bool) -> Feed:
  read_label = split.read_label

  def pair(i: int) -> tuple[np.ndarray, np.ndarray]:
    label = read_label(i) if labels and read_label else np.zeros((), np.uint8)
    return split.read_image(i), label

  def batch(indices):
    # Each batch makes its own pool, which costs 1 ms. TensorFlow never releases a Python
    # function, so nothing would close a pool that a feed kept.
    try:
      with scene_files.decoders() as pool:
        images, label_maps = zip(*pool.map(pair, indices.tolist()))
    except Exception as error:
      raise marked(error) from error
    return np.stack(images), np.stack(label_maps)

  def read(indices):
    # If it were stateful, deterministic TensorFlow would not read batches in parallel.
    images, label_maps = tf.numpy_function(
      batch, [indices], [tf.uint8, tf.uint8], stateful=False
    )
    size = indices.shape[0]
    images.set_shape([size, options.height, options.width, 3])
    images = transforms.to_network(images, options.height, options.width, options.channels)
    if not labels:
      return {"image": images}
    label_maps.set_shape([size, options.height, options.width])
    return {"image": images, "label": label_maps}

  return read
