"""A light head for an outsider's network: it learns CamVid's classes on drawn streets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from configs.segmentation import recipes
from tfdam import config as config_lib
from tfdam.data import streets

_BATCH = 8


def add(images: tf.Tensor, depths: list[tf.Tensor], name: str) -> tf.keras.Model:
  """Builds a network with a head of three layers a depth; the head's weights are random.

  Args:
    images: the trunk's input.
    depths: its maps at 1/4, 1/8 and so on of the images' size.

  Returns:
    The trunk's images to scores [B, H / 4, W / 4, 11].
  """
  return tf.keras.Model(images, _head(depths), name=name)


def train(
  model: tf.keras.Model,
  depths: list[tf.Tensor],
  prepare: Callable[[np.ndarray], np.ndarray],
  steps: int,
  num_images: int,
  size: tuple[int, int],
) -> None:
  """Trains the head; the trunk stays as it is, and is computed once an image.

  Args:
    model: what `add` returned.
    depths: what it was given.
    prepare: of pixels uint8 [H, W, 3] what the trunk takes, [H, W, 3].
    steps: of 8 images.
    num_images: that it learns from.
    size: their height and width.
  """
  trunk = tf.keras.Model(model.input, depths)
  head = tf.keras.Model(depths, model.output)
  features, labels = [], []
  for pixels, label in _streets(num_images, size):
    features.append(trunk(prepare(pixels)[np.newaxis].astype(np.float32)))
    labels.append(label[2::4, 2::4])
  loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
  head.compile(tf.keras.optimizers.Adam(2e-3), loss)
  examples = tuple(tf.concat(depth, 0) for depth in zip(*features)), np.stack(labels)
  batches = tf.data.Dataset.from_tensor_slices(examples).shuffle(num_images, seed=0)
  head.fit(batches.repeat().batch(_BATCH), steps_per_epoch=steps, epochs=1, verbose=0)


def _head(depths: list[tf.Tensor]) -> tf.Tensor:
  layers, found = tf.keras.layers, []
  for i, x in enumerate(depths, 3):
    x = layers.BatchNormalization(momentum=0.9, name=f"norm{i}")(x)
    x = layers.Conv2D(32, 1, activation="relu", name=f"side{i}")(x)
    factor = 2 ** (i - 3)
    found.append(layers.UpSampling2D(factor, interpolation="bilinear")(x))
  x = layers.Conv2D(64, 3, padding="same", activation="relu", name="joined")(
    layers.Concatenate()(found)
  )
  return layers.Conv2D(len(recipes.CAMVID.split(",")), 1, name="scores")(x)


def _streets(count: int, size: tuple[int, int]) -> Iterable[tuple[np.ndarray, np.ndarray]]:
  options = config_lib.Data(
    classes=recipes.CAMVID, num_classes=0, height=size[0], width=size[1], channels=3
  )
  scenes = streets.SIM.load("", "train", True, options)
  assert scenes.read_label  # they were asked for
  for i in range(count):
    yield scenes.read_image(i), scenes.read_label(i)
