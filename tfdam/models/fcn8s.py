"""FCN8s on VGG16, with the original's padding and crops."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfdam.models import blocks, pretrained, vgg16

# Channels of VGG16's two dense layers.
_DENSE = 4096
# Padding of the images, so that fc6's 7x7 kernel fits even on 1/32 of a small image.
_PAD = 100
# Offsets at which scores are cropped from the larger map.
_CROP_POOL4, _CROP_POOL3, _CROP_IMAGES = 5, 9, 31
# Factors of the pools' activations, which are larger than the scores that they add to.
_SCALE_POOL4, _SCALE_POOL3 = 0.01, 0.0001


class FCN8s(vgg16.Segmenter):
  """VGG16 as a convolutional network with scores at three depths (Table 3 B).

  After Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation",
  2015, in the "at once" version, in which all strides are trained together. Scores are
  enlarged by fixed bilinear kernels. Score convolutions start at zero. The others start
  from VGG16's weights, or are initialised by He et al., "Delving deep into rectifiers",
  2015; weights without VGG16's dense layers leave fc6 and fc7 random. The original's
  dropout on fc6 and fc7 is left out. The taps are the pools, "fc6", "fc7", and "score", the
  sum of all scores at 1/8.

  Call arguments and return value are Segmenter's. Grey images count as three equal
  channels.
  """

  OPTIONS = pretrained.OPTIONS

  @staticmethod
  def lay_out(num_classes, seed, width):
    row: list[blocks.Block] = [
      _Pool(i, width, seed, f"pool{i}", rim=_PAD - 1)  # SAME adds the last pixel
      for i in range(1, len(vgg16.BLOCKS) + 1)
    ]
    dense = pretrained.scaled(_DENSE, width)
    row += [_Dense(7, dense, seed, "fc6"), _Dense(1, dense, seed, "fc7")]
    return [*row, _Score(num_classes)]

  def enlarge(self, scores, size):
    height, width = size[0], size[1]
    enlarged = _enlarge(scores, stride=8)
    start = _CROP_IMAGES
    return enlarged[:, start : start + height, start : start + width]


class _Pool(vgg16.Convs):
  """3x3 convolutions with ReLUs, and a 2x2 max-pool."""

  def leave(self, state):
    # ReLU after the pool gives the same result for a quarter of the work.
    x = tf.nn.relu(tf.nn.max_pool2d(state["output"], 2, 2, "SAME"))
    kept = {self.name: x} if self.name in ("pool3", "pool4") else {}
    return {**state, "output": x, **kept}


class _Dense(blocks.Block):
  """One of VGG16's dense layers as a convolution, and a ReLU."""

  def __init__(self, size: int, filters: int, seed: int, name: str):
    super().__init__(name)
    self.conv = vgg16.conv(filters, size, seed, name, "valid")

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
