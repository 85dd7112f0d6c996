"""Sites: layers with a channel-wise affine output, which takes a scale and a shift."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

# The running state of a forward pass: "output" is the last site's output, [B, ...,
# channels]; further entries carry what later sites need as well, such as a residual block's
# input.
State = dict[str, tf.Tensor]
Advance = Callable[[State], State]


class Site(NamedTuple):
  """A place at which Gaussian matching corrects the network (PAPER.md, departure 5).

  Attributes:
    name: unique in its model.
    layer: a Keras layer that takes a scale and a shift: a convolution or dense layer with a
      bias, or a norm (matching.folding.KINDS); its output, before an activation that it may
      end with, is the site's.
    advance: from the state after the previous site (at first {"output": images}) to the
      state after this one. A state is {name: tensor [B, ...]}; its "output" is the site's,
      [B, ..., channels], and the rest is what later sites need. Its cost is that of the
      layers in between, so that walking all the sites costs one forward pass.
    waits_before: "output" is what the layer, a batch norm, takes; the next `advance` begins
      with the layer as it is by then.
  """

  name: str
  layer: tf.keras.layers.Layer
  advance: Advance
  waits_before: bool = False
