"""A light head over several depths of a trunk."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks, conv_norm, pretrained


class Joined(blocks.Block):
  """Several depths by 1x1 convolutions to one size, and a 3x3 convolution over all.

  Its input state holds the depths by the names of their blocks. The joined map has the size
  of the first of them.
  """

  def __init__(
    self,
    depths: Mapping[str, str],
    side: int,
    joined: int,
    width: float,
    seed: int,
    name: str,
  ):
    """Lays out the convolutions, each with a batch norm and a ReLU.

    Args:
      depths: {name of a trunk's block: name of its 1x1 convolution}, largest map first.
      side: channels that each depth gets.
      joined: channels of the 3x3 convolution.
      width: factor of both.
      seed: determines the initial weights, together with the layers' names.
      name: of the block.
    """
    super().__init__(name)

    def pair(filters, size, pair_name):
      init = tf.keras.initializers.HeNormal(config_lib.derive_seed(seed, pair_name))
      conv = conv_norm.Conv(
        pretrained.scaled(filters, width), size, kernel_initializer=init,
        name=f"{pair_name}_conv",
      )  # fmt: skip
      norm = conv_norm.BatchNorm(epsilon=1e-3, momentum=0.9, name=f"{pair_name}_bn")
      return conv_norm.ConvNorm(conv, norm, pair_name)

    self.depths = list(depths)
    self.sides = [pair(side, 1, side_name) for side_name in depths.values()]
    self.join = pair(joined, 3, name)

  def parts(self):
    sides = [
      blocks.Part(side.norm.name, side.norm, _before(side, depth), _after(side, depth))
      for side, depth in zip(self.sides, self.depths)
    ]
    norm = self.join.norm
    return [*sides, blocks.Part(norm.name, norm, self._together, blocks.relu)]

  def _together(self, state, training):
    state = dict(state)
    first, *others = (state.pop(side.name) for side in self.sides)
    size = tf.shape(first)[1:3]
    # A resize returns float32 for every input type.
    enlarged = [tf.cast(tf.image.resize(x, size), first.dtype) for x in others]
    x = tf.concat([first, *enlarged], axis=-1)
    return {**state, "output": self.join(x, training=training)}


def _before(side, depth):
  def before(state, training):
    return {**state, "output": side(state[depth], training=training)}

  return before


def _after(side, depth):
  def after(state):
    state = dict(state)
    del state[depth]
    return {**state, side.name: tf.nn.relu(state["output"])}

  return after
