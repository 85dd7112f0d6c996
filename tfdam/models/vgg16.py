"""VGG16's convolutions, the first part of two segmentation networks."""

from __future__ import annotations

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks, pretrained, vgg16_weights

# Convolutions and channels of each block.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class Convs(blocks.Block):
  """The 3x3 convolutions of a block, with ReLUs.

  Subclasses put the 2x2 max-pool between two blocks into `enter` or `leave`.

  Attributes:
    number: the block's number, from 1.
    rim: pixels of zeros that the first block adds around the images.
  """

  def __init__(self, number: int, width: float, seed: int, name: str, rim: int = 0):
    super().__init__(name)
    self.number = number
    self.rim = rim
    count, filters = BLOCKS[number - 1]
    self.convs = [
      conv(pretrained.scaled(filters, width), 3, seed, f"conv{number}_{i + 1}", "same")
      for i in range(count)
    ]

  def parts(self):
    parts = [blocks.Part(c.name, c, blocks.apply(c), blocks.relu) for c in self.convs]
    parts[0] = parts[0]._replace(before=self._first)
    return [*parts[:-1], parts[-1]._replace(after=self.leave)]

  def enter(self, x: tf.Tensor) -> tf.Tensor:
    """Returns the first convolution's input, from the output of the block before."""
    return x

  def leave(self, state: blocks.State) -> blocks.State:
    """Turns the last convolution's output into the next block's input."""
    return blocks.relu(state)

  def _first(self, state, training):
    x = self.enter(state["output"])
    if self.number == 1:
      # Blue first, and grey counts as three equal channels.
      x = 255.0 * x[..., ::-1] - tf.constant(vgg16_weights.MEANS)
      if self.rim:
        x = tf.pad(x, [[0, 0], [self.rim] * 2, [self.rim] * 2, [0, 0]])
    return {**state, "output": self.convs[0](x)}


class Segmenter(pretrained.Segmenter):
  """A network that begins with VGG16, and may start from its trained weights."""

  TRUNK = "VGG16"
  NAMED_WEIGHTS = (vgg16_weights.IMAGENET, vgg16_weights.HED)

  @staticmethod
  def locate(weights: str) -> str:
    return vgg16_weights.locate(weights)

  def fill(self, weights: str) -> None:
    layers = vgg16_weights.read(weights)
    vgg16_weights.assign(layers, self.named_convs(), self.locate(weights))

  def trunk(self) -> list[blocks.Block]:
    return [block for block in self.blocks if isinstance(block, Convs)]

  def named_convs(self) -> dict[str, tf.keras.layers.Conv2D]:
    """Returns VGG16's layers by name, in network order."""
    parts = (part for block in self.blocks for part in block.parts())
    return {part.name: part.layer for part in parts if part.name in vgg16_weights.NAMES}


def conv(
  filters: int, size: int, seed: int, name: str, padding: str
) -> tf.keras.layers.Conv2D:
  """Makes a convolution that is initialised by He et al., 2015."""
  # One seed per layer: weights do not depend on the order in which layers are made.
  init = tf.keras.initializers.HeNormal(config_lib.derive_seed(seed, name))
  return tf.keras.layers.Conv2D(
    filters, size, padding=padding, kernel_initializer=init, name=name
  )
