"""CycleGAN's generator: a residual network from images to images (Zhu et al., ICCV 2017).

The layers are those of Johnson et al. 2016, as listed in CycleGAN's appendix.
"""

from __future__ import annotations

import tensorflow as tf

from tfdam import addons
from tfdam import config as config_lib

# Standard deviation of the initial weights, as in CycleGAN: N(0, 0.02).
_DEVIATION = 0.02
_KERNEL = 7


class Generator(tf.keras.Model):
  """Two convolutions of stride 2, residual blocks, two transposed convolutions.

  Call arguments:
    images: float32 [B, H, W, C], in [-1, 1].

  Returns:
    float32 [B, H, W, C], in [-1, 1].
  """

  def __init__(
    self,
    options: config_lib.Translation,
    image_channels: int,
    seed: int,
    name: str = "generator",
  ):
    """Lays out the layers.

    Args:
      options: `channels` of the first convolution, and number of residual `blocks`.
      image_channels: C.
      seed: determines the initial weights, together with the name.
      name: of the model.
    """
    super().__init__(name=name)
    wide = 4 * options.channels
    make = _Layers(name, seed)
    self.entry = make.conv(options.channels, _KERNEL, padding="valid")
    self.down = [make.conv(width, 3, strides=2) for width in (wide // 2, wide)]
    self.blocks = [
      [make.conv(wide, 3, padding="valid") for _ in range(2)] for _ in range(options.blocks)
    ]
    self.up = [make.transposed(width) for width in (wide // 2, wide // 4)]
    self.exit = make.conv(image_channels, _KERNEL, padding="valid", dtype="float32")
    self.entry_norm = addons.instance_norm()
    self.down_norms, self.up_norms = (
      [addons.instance_norm() for _ in range(2)] for _ in range(2)
    )
    self.block_norms = [[addons.instance_norm() for _ in range(2)] for _ in self.blocks]

  def call(self, images):
    x = tf.nn.relu(self.entry_norm(self.entry(_reflected(images, _KERNEL // 2))))
    for convolution, norm in zip(self.down, self.down_norms):
      x = tf.nn.relu(norm(convolution(x)))
    for (first, second), (first_norm, second_norm) in zip(self.blocks, self.block_norms):
      inner = tf.nn.relu(first_norm(first(_reflected(x, 1))))
      x += second_norm(second(_reflected(inner, 1)))
    for convolution, norm in zip(self.up, self.up_norms):
      x = tf.nn.relu(norm(convolution(x)))
    # Sides that are no multiple of 4 have become larger.
    x = x[:, : images.shape[1], : images.shape[2]]
    return tf.tanh(self.exit(_reflected(x, _KERNEL // 2)))


# The smallest side of an image: reflection must still be possible at a quarter of it.
SMALLEST_SIDE = 5


class _Layers:
  """Makes layers, numbered in order, each with its own seed for the initial weights."""

  def __init__(self, name: str, seed: int):
    self._name, self._seed = name, seed
    self._count = 0

  def conv(self, width: int, size: int, padding: str = "same", **options):
    options.update(self._next("conv"))
    return tf.keras.layers.Conv2D(width, size, padding=padding, **options)

  def transposed(self, width: int):
    return tf.keras.layers.Conv2DTranspose(
      width, 3, strides=2, padding="same", **self._next("transposed")
    )

  def _next(self, kind: str) -> dict:
    self._count += 1
    seed = config_lib.derive_seed(self._seed, f"{self._name} {self._count}")
    return {"kernel_initializer": initializer(seed), "name": f"{kind}{self._count:02d}"}


def initializer(seed: int) -> tf.keras.initializers.Initializer:
  """The initialiser of kernels in generators and discriminators."""
  return tf.keras.initializers.RandomNormal(stddev=_DEVIATION, seed=seed)


def _reflected(x: tf.Tensor, width: int) -> tf.Tensor:
  return tf.pad(x, [[0, 0], [width, width], [width, width], [0, 0]], "REFLECT")
