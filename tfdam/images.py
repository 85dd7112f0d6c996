"""Images in all forms that users may give: arrays, tf.data, folders, tfdam's data sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import data, runtime
from tfdam.data import examples, feeds, image_files, image_globs, labels, pairs, scenes

# Images taken from a data set of unknown or infinite size if no limit is given.
_MANY = 10_000
# Numbers of an array that are checked at once.
_BLOCK = 1 << 22
# (H, W, C) of a network's images; None where any size is allowed.
Shape = tuple[Optional[int], ...]


class Wanted(NamedTuple):
  """The images that a network takes.

  Attributes:
    shape: (H, W, C); None where any size is allowed.
    prepared: turns pixels from 0 to 255 into the network's input; None if this is not
      known, in which case image files cannot be read.
    prepares_arrays: whether arrays hold pixels as well, and not the network's input.
  """

  shape: Shape
  prepared: Callable[[tf.Tensor], tf.Tensor] | None
  prepares_arrays: bool


class Images:
  """Images of one domain, in the same order each time.

  Attributes:
    argument: their name in errors: "source" or "target".
    shape: (H, W, C) of every image.
  """

  def __init__(self, given: Any, argument: str, wanted: Wanted):
    """Checks the kind of `given`, and its first image.

    Args:
      given: array-like [N, H, W, C] of numbers; a tf.data.Dataset of images, of batches, or
        of tuples or dicts that begin with images (or have "image"); the path of a folder of
        images; the name of a data set of tfdam; or a loaded split of one.
      argument: "source" or "target".
      wanted: the images that the network takes.

    Raises:
      config.UserError: `given` is none of these, has no image or one that the network does
        not take, or is an array with values that are not finite.
    """
    self.argument = argument
    self._size: int | None = None
    if isinstance(given, tf.data.Dataset):
      self._dataset = _images_of(given, argument)
    else:
      self._size, read = _indexed(given, argument, wanted)
      self._read = pairs.plain(lambda indices: _finite(read(indices), indices, argument))
    self.shape = _checked(next(self.checked_batches(1, 1)), argument, wanted.shape)
    if self._size is None:
      self._dataset = _alike(self._dataset, self.shape, argument)

  def batches(self, batch_size: int, limit: int = 0, seed: int = 0) -> tf.data.Dataset:
    """Every image once, or `limit` of them.

    From a tf.data.Dataset these are the first ones, else a seeded choice.

    Returns:
      A data set of float32 [<=batch_size, H, W, C].
    """
    if self._size is None:
      count = limit or (_MANY if self._dataset.cardinality() < 0 else -1)
      return pairs.untuned(self._dataset.take(count).batch(batch_size).prefetch(1))
    indices = np.arange(self._size)
    if 0 < limit < self._size:
      indices = np.sort(pairs.choice(self._size, limit, seed))
    chosen = tf.data.Dataset.from_tensor_slices(indices.astype(np.int64))
    return pairs.untuned(chosen.batch(batch_size).map(self._read).prefetch(1))

  def checked_batches(
    self, batch_size: int, limit: int = 0, seed: int = 0
  ) -> Iterator[tf.Tensor]:
    """Yields the batches of `batches`.

    Raises:
      config.UserError: there is no image; or an image has a value that is not finite, or
        another shape than the first; or its file is damaged.
    """
    batch = None
    with feeds.failures_explained():
      for batch in self.batches(batch_size, limit, seed):
        yield batch
    if batch is None:
      raise config_lib.UserError(
        f"{self.argument} holds no images; expected at least one, each time it is read."
      )

  def endless(self, batch_size: int, seed: int) -> tf.data.Dataset:
    """Batches of random images for training; read them in `feeds.failures_explained`.

    Returns:
      A data set of float32 [batch_size, H, W, C]. It depends only on the seed and the step,
      unless the images come from a tf.data.Dataset, which is shuffled in a buffer.
    """
    if self._size is None:
      endless = self._dataset.repeat().shuffle(1_000, seed)
      return endless.batch(batch_size, drop_remainder=True).prefetch(2)
    size = self._size

    def batch(step):
      drawn = pairs.indices(step, batch_size, size, seed, self.argument, pairs.WHOLE)
      return self._read(drawn)

    return pairs.by_step(batch, 0)


def _images_of(dataset: tf.data.Dataset, argument: str) -> tf.data.Dataset:
  """The images of a data set, one by one, as float32 [H, W, C]."""

  def image(*element):
    found = element[0]
    while not tf.is_tensor(found):
      if isinstance(found, dict):
        found = found["image"] if "image" in found else next(iter(found.values()))
      else:
        found = found[0]
    return tf.cast(found, tf.float32)

  images = dataset.map(pairs.plain(image), num_parallel_calls=2)
  rank = images.element_spec.shape.rank
  if rank not in (3, 4):
    raise config_lib.UserError(
      f"{argument} is a data set of {images.element_spec.shape}; expected images"
      " [H, W, C], or batches of them."
    )
  return images if rank == 3 else images.unbatch()


def _alike(images: tf.data.Dataset, shape: Shape, argument: str) -> tf.data.Dataset:
  """The same images; reading fails at one of another shape, or with nan or infinity."""

  def refuse(found, number):
    error = config_lib.UserError(
      f"{argument} has images of several shapes: {shape} is the first, and"
      f" {tuple(map(int, found))} is number {number}; expected one shape. Resize them."
    )
    raise feeds.marked(error) from error

  def checked(number, image):
    def refused():
      (failed,) = tf.numpy_function(refuse, [tf.shape(image), number], [tf.float32])
      return tf.ensure_shape(failed, shape)

    is_alike = tf.reduce_all(tf.shape(image) == shape)
    image = tf.cond(is_alike, lambda: tf.ensure_shape(image, shape), refused)
    return _finite(image[None], number[None], argument)[0]

  return images.enumerate().map(pairs.plain(checked))


def _finite(images: tf.Tensor, numbers: tf.Tensor, argument: str) -> tf.Tensor:
  """Returns `images`; reading them fails if a value is not finite.

  Args:
    images: float32 [B, H, W, C].
    numbers: int64 [B], their positions among all images.
    argument: "source" or "target".
  """

  def refuse(images, numbers):
    are_bad = ~np.isfinite(images).all(axis=(1, 2, 3))
    error = _not_finite(argument, int(numbers[are_bad][0]))
    raise feeds.marked(error) from error

  def refused():
    # If this were stateful, deterministic TensorFlow would read batches sequentially.
    (failed,) = tf.numpy_function(refuse, [images, numbers], [tf.float32], stateful=False)
    return tf.ensure_shape(failed, images.shape)

  is_finite = tf.reduce_all(tf.math.is_finite(images))
  return tf.cond(is_finite, lambda: images, refused)


def _check_finite(array: np.ndarray, argument: str) -> None:
  """Raises config.UserError if a value is nan, infinite, or too large for float32."""
  if array.dtype.kind != "f" or not array.size:
    return
  step = max(1, _BLOCK // array[0].size)
  for begin in range(0, len(array), step):
    block = np.abs(array[begin : begin + step]).max(axis=(1, 2, 3))
    are_bad = ~(block <= np.finfo(np.float32).max)
    if are_bad.any():
      raise _not_finite(argument, begin + int(are_bad.argmax()))


def _not_finite(argument: str, number: int) -> config_lib.UserError:
  return config_lib.UserError(
    f"{argument} has values that are nan or infinite, first in image {number}; expected"
    " finite ones. Mend or leave out these images."
  )


def _indexed(given: Any, argument: str, wanted: Wanted):
  """Returns (number of images, function from indices int64 [B] to float32 [B, H, W, C])."""
  if isinstance(given, (str, os.PathLike)):
    given = _named(os.fspath(given), argument, wanted)
  if isinstance(given, (examples.Examples, scenes.Scenes)):
    return _of_split(given, argument, wanted)
  try:
    array = np.asarray(given)
  except ValueError:  # A list of images of several sizes, or a pair of images and labels.
    array = np.zeros(0, object)
  if array.ndim != 4 or array.dtype.kind not in "fiub":
    raise config_lib.UserError(
      f"{argument} is {array.dtype} of shape {array.shape}; expected images"
      " [N, H, W, C] of numbers, a tf.data.Dataset, or the path of a folder."
    )
  _check_finite(array, argument)
  with tf.device("/CPU:0"):  # Batches are gathered there.
    stored = tf.constant(array)
  prepared = wanted.prepared if wanted.prepares_arrays else None

  def read(indices):
    images = tf.cast(tf.gather(stored, indices), tf.float32)
    return prepared(images) if prepared else images

  return len(array), read


def _named(name: str, argument: str, wanted: Wanted) -> scenes.Split:
  """The images of a folder, or the training split of a data set."""
  height, width, channels = wanted.shape
  if os.path.isdir(name):
    paths = image_globs.find(name, "**")
    if not paths:
      raise config_lib.UserError(
        f"{argument} is the folder {name}, which holds no images, nor do its folders;"
        " expected PNG, JPEG, WebP, BMP or TIFF files."
      )
    return scenes.Scenes(paths, lambda i: image_files.read_image(paths[i]), None, (), {})
  set_name = name.partition(":")[0]
  if set_name not in data.DATASETS:
    raise config_lib.UserError(
      f"{argument} is '{name}', which is no folder and no data set"
      f" ({', '.join(data.DATASETS)}).{config_lib.nearest(set_name, data.DATASETS)}"
    )
  options = config_lib.Data(
    source=name, target=name, classes=labels.NO_LABELS,
    height=height or 256, width=width or 256, channels=channels or 3,
  )  # fmt: skip
  root = runtime.data_root(options)
  data.check_files(options, root)
  return data.load_training("source", False, options, root, 0)


def _of_split(split: scenes.Split, argument: str, wanted: Wanted):
  prepared = wanted.prepared
  if prepared is None:
    raise config_lib.UserError(
      f"{argument} are image files, and nothing says how the network takes their pixels"
      " (0 to 255): it begins with no Rescaling or Normalization layer. Say it with"
      " tfdam.Network(model, expects=tfdam.Expects(scale=1 / 255)), or hand over arrays."
    )
  if not len(split):
    raise config_lib.UserError(f"{argument} holds no images; expected at least one.")
  height, width, channels = wanted.shape
  if height is None or width is None:
    own = split.read_image(0) if isinstance(split, scenes.Scenes) else split.images[0]
    height, width = height or own.shape[0], width or own.shape[1]
  options = config_lib.Data(height=height, width=width, channels=channels or 3)
  if isinstance(split, scenes.Scenes):
    split = scenes.at_size(split.without_labels(), options)
  feed = feeds.feed(split, options, labels=False)
  return len(split), lambda indices: prepared(feed(indices)["image"] * 255.0)


def _checked(batch: tf.Tensor, argument: str, wanted: Shape) -> tuple[int, int, int]:
  """Returns the shape of the first image.

  Raises:
    config.UserError: the network takes another shape.
  """
  found: Any = tuple(batch.shape[1:])
  if 0 in found or any(w is not None and f != w for f, w in zip(found, wanted)):
    expected = ", ".join("any" if w is None else str(w) for w in wanted)
    raise config_lib.UserError(
      f"{argument} has images of shape {found} (height, width, channels); the network"
      f" takes ({expected}). Resize them, or convert their channels."
    )
  return found
