"""CycleGAN's discriminator, which judges patches (PatchGAN, Isola et al., CVPR 2017)."""

from __future__ import annotations

import tensorflow as tf

from tfdam import addons
from tfdam import config as config_lib
from tfdam.translation import generator

_SLOPE = 0.2
# The largest number of channels, as a multiple of the first convolution's.
_WIDEST = 8


class PatchDiscriminator(tf.keras.Model):
  """4x4 convolutions: some with stride 2, then two with stride 1.

  With three of stride 2, each output judges a patch of 70x70 pixels.

  Call arguments:
    images: float32 [B, H, W, C], in [-1, 1].

  Returns:
    float32 [B, H', W', 1], where H' = floor(H / 2^n) - 2 for n strides, and W' likewise.
    Values are near 1 for images of the domain, and near 0 for translated ones.
  """

  def __init__(self, options: config_lib.Translation, seed: int, name: str):
    """Lays out the layers.

    Args:
      options: `discriminator_channels` and `discriminator_layers`.
      seed: determines the initial weights, together with the name.
      name: of the model.
    """
    super().__init__(name=name)
    widths = [
      options.discriminator_channels * min(2**i, _WIDEST)
      for i in range(options.discriminator_layers + 1)
    ]
    strides = [2] * options.discriminator_layers + [1]

    def conv(i: int, width: int, stride: int, **more) -> tf.keras.layers.Layer:
      init = generator.initializer(config_lib.derive_seed(seed, f"{name} {i}"))
      return tf.keras.layers.Conv2D(
        width, 4, stride, kernel_initializer=init, name=f"conv{i + 1}", **more
      )

    self.hidden = [
      conv(i, width, stride) for i, (width, stride) in enumerate(zip(widths, strides))
    ]
    self.judge = conv(len(widths), 1, 1, dtype="float32")
    # No norm after the first convolution.
    self.norms = [addons.instance_norm() for _ in self.hidden[1:]]

  def call(self, images):
    x = images
    for convolution, norm in zip(self.hidden, [tf.identity, *self.norms]):
      x = tf.nn.leaky_relu(norm(convolution(_padded(x))), _SLOPE)
    return self.judge(_padded(x))


def smallest_side(num_layers: int) -> int:
  """The smallest side of an image, in pixels, that still gives outputs."""
  return 3 * 2**num_layers


def _padded(x: tf.Tensor) -> tf.Tensor:
  return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
