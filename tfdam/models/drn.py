"""DRN-C-26: a residual network with dilation instead of strides after 1/8."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks, conv_norm


class _Stage(NamedTuple):
  """A row of the table of layers; `filters` are for a width of 1."""

  filters: int
  units: int
  stride: int = 1
  dilation: int = 1
  is_residual: bool = True


_STAGES = (
  _Stage(16, 1),
  _Stage(32, 1, stride=2),
  _Stage(64, 2, stride=2),
  _Stage(128, 2, stride=2),
  _Stage(256, 2, dilation=2),
  _Stage(512, 2, dilation=4),
  # Falling dilations without residuals remove the grid artefacts of the stages before.
  _Stage(512, 1, dilation=2, is_residual=False),
  _Stage(512, 1, is_residual=False),
)


class DRN26(blocks.Segmenter):
  """DRN-C-26 with a 1x1 classifier, enlarged eight times (Sec. 5.3, Table 3 C).

  After Yu, Koltun, Funkhouser, "Dilated residual networks", 2017: a 7x7 convolution and
  eight stages of basic blocks, at 1/8 of the images' size from the fourth on. Kernels are
  initialised by He et al., "Delving deep into rectifiers", 2015, with fan-out. Convolutions
  before a batch norm have no bias. The taps are the stages and "score".

  The original enlarges scores by a fixed transposed convolution, which fades out within
  four pixels of the border; this one enlarges them bilinearly.

  Call arguments and return value are Segmenter's.
  """

  OPTIONS = ("width",)

  def __init__(
    self, num_classes: int, seed: int = 0, name: str = "drn26", width: float = 1.0
  ):
    """Lays out the stages and the classifier.

    Args:
      num_classes: number of scores per pixel.
      seed: determines the initial weights, together with the layers' names.
      name: of the model.
      width: factor of all numbers of channels, each at least 4.
    """
    row: list[blocks.Block] = []
    channels = 0
    for stage in _STAGES:
      stage = stage._replace(filters=max(4, round(stage.filters * width)))
      row.append(_StageBlock(stage, channels, seed, f"stage{len(row) + 1}"))
      channels = stage.filters
    classifier = blocks.Classifier(num_classes, _init(seed, "score"), "score")
    super().__init__([*row, classifier], name)


class _StageBlock(blocks.Block):
  """Basic blocks, the first one strided; the first stage starts with a 7x7 convolution."""

  def __init__(self, stage: _Stage, channels: int, seed: int, name: str):
    """Lays out one stage.

    Args:
      channels: of the stage before; 0 for the first stage.
    """
    super().__init__(name)
    self.stem = None
    if not channels:
      self.stem = _pair(stage.filters, 7, seed, f"{name}_stem")
      channels = stage.filters
    self.units = []
    for i in range(stage.units):
      self.units.append(_Unit(stage, channels, seed, f"{name}_{i + 1}"))
      channels, stage = stage.filters, stage._replace(stride=1)

  def parts(self):
    stem = [_part(self.stem, blocks.relu)] if self.stem else []
    return [*stem, *(part for unit in self.units for part in unit.parts())]


class _Unit(blocks.Block):
  """A basic block: two 3x3 convolutions, added to the input or its 1x1 projection."""

  def __init__(self, stage: _Stage, channels: int, seed: int, name: str):
    """Lays out one residual unit.

    Args:
      channels: of the input.
    """
    super().__init__(name)
    self.is_residual = stage.is_residual
    options = {"strides": stage.stride}
    self.projection = None
    if stage.is_residual and (stage.stride > 1 or channels != stage.filters):
      self.projection = _pair(stage.filters, 1, seed, f"{name}_projection", **options)
    if stage.stride == 1:  # Keras allows either strides or dilation, not both.
      options = {"dilation_rate": stage.dilation}
    self.first = _pair(stage.filters, 3, seed, f"{name}_1", **options)
    self.second = _pair(stage.filters, 3, seed, f"{name}_2", dilation_rate=stage.dilation)

  def parts(self):
    first = _part(self.first, blocks.relu)
    if not self.is_residual:
      return [first, _part(self.second, blocks.relu)]
    second = _part(self.second, _join)
    if not self.projection:
      return [first._replace(before=_keep_input(first.before)), second]
    projection = _part(self.projection, _swap)
    return [projection._replace(before=_keep_input(projection.before)), first, second]


def _keep_input(before):
  return lambda state, training: before({**state, "input": state["output"]}, training)


def _swap(state):
  """Stores the projection for the addition, and continues with the input."""
  return {**state, "input": state["output"], "output": state["input"]}


def _join(state):
  state = dict(state)
  return {**state, "output": tf.nn.relu(state["output"] + state.pop("input"))}


def _part(pair: conv_norm.ConvNorm, after) -> blocks.Part:
  return blocks.Part(pair.norm.name, pair.norm, blocks.apply(pair), after)


def _pair(filters: int, size: int, seed: int, name: str, **options) -> conv_norm.ConvNorm:
  conv = conv_norm.Conv(
    filters, size, use_bias=False, kernel_initializer=_init(seed, name),
    name=f"{name}_conv", **options,
  )  # fmt: skip
  norm = conv_norm.BatchNorm(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")
  return conv_norm.ConvNorm(conv, norm, name)


def _init(seed: int, name: str) -> tf.keras.initializers.Initializer:
  # One seed per layer: weights do not depend on the order in which layers are made.
  return tf.keras.initializers.VarianceScaling(
    2.0, "fan_out", "untruncated_normal", config_lib.derive_seed(seed, name)
  )
