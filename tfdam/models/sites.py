"""Sites: layers with a channel-wise affine output, which takes a scale and a shift."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

# The running state of a forward pass: "output" is the last site's output, [B, ...,
# channels]; further entries carry what later sites need as well, such as a residual block's
# input.
State = dict[str, tf.Tensor]


class Site(NamedTuple):
  """A place at which Gaussian matching corrects the network (PAPER.md, departure 5).

  Attributes:
    name: unique in its model.
    layer: Conv2D, Dense or BatchNormalization; its output is the site's activation.
    advance: from the state after the previous site (at first {"output": images}) to the
      state after this one. Its cost is that of the layers in between, so that walking all
      the sites costs one forward pass.
  """

  name: str
  layer: tf.keras.layers.Layer
  advance: Callable[[State], State]


def fold(layer: tf.keras.layers.Layer, alpha: tf.Tensor, beta: tf.Tensor) -> None:
  """Changes the layer's weights so that it computes alpha * output + beta (Eq. 2).

  Adds no variable and no operation.

  Args:
    layer: Conv2D or Dense with a bias, or BatchNormalization with gamma and beta.
    alpha: float [channels].
    beta: float [channels].

  Raises:
    TypeError: another layer, or one without a bias to take the shift.
  """
  alpha, beta = tf.cast(alpha, tf.float64), tf.cast(beta, tf.float64)
  if isinstance(layer, tf.keras.layers.BatchNormalization):
    scale, shift = layer.gamma, layer.beta
  elif isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.Dense)):
    # The last axis of both kernels is the output channel.
    scale, shift = layer.kernel, layer.bias
  else:
    raise TypeError(f"Cannot fold a scale into '{layer.name}' ({type(layer).__name__}).")
  if scale is None or shift is None:
    raise TypeError(f"'{layer.name}' has no variable that could take a scale and a shift.")
  scale.assign(tf.cast(alpha * tf.cast(scale, tf.float64), scale.dtype))
  shift.assign(tf.cast(alpha * tf.cast(shift, tf.float64) + beta, shift.dtype))
