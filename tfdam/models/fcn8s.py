"""FCN8s on VGG16, with the original's padding and crops."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks, vgg16_weights

# Convolutions and channels before each pool, and channels of the two dense layers.
_VGG16 = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
_DENSE = 4096
# ImageNet's channel means, blue first, for values from 0 to 255.
_MEANS = (103.939, 116.779, 123.68)
# Padding of the images, so that fc6's 7x7 kernel fits even on 1/32 of a small image.
_PAD = 100
# Offsets at which scores are cropped from the larger map.
_CROP_POOL4, _CROP_POOL3, _CROP_IMAGES = 5, 9, 31
# Factors of the pools' activations, which are larger than the scores that they add to.
_SCALE_POOL4, _SCALE_POOL3 = 0.01, 0.0001


class FCN8s(blocks.Segmenter):
  """VGG16 as a convolutional network with scores at three depths (Table 3 B).

  After Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation",
  2015, in the "at once" version, in which all strides are trained together. Scores are
  enlarged by fixed bilinear kernels. Score convolutions start at zero. The others start
  from VGG16's weights, or are initialised by He et al., "Delving deep into rectifiers",
  2015. The original's dropout on fc6 and fc7 is left out. The taps are the pools, "fc6",
  "fc7", and "score", the sum of all scores at 1/8.

  Call arguments and return value are Segmenter's. Grey images count as three equal
  channels.
  """

  OPTIONS = ("width", "weights")

  def __init__(
    self,
    num_classes: int,
    seed: int = 0,
    name: str = "fcn8s",
    width: float = 1.0,
    weights: str = "",
  ):
    """Lays out VGG16's blocks and the scores.

    Args:
      num_classes: number of scores per pixel.
      seed: determines random initial weights, together with the layers' names.
      name: of the model.
      width: factor of all numbers of channels, each at least 4.
      weights: initial weights: "imagenet", a file of VGG16's weights, or "" (random).

    Raises:
      config.UserError: there are no such weights, or `width` does not fit them.
    """

    def scaled(filters):
      return max(4, round(filters * width))

    row: list[blocks.Block] = [
      _Pool(i, count, scaled(filters), seed) for i, (count, filters) in enumerate(_VGG16, 1)
    ]
    row += [_Dense(7, scaled(_DENSE), seed, "fc6"), _Dense(1, scaled(_DENSE), seed, "fc7")]
    super().__init__([*row, _Score(num_classes)], name)
    if weights:
      if width != 1.0:
        raise config_lib.UserError(
          f"model.weights is '{weights}', but VGG16's weights fit a width of 1, not"
          f" {width}.",
          "Set model.width=1 or model.weights=''.",
        )
      self(tf.zeros([1, 1, 1, 3]))  # Makes the variables.
      vgg16_weights.assign(vgg16_weights.read(weights), self.named_convs())

  def named_convs(self) -> dict[str, tf.keras.layers.Conv2D]:
    """VGG16's layers by name, in network order."""
    return {part.name: part.layer for block in self.blocks[:-1] for part in block.parts()}

  def enlarge(self, scores, size):
    height, width = size[0], size[1]
    enlarged = _enlarge(scores, stride=8)
    start = _CROP_IMAGES
    return enlarged[:, start : start + height, start : start + width]


class _Pool(blocks.Block):
  """3x3 convolutions with ReLUs, and a 2x2 max-pool."""

  def __init__(self, number: int, count: int, filters: int, seed: int):
    super().__init__(f"pool{number}")
    self.number = number
    self.convs = [
      _conv(filters, 3, seed, f"conv{number}_{i + 1}", "same") for i in range(count)
    ]

  def parts(self):
    parts = [blocks.Part(c.name, c, blocks.apply(c), blocks.relu) for c in self.convs]
    if self.number == 1:
      parts[0] = parts[0]._replace(before=self._first)
    return [*parts[:-1], parts[-1]._replace(after=self._last)]

  def _first(self, state, training):
    images = 255.0 * state["output"][..., ::-1] - tf.constant(_MEANS)
    rim = [_PAD - 1] * 2  # SAME adds the last pixel.
    padded = tf.pad(images, [[0, 0], rim, rim, [0, 0]])
    return {**state, "output": self.convs[0](padded)}

  def _last(self, state):
    # ReLU after the pool gives the same result for a quarter of the work.
    x = tf.nn.relu(tf.nn.max_pool2d(state["output"], 2, 2, "SAME"))
    kept = {self.name: x} if self.name in ("pool3", "pool4") else {}
    return {**state, "output": x, **kept}


