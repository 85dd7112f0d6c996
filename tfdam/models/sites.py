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


def adopt_moments(
  norm: tf.keras.layers.BatchNormalization, mean: tf.Tensor, variance: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """AdaBN: gives a batch norm the moments of other images as its moving ones.

  Li et al., "Revisiting batch normalization for practical domain adaptation", 2016.

  Args:
    norm: in inference mode.
    mean: float64 [channels], of its *output* on those images.
    variance: the same.

  Returns:
    (alpha, beta), float64 [channels] each: what this did to its output.
  """
  moving_mean, moving_variance = (
    tf.cast(v, tf.float64) for v in (norm.moving_mean, norm.moving_variance)
  )
  gamma, shift = (tf.cast(v, tf.float64) for v in (norm.gamma, norm.beta))
  old = moving_variance + norm.epsilon
  # Back from output to input; a gamma of 0 has wiped the input out: it keeps its moments.
  wiped = tf.equal(gamma, 0.0)
  divisor = tf.where(wiped, tf.ones_like(gamma), gamma)
  input_mean = moving_mean + (mean - shift) * tf.sqrt(old) / divisor
  input_variance = variance * old / tf.square(divisor)
  input_mean = tf.where(wiped, moving_mean, input_mean)
  input_variance = tf.where(wiped, moving_variance, input_variance)
  norm.moving_mean.assign(tf.cast(input_mean, norm.moving_mean.dtype))
  norm.moving_variance.assign(tf.cast(input_variance, norm.moving_variance.dtype))
  alpha = tf.sqrt(old / (input_variance + norm.epsilon))
  return alpha, shift - alpha * tf.where(wiped, shift, mean)
