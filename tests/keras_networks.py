"""Keras networks as users have them, of Keras 2 or 3: random weights, small images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

SIZE = 32
CLASSES = 4


def keras_of(version: int) -> Any:
  """`tf.keras`, or Keras 3's package; skips the test where there is none."""
  if version == 2:
    return tf.keras
  import keras

  if not keras.__version__.startswith("3."):
    pytest.skip("Keras 3 is not here")
  return keras


def newest() -> int:
  """The version of the package `keras` that is here, 2 or 3."""
  import keras

  return int(keras.__version__.split(".")[0])


def sequential(keras: Any) -> Any:
  layers = keras.layers
  return keras.Sequential([
    layers.Input((SIZE, SIZE, 3)),
    layers.Conv2D(6, 3, strides=2, activation="relu", name="first"),
    layers.MaxPooling2D(),
    layers.Conv2D(8, 3, dilation_rate=2, name="second"),
    layers.LayerNormalization(name="norm"),
    layers.LeakyReLU(),
    layers.Flatten(),
    layers.Dropout(0.5),
    layers.Dense(CLASSES, name="scores"),
  ])  # fmt: skip


def nested(keras: Any) -> Any:
  """A backbone called as one layer, frozen, as in transfer learning."""
  layers = keras.layers
  inner = layers.Input((SIZE, SIZE, 3))
  x = layers.Conv2D(6, 3, use_bias=False, name="conv")(inner)
  x = layers.BatchNormalization(name="norm")(x)
  x = layers.ReLU(name="relu")(x)
  x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
  backbone = keras.Model(inner, x, name="backbone")
  head = keras.Sequential(
    [layers.Input((12,)), layers.Dense(7, activation="relu", name="hidden")], name="head"
  )
  images = layers.Input((SIZE, SIZE, 3))
  x = layers.Rescaling(1 / 255.0)(images)
  x = backbone(x, training=False)
  x = head(layers.GlobalAveragePooling2D()(x))
  scores = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
  return keras.Model(images, scores, name="nested")


def unet(keras: Any) -> Any:
  """Transposed convolutions, concatenations, and any height and width."""
  layers = keras.layers
  images = layers.Input((None, None, 3))

  def block(x, filters, name):
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)

  one = block(images, 4, "down1")
  two = block(layers.MaxPooling2D()(one), 8, "down2")
  x = block(layers.MaxPooling2D()(two), 12, "bottom")
  x = layers.Conv2DTranspose(8, 2, strides=2, activation="relu", name="up2")(x)
  x = block(layers.Concatenate()([x, two]), 8, "merged2")
  x = layers.Conv2DTranspose(4, 2, strides=2, name="up1")(x)
  x = block(layers.Concatenate()([x, one]), 4, "merged1")
  return keras.Model(images, layers.Conv2D(CLASSES, 1, name="scores")(x), name="unet")


def separable(keras: Any) -> Any:
  """A depthwise-separable segmenter with a residual, a shared layer, and a softmax."""
  layers = keras.layers
  images = layers.Input((SIZE, SIZE, 3))
  x = layers.SeparableConv2D(8, 3, strides=2, padding="same", name="entry")(images)
  shared = layers.Conv2D(8, 1, activation="relu", name="shared")
  x = layers.Add(name="sum")([shared(x), shared(layers.ReLU()(x))])
  x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
  x = layers.BatchNormalization(scale=False, name="norm")(x)
  x = layers.Conv2D(8, 3, padding="same", groups=4, name="grouped")(x)
  x = layers.UpSampling2D(interpolation="bilinear")(x)
  x = layers.Conv2D(CLASSES, 1, name="scores")(x)
  return keras.Model(images, layers.Softmax(name="softmax")(x), name="separable")


def residual(keras: Any) -> Any:
  """Pre-activation blocks and squeeze-and-excitation."""
  layers = keras.layers
  images = layers.Input((SIZE, SIZE, 3))
  x = layers.Conv2D(8, 3, strides=2, name="stem")(images)
  for i in range(2):
    y = layers.BatchNormalization(name=f"norm{i}")(x)
    y = layers.Activation("swish", name=f"swish{i}")(y)
    y = layers.Conv2D(8, 3, padding="same", name=f"conv{i}")(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name=f"gate{i}")(gate)
    x = layers.Add(name=f"sum{i}")([x, layers.Multiply(name=f"gated{i}")([y, gate])])
  x = layers.GlobalAveragePooling2D()(x)
  return keras.Model(images, layers.Dense(CLASSES, name="scores")(x), name="residual")


def application(name: str):
  def make(keras: Any) -> Any:
    return getattr(keras.applications, name)(
      weights=None, input_shape=(SIZE, SIZE, 3), classes=CLASSES
    )

  make.__name__ = name
  return make


SMALL = (sequential, nested, unet, separable, residual)
APPLICATIONS = tuple(
  map(application, ("MobileNetV2", "EfficientNetV2B0", "ResNet50", "DenseNet121"))
)


def made(make: Any, version: int) -> Any:
  """A network with weights, moving moments among them, that are no one's defaults."""
  keras = keras_of(version)
  keras.utils.set_random_seed(1)
  model = make(keras)
  random = np.random.RandomState(0)
  model.set_weights([w * random.uniform(0.8, 1.2, w.shape) for w in model.get_weights()])
  return model


def images(count: int, seed: int = 0, brightness: float = 1.0) -> np.ndarray:
  """float32 [count, SIZE, SIZE, 3], 0 to 255 at most; smooth enough to have structure."""
  random = np.random.RandomState(seed)
  coarse = random.uniform(0, 255, (count, 8, 8, 3)).repeat(4, 1).repeat(4, 2)
  noisy = 0.8 * coarse + 0.2 * random.uniform(0, 255, coarse.shape)
  return (brightness * noisy + 20 * (1 - brightness)).astype(np.float32)


def variables(model: Any) -> list[tuple[str, tuple[int, ...], bool]]:
  """(layer's and own name, shape, whether it is trained) of every variable.

  What Keras 3 puts before them depends on whether a Sequential was built or read.
  """
  return [
    (
      "/".join(getattr(v, "path", v.name).split("/")[-2:]),
      tuple(v.shape),
      bool(v.trainable),
    )
    for v in model.weights
  ]
