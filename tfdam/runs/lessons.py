"""Features and labels of images, which the curriculum's simple models learn from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.curriculum import label_shares, logistic, superpixels
from tfdam.data import feeds, pairs, scene_files

# Bounds of what the simple models learn from: source images, superpixels of all of them,
# and bytes of features, which take time to fit.
_MOST_IMAGES, _MOST_SUPERPIXELS, _MOST_BYTES = 2_000, 40_000, 1 << 28


class Seen(NamedTuple):
  """One image's superpixels, features and labels.

  Attributes:
    superpixels: int64 [H, W].
    of_superpixels: float32 [N, D], their features.
    of_image: float32 [D'], features of the image.
    label: uint8 [H, W]; None for target images.
  """

  superpixels: np.ndarray
  of_superpixels: np.ndarray
  of_image: np.ndarray
  label: np.ndarray | None


class Lessons(NamedTuple):
  """What the simple models learn from: features and labels of images and superpixels."""

  of_images: np.ndarray
  shares: np.ndarray
  of_superpixels: np.ndarray
  classes: np.ndarray


def some(source: feeds.Split, seed: int) -> feeds.Split:
  """Returns the source's images, or as many as the simple models learn from."""
  if len(source) <= _MOST_IMAGES:
    return source
  return source.take(pairs.choice(len(source), _MOST_IMAGES, seed))


def lessons(config: config_lib.Config, seen: Iterator[Seen], count: int) -> Lessons:
  """Collects features and labels of source images and of some of their superpixels.

  Args:
    config: the run's.
    seen: the source images.
    count: number of source images, which share the bound of superpixels.
  """
  num_classes = config.data.num_classes
  draw = np.random.RandomState(config_lib.derive_seed(config.seed, "superpixels"))
  of_images, shares, of_superpixels, classes = [], [], [], []
  for image, counted, found in labelled(seen, num_classes):
    of_images.append(image.of_image)
    shares.append(counted)
    most = min(_MOST_SUPERPIXELS, _MOST_BYTES // (8 * image.of_superpixels.shape[1]))
    kept = draw.permutation(np.flatnonzero(found >= 0))[: math.ceil(most / count)]
    of_superpixels.append(image.of_superpixels[kept])
    classes.append(found[kept])
  if not any(map(len, classes)):
    raise config_lib.UserError(
      f"No superpixel of {config.data.source} has labels for half of its pixels.",
      "Set data.classes, or adapt.curriculum_weight=0.",
    )
  parts = np.concatenate(of_superpixels), np.concatenate(classes)
  return Lessons(np.stack(of_images), np.stack(shares), *parts)


def labelled(
  seen: Iterable[Seen], num_classes: int
) -> Iterator[tuple[Seen, np.ndarray, np.ndarray]]:
  """Yields each image that has labels, with what simple models are to find.

  Yields:
    The image, its shares of classes, float64 [K], and its superpixels' classes, int64 [N]
    (see `superpixels.dominant`).
  """
  for image in seen:
    assert image.label is not None
    shares = label_shares.counted(image.label, num_classes)
    if shares is not None:
      classes = superpixels.dominant(image.superpixels, image.label, num_classes)
      yield image, shares, classes


def scale(features: list[np.ndarray]) -> logistic.Scale:
  """The scale of many images' superpixels, with the same bound as for the source's."""
  most = min(_MOST_SUPERPIXELS, _MOST_BYTES // (8 * features[0].shape[1]))
  step = math.ceil(sum(map(len, features)) / most)
  return logistic.Scale.of(np.concatenate([each[::step] for each in features]))


def images(
  config: config_lib.Config,
  network: tf.keras.Model,
  tap: str,
  split: feeds.Split,
  labels: bool,
) -> Iterator[Seen]:
  """Yields every image of a split, at the network's input size, with its features."""
  read, size = feeds.feed(split, config.data, labels), config.match.batch_size
  count = config.adapt.curriculum_superpixels

  def look(image: np.ndarray, activations: np.ndarray, label: np.ndarray | None) -> Seen:
    lab = superpixels.to_lab(image)
    segments = superpixels.segment(lab, count)
    return Seen(
      segments,
      superpixels.features(segments, activations, lab),
      label_shares.features(activations, lab),
      label,
    )

  # Threads help, since scikit-image's compiled loops release Python's lock.
  with scene_files.decoders() as pool:
    for first in range(0, len(split), size):
      batch = read(tf.range(first, min(first + size, len(split)), dtype=tf.int64))
      found = network(batch["image"], training=False)["taps"][tap]
      activations = tf.cast(found, tf.float32).numpy()
      label_maps = batch["label"].numpy() if labels else [None] * len(activations)
      yield from pool.map(look, batch["image"].numpy(), activations, label_maps)
