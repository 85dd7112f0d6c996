"""Discriminators, which tell source from target activations at each location."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfdam import config as config_lib


class _Stack(tf.keras.Model):
  """Hidden layers with leaky ReLUs, then a classifier; each layer may be wrapped."""

  def __init__(
    self,
    units: Sequence[int],
    num_outputs: int,
    slope: float = 0.0,
    seed: int = 0,
    wrap: Callable[[tf.keras.layers.Layer, int], tf.keras.layers.Layer] | None = None,
    name: str = "discriminator",
  ):
    """Lays out the hidden layers and the classifier.

    Args:
      units: hidden widths.
      num_outputs: 1, or 2 for the two-way softmax.
      slope: slope of the leaky ReLU for negative inputs.
      seed: determines the initial weights, together with the name.
      wrap: takes (layer, seed) and returns a wrapper of the layer, such as spectral
        normalisation.
      name: of the model.
    """
    super().__init__(name=name)
    self.slope = slope
    widths = [*units, num_outputs]
    names = [*(f"hidden{i + 1}" for i in range(len(units))), "classifier"]
    layers = []
    for i, (width, layer_name) in enumerate(zip(widths, names)):
      layer_seed = config_lib.derive_seed(seed, f"{name} {i}")
      is_last = layer_name == "classifier"
      layer = self._layer(
        width,
        is_last,
        kernel_initializer=tf.keras.initializers.GlorotUniform(layer_seed),
        name=layer_name,
        # Logits are float32 even under mixed precision.
        dtype="float32" if is_last else None,
      )
      layers.append(wrap(layer, layer_seed) if wrap else layer)
    *self.hidden, self.classifier = layers

  def _layer(self, width: int, is_last: bool, **options) -> tf.keras.layers.Layer:
    raise NotImplementedError

  def call(self, activations, training=False):
    x = activations
    for layer in self.hidden:
      x = layer(x)
      x = tf.nn.leaky_relu(x, self.slope) if self.slope else tf.nn.relu(x)
    return self.classifier(x)


class PerLocation(_Stack):
  """An MLP over channels at every location: each location is an i.i.d. sample (Sec. 4).

  On a dense tap this is the paper's discriminator: two hidden layers of 500 units and a
  classifier (Sec. 5). On maps it is the same MLP, applied as 1x1 convolutions.

  Call arguments:
    activations: float [B, ..., channels].

  Returns:
    float32 [B, ..., num_outputs], logits.
  """

  def _layer(self, width, is_last, **options):
    return tf.keras.layers.Dense(width, **options)


class Patch(_Stack):
  """Strided 4x4 convolutions, which judge each location with its neighbourhood.

  After Isola et al., "Image-to-image translation with conditional adversarial networks",
  2017, but without batch norms. Zero padding allows small maps.

  Call arguments:
    activations: float [B, H, W, channels].

  Returns:
    float32 [B, ceil(H / 2^n), ceil(W / 2^n), num_outputs] for n hidden layers, logits.

  Raises:
    ValueError: the activations are a dense layer's.
  """

  def _layer(self, width, is_last, **options):
    return tf.keras.layers.Conv2D(
      width, 4, strides=1 if is_last else 2, padding="same", **options
    )

  def call(self, activations, training=False):
    if activations.shape.rank != 4:
      raise ValueError(
        f"'{self.name}' takes maps [B, H, W, channels], not {activations.shape}: dense taps"
        " need a discriminator per location."
      )
    return super().call(activations, training)
