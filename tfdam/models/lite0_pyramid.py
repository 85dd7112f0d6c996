"""EfficientNet-Lite0's convolutions with a light head over four depths."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks, conv_norm, lite0_weights, pretrained, pyramid

# Channels of each depth in the head, and of the convolution that joins the depths.
_SIDE, _JOINED = 48, 96
# The trunk expects pixels from 0 to 255, less this mean, over this deviation: those of
# TensorFlow's Lite networks, from which PyTorch's file was made. That file's page names
# ImageNet's; the moments in its own batch norms contradict it (tests/models/).
MEAN, DEVIATION = 127.0, 128.0
_STEM = 32


class Stage(NamedTuple):
  """Blocks of one kind; the first of them has the stride, and `factor` widens its input."""

  num_blocks: int
  kernel: int
  stride: int
  factor: int
  filters: int


# Tan and Le, "EfficientNet", 2019, Table 1.
STAGES = (
  Stage(1, 3, 1, 1, 16), Stage(2, 3, 2, 6, 24), Stage(2, 5, 2, 6, 40),
  Stage(3, 3, 2, 6, 80), Stage(3, 5, 1, 6, 112), Stage(4, 5, 2, 6, 192),
  Stage(1, 3, 1, 6, 320),
)  # fmt: skip
# The last blocks at a quarter, an eighth, a sixteenth and a 32nd of the images' size.
_DEPTHS = {"block3": "side3", "block5": "side5", "block11": "side11", "block16": "side16"}


class Lite0Pyramid(pretrained.Segmenter):
  """Scores at a quarter of the images' size, from EfficientNet-Lite0's last blocks a size.

  After Tan and Le, "EfficientNet: rethinking model scaling", 2019; Lite0 is B0 without
  squeeze-and-excitation, and with ReLU6. Its head is VGG16Pyramid's, over four depths.
  An image takes an 18th of VGG16Pyramid's operations.

  The taps are "stem" at half of the images' size, "block1" to "block16" down to a 32nd,
  then "joined" and "score". Kernels start from weights trained on ImageNet, or are
  initialised by He et al., "Delving deep into rectifiers", 2015, with fan-out; the
  classifier by Glorot.

  Call arguments and return value are Segmenter's. Grey images count as three equal
  channels.
  """

  OPTIONS = pretrained.OPTIONS
  TRUNK = "EfficientNet-Lite0"
  NAMED_WEIGHTS = (lite0_weights.IMAGENET,)

  @staticmethod
  def lay_out(num_classes, seed, width):
    channels = pretrained.scaled(_STEM, width)
    row: list[blocks.Block] = [_Stem(channels, seed, "stem")]
    for stage in STAGES:
      stage = stage._replace(filters=pretrained.scaled(stage.filters, width))
      for i in range(stage.num_blocks):
        stride = stage.stride if i == 0 else 1
        row.append(_Block(stage, channels, stride, seed, f"block{len(row)}"))
        channels = stage.filters
    init = tf.keras.initializers.GlorotUniform(config_lib.derive_seed(seed, "score"))
    return [
      *row,
      pyramid.Joined(_DEPTHS, _SIDE, _JOINED, width, seed, "joined"),
      blocks.Classifier(num_classes, init, "score"),
    ]

  @staticmethod
  def locate(weights: str) -> str:
    return lite0_weights.locate(weights)

  def fill(self, weights: str) -> None:
    pairs = {pair.name: pair for block in self.trunk() for pair in block.pairs()}
    lite0_weights.assign(lite0_weights.read(weights), pairs, self.locate(weights))

  def trunk(self) -> list[blocks.Block]:
    return [block for block in self.blocks if isinstance(block, _Trunk)]


class _Trunk(blocks.Block):
  """A block that has trained weights."""

  def pairs(self) -> list[conv_norm.ConvNorm]:
    """Returns its convolutions with their batch norms."""
    raise NotImplementedError


class _Stem(_Trunk):
  """A 3x3 convolution with stride 2."""

  def __init__(self, filters: int, seed: int, name: str):
    super().__init__(name)
    self.conv = _pair(_conv(filters, 3, seed, name, strides=2), name)

  def pairs(self):
    return [self.conv]

  def parts(self):
    return [_part(self.conv, _relu6)._replace(before=self._first)]

  def _first(self, state, training):
    # Grey counts as three equal channels.
    x = (255.0 * state["output"] - MEAN) / DEVIATION
    x = tf.repeat(x, 3, axis=-1) if x.shape[-1] == 1 else x
    return {**state, "output": self.conv(x, training=training)}


class _Block(_Trunk):
  """Widens by a 1x1 convolution, convolves each channel, narrows, and adds its input.

  The first block does not widen. Blocks that change the size or the number of channels do
  not add their input.
  """

  def __init__(self, stage: Stage, channels: int, stride: int, seed: int, name: str):
    """Lays out one block.

    Args:
      stage: the block's stage, with scaled filters.
      channels: of the input.
      stride: of the depthwise convolution.
      seed: determines the initial weights, together with the layers' names.
      name: of the block.
    """
    super().__init__(name)
    self.widen = None
    if stage.factor > 1:
      widened = channels * stage.factor
      self.widen = _pair(_conv(widened, 1, seed, f"{name}_expand"), f"{name}_expand")
    depthwise = conv_norm.Depthwise(
      stage.kernel, strides=stride, use_bias=False, name=f"{name}_depthwise_conv",
      depthwise_initializer=_init(seed, f"{name}_depthwise"),
    )  # fmt: skip
    self.depthwise = _pair(depthwise, f"{name}_depthwise")
    self.narrow = _pair(_conv(stage.filters, 1, seed, f"{name}_project"), f"{name}_project")
    self.adds = stride == 1 and channels == stage.filters

  def pairs(self):
    return [*([self.widen] if self.widen else []), self.depthwise, self.narrow]

  def parts(self):
    parts = [_part(pair, _relu6) for pair in self.pairs()]
    parts[0] = parts[0]._replace(before=self._enter(parts[0].before))
    return [*parts[:-1], parts[-1]._replace(after=self._leave)]

  def _enter(self, before):
    if not self.adds:
      return before
    return lambda state, training: before({**state, "input": state["output"]}, training)

  def _leave(self, state):
    state = dict(state)
    if self.adds:
      state["output"] = state["output"] + state.pop("input")
    return {**state, self.name: state["output"]} if self.name in _DEPTHS else state


def _relu6(state):
  return {**state, "output": tf.nn.relu6(state["output"])}


def _part(pair: conv_norm.ConvNorm, after) -> blocks.Part:
  return blocks.Part(pair.norm.name, pair.norm, blocks.apply(pair), after)


def _pair(conv: tf.keras.layers.Layer, name: str) -> conv_norm.ConvNorm:
  norm = conv_norm.BatchNorm(epsilon=1e-3, momentum=0.99, name=f"{name}_bn")
  return conv_norm.ConvNorm(conv, norm, name)


def _conv(
  filters: int, size: int, seed: int, name: str, strides: int = 1
) -> tf.keras.layers.Conv2D:
  # Not conv_norm.Conv: these weights were trained with TensorFlow's padding.
  return tf.keras.layers.Conv2D(
    filters, size, strides, "same", use_bias=False,
    kernel_initializer=_init(seed, name), name=f"{name}_conv",
  )  # fmt: skip


def _init(seed: int, name: str) -> tf.keras.initializers.Initializer:
  # One seed per layer: weights do not depend on the order in which layers are made.
  return tf.keras.initializers.VarianceScaling(
    2.0, "fan_out", "untruncated_normal", config_lib.derive_seed(seed, name)
  )
