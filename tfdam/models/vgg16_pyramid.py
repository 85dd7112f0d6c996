"""VGG16's convolutions with a light head over three of its depths."""

from __future__ import annotations

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks, pretrained, pyramid, vgg16

# Channels of each depth in the head, and of the convolution that joins the depths.
_SIDE, _JOINED = 64, 128
_DEPTHS = (3, 4, 5)  # blocks at a quarter, an eighth and a sixteenth of the images' size


class VGG16Pyramid(vgg16.Segmenter):
  """Scores at a quarter of the images' size, from VGG16's blocks 3, 4 and 5.

  1x1 convolutions give each depth the same number of channels, and a resize gives it block
  3's size. A 3x3 convolution joins the three, and a 1x1 convolution classifies. All
  convolutions of the head but the classifier have batch norms, because VGG16's activations
  are in the hundreds.

  The taps are the blocks before their pools, from "block1" at the images' size to "block5"
  at a sixteenth, then "joined" and "score". Kernels start from VGG16's weights, or are
  initialised by He et al., "Delving deep into rectifiers", 2015; the classifier by Glorot.

  Call arguments and return value are Segmenter's. Grey images count as three equal
  channels.
  """

  OPTIONS = pretrained.OPTIONS

  @staticmethod
  def lay_out(num_classes, seed, width):
    row: list[blocks.Block] = [
      _Block(i, width, seed, f"block{i}") for i in range(1, len(vgg16.BLOCKS) + 1)
    ]
    init = tf.keras.initializers.GlorotUniform(config_lib.derive_seed(seed, "score"))
    depths = {f"block{depth}": f"side{depth}" for depth in _DEPTHS}
    return [
      *row,
      pyramid.Joined(depths, _SIDE, _JOINED, width, seed, "joined"),
      blocks.Classifier(num_classes, init, "score"),
    ]


class _Block(vgg16.Convs):
  """3x3 convolutions with ReLUs, after a 2x2 max-pool in all blocks but the first."""

  def enter(self, x):
    return x if self.number == 1 else tf.nn.max_pool2d(x, 2, 2, "SAME")

  def leave(self, state):
    x = tf.nn.relu(state["output"])
    return {**state, "output": x, **({self.name: x} if self.number in _DEPTHS else {})}
