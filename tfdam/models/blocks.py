"""Segmentation networks as rows of blocks: one walk serves the forward pass and sites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfdam import sites as sites_lib
from tfdam.models import conv_norm

State = sites_lib.State


class Part(NamedTuple):
  """A site and what lies around it.

  Attributes:
    name: of the site, unique in its model.
    layer: of the site.
    before: (state, training) to the state in which "output" is the site's output.
    after: from there to the state in which "output" is what the next part takes.
      Both leave entries that they have no use for.
  """

  name: str
  layer: tf.keras.layers.Layer
  before: Callable[[State, bool], State]
  after: Callable[[State], State]


class Block(tf.keras.layers.Layer):
  """A tap's layers, as parts in turn.

  Call arguments:
    state: what the former block returned.
    training: for batch norms.

  Returns:
    The state whose "output" is the tap.
  """

  def __init__(self, name: str):
    # Its layers cast for themselves; images and noise stay float32 until then.
    super().__init__(name=name, dtype="float32", autocast=False)

  def parts(self) -> list[Part]:
    """In network order. There is at least one."""
    raise NotImplementedError

  def call(self, state, training=False):
    for part in self.parts():
      state = part.after(part.before(state, training))
    return state


class Segmenter(tf.keras.Model):
  """Blocks in a row, each a tap, and the last one's scores enlarged to the images' size.

  Call arguments:
    images: float32 [B, H, W, C], in [0, 1].
    training: whether batch norms use the batch's own moments, and update the moving ones.
    noise: float32 [B, num_noise], uniform in [0, 1), which alone decides what dropout
      drops; None: nothing is dropped.

  Returns:
    {"logits": float32 [B, H, W, num_classes],
     "taps": {block: float [B, H', W', channels]}}, in the type that layers compute in but
    for the last one, the scores, which is float32.

  Attributes:
    TAPS: names of the blocks, in network order.
    num_noise: random numbers an image that dropout takes.
  """

  num_noise = 0

  def __init__(self, blocks: Sequence[Block], name: str):
    super().__init__(name=name, autocast=False)
    self.blocks = list(blocks)
    self.TAPS = tuple(block.name for block in blocks)

  def call(self, images, training=False, noise=None):
    state, taps = {"output": images}, {}
    if noise is not None:
      if noise.shape[-1] != self.num_noise:
        raise ValueError(f"{self.name} takes {self.num_noise} numbers, not {noise.shape}.")
      state["noise"] = noise
    for block in self.blocks:
      state = block(state, training=training)
      taps[block.name] = state["output"]
    return {"logits": self.enlarge(state["output"], tf.shape(images)[1:3]), "taps": taps}

  def enlarge(self, scores: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Bilinear, pixel centres aligned.

    Args:
      scores: float32 [B, H', W', num_classes].
      size: int32 [2], the images' height and width.
    """
    return tf.image.resize(scores, size)

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """Every layer with a scale and a shift that nothing but a non-linearity follows."""
    parts = self._parts()

    def advance(index):
      def run(state):
        if index:
          state = parts[index - 1].after(state)
        return parts[index].before(state, False)

      return run

    return tuple(
      sites_lib.Site(part.name, part.layer, advance(i)) for i, part in enumerate(parts)
    )

  def logits_from(self, state: State, images: tf.Tensor) -> tf.Tensor:
    """The logits of `images`, from the state after their last site."""
    scores = self._parts()[-1].after(state)["output"]
    return self.enlarge(scores, tf.shape(images)[1:3])

  def _parts(self) -> list[Part]:
    return [part for block in self.blocks for part in block.parts()]


class Classifier(Block):
  """Scores by a 1x1 convolution: the last block. Its output is its site's."""

  def __init__(self, num_classes: int, init: tf.keras.initializers.Initializer, name: str):
    super().__init__(name)
    # float32 even under mixed precision: losses need full-precision logits.
    self.conv = conv_norm.Conv(
      num_classes, 1, kernel_initializer=init, name=name, dtype="float32"
    )

  def parts(self):
    return [Part(self.name, self.conv, apply(self.conv), lambda state: state)]


def apply(layer: tf.keras.layers.Layer) -> Callable[[State, bool], State]:
  """The part before a site that is this layer, or a ConvNorm's norm."""

  def before(state, training):
    x = state["output"]
    is_normed = isinstance(layer, conv_norm.ConvNorm)
    return {**state, "output": layer(x, training=training) if is_normed else layer(x)}

  return before


def relu(state: State) -> State:
  """The part after a site that feeds a ReLU."""
  return {**state, "output": tf.nn.relu(state["output"])}
