"""Segmentation networks as sequences of blocks, walked for forward pass and sites alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfdam import sites as sites_lib
from tfdam.models import conv_norm

State = sites_lib.State


class Part(NamedTuple):
  """A site and the operations around it.

  Attributes:
    name: the site's name, unique in its model.
    layer: the site's layer.
    before: takes (state, training) to the state whose "output" is the site's output.
    after: takes that state to the one whose "output" is the next part's input. Both keep
      entries that they do not use.
  """

  name: str
  layer: tf.keras.layers.Layer
  before: Callable[[State, bool], State]
  after: Callable[[State], State]


class Block(tf.keras.layers.Layer):
  """The layers up to one tap, as a sequence of parts.

  Call arguments:
    state: the state that the previous block returned.
    training: whether batch norms use the batch's own moments.

  Returns:
    The state whose "output" is the tap.
  """

  def __init__(self, name: str):
    # The layers cast their own inputs; images and noise stay float32 until then.
    super().__init__(name=name, dtype="float32", autocast=False)

  def parts(self) -> list[Part]:
    """The parts, at least one, in network order."""
    raise NotImplementedError

  def call(self, state, training=False):
    for part in self.parts():
      state = part.after(part.before(state, training))
    return state


class Segmenter(tf.keras.Model):
  """A sequence of blocks, each a tap, with the last one's scores at the images' size.

  Call arguments:
    images: float32 [B, H, W, C], in [0, 1].
    training: whether batch norms use the batch's own moments, and update the moving ones.
    noise: float32 [B, num_noise], uniform in [0, 1), the only source of randomness in
      dropout; None for no dropout.

  Returns:
    {"logits": float32 [B, H, W, num_classes],
     "taps": {block: float [B, H', W', channels]}}. Taps have the layers' compute dtype,
    except that the last one, the scores, is float32.

  Attributes:
    TAPS: names of the blocks, in network order.
    num_noise: random numbers that dropout takes per image.
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
    """Enlarges scores bilinearly, with half-pixel centres.

    Args:
      scores: float32 [B, H', W', num_classes].
      size: int32 [2], the images' height and width.

    Returns:
      float32 [B, height, width, num_classes].
    """
    return tf.image.resize(scores, size)

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """Every layer whose output a scale and a shift can be folded into, in network order."""
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
  """The last block: scores by a 1x1 convolution. Its output is also its site's output."""

  def __init__(self, num_classes: int, init: tf.keras.initializers.Initializer, name: str):
    super().__init__(name)
    # float32 even under mixed precision: losses need full-precision logits.
    self.conv = conv_norm.Conv(
      num_classes, 1, kernel_initializer=init, name=name, dtype="float32"
    )

  def parts(self):
    return [Part(self.name, self.conv, apply(self.conv), lambda state: state)]


def apply(layer: tf.keras.layers.Layer) -> Callable[[State, bool], State]:
  """A `before` that runs a layer: the site's own, or a ConvNorm whose norm is the site."""

  def before(state, training):
    x = state["output"]
    is_normed = isinstance(layer, conv_norm.ConvNorm)
    return {**state, "output": layer(x, training=training) if is_normed else layer(x)}

  return before


def relu(state: State) -> State:
  """An `after` that applies a ReLU."""
  return {**state, "output": tf.nn.relu(state["output"])}