class _Dense(blocks.Block):
  """One of VGG16's dense layers as a convolution, and a ReLU."""

  def __init__(self, size: int, filters: int, seed: int, name: str):
    super().__init__(name)
    self.conv = _conv(filters, size, seed, name, "valid")

  def parts(self):
    return [blocks.Part(self.name, self.conv, blocks.apply(self.conv), blocks.relu)]


class _Score(blocks.Block):
  """Scores of fc7, pool4 and pool3; each sum is enlarged and added to the next scores."""

  def __init__(self, num_classes: int):
    super().__init__("score")
    self.score_fr, self.score_pool4, self.score_pool3 = (
      # float32 even under mixed precision: losses need full-precision logits.
      tf.keras.layers.Conv2D(
        num_classes, 1, kernel_initializer="zeros", name=name, dtype="float32"
      )
      for name in ("score_fr", "score_pool4", "score_pool3")
    )

  def parts(self):
    def start(state):
      return {**state, "scores": state["output"]}

    def skip(layer, pool, scale):
      def before(state, training):
        state = dict(state)
        return {**state, "output": layer(scale * tf.cast(state.pop(pool), tf.float32))}

      return before

    def add(crop):
      def after(state):
        enlarged = _enlarge(state["scores"], stride=2)
        height, width = tf.shape(enlarged)[1], tf.shape(enlarged)[2]
        cut = state["output"][:, crop : crop + height, crop : crop + width]
        return {**state, "scores": enlarged + cut}

      return after

    def last(state):
      state = add(_CROP_POOL3)(state)
      return {**state, "output": state.pop("scores")}

    fr, pool4, pool3 = self.score_fr, self.score_pool4, self.score_pool3
    return [
      blocks.Part(fr.name, fr, blocks.apply(fr), start),
      blocks.Part(pool4.name, pool4, skip(pool4, "pool4", _SCALE_POOL4), add(_CROP_POOL4)),
      blocks.Part(pool3.name, pool3, skip(pool3, "pool3", _SCALE_POOL3), last),
    ]


def _enlarge(scores: tf.Tensor, stride: int) -> tf.Tensor:
  """A transposed convolution with a bilinear kernel of twice the stride, unpadded.

  Args:
    scores: float32 [B, H, W, K].

  Returns:
    float32 [B, stride * (H + 1), stride * (W + 1), K].
  """
  size = 2 * stride
  ramp = 1.0 - np.abs(np.arange(size) - (size - 1) / 2) / stride
  num_classes = scores.shape[-1]
  # The identity keeps classes apart.
  kernel = np.multiply.outer(np.outer(ramp, ramp), np.eye(num_classes))
  batch, height, width, _ = tf.unstack(tf.shape(scores))
  shape = [batch, stride * (height + 1), stride * (width + 1), num_classes]
  kernel = tf.constant(kernel, scores.dtype)
  return tf.nn.conv2d_transpose(scores, kernel, shape, stride, "VALID")


def _conv(filters: int, size: int, seed: int, name: str, padding: str):
  # One seed per layer: weights do not depend on the order in which layers are made.
  init = tf.keras.initializers.HeNormal(config_lib.derive_seed(seed, name))
  return tf.keras.layers.Conv2D(
    filters, size, padding=padding, kernel_initializer=init, name=name
  )
