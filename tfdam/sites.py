"""Sites: layers into which a scale and a shift per output channel can be folded."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

# The state of a forward pass: "output" is the last site's output, [B, ..., channels].
# Further entries hold what later sites also need, such as a residual block's input.
State = dict[str, tf.Tensor]
Advance = Callable[[State], State]


class Site(NamedTuple):
  """A place at which Gaussian matching corrects the network (PAPER.md, departure 5).

  Attributes:
    name: a name, unique in its model.
    layer: a Keras layer that takes a scale and a shift: a convolution or dense layer with a
      bias, or a norm (matching.folding.KINDS). The site's output is the layer's output,
      before an activation function that it may end with.
    advance: takes the state after the previous site (at first {"output": images}) to the
      state after this one. A state is {name: tensor [B, ...]}: "output" is the site's
      output, [B, ..., channels], and the rest is what later sites need. It computes only
      the layers in between, so walking along all sites costs one forward pass.
    waits_before: if True, "output" is the input of the layer, a batch norm, and the next
      `advance` begins with this layer, with the weights that it has by then.
  """

  name: str
  layer: tf.keras.layers.Layer
  advance: Advance
  waits_before: bool = False
