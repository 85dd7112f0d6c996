"""Folds a scale and a shift of a layer's output into the layer's weights (Eq. 2)."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
_TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_BATCH_NORM = "BatchNormalization"
_NORMS = (_BATCH_NORM, "LayerNormalization", "GroupNormalization")
_KERAS = ("keras", "tf_keras")
# Keras' names of the layers that `fold` knows.
KINDS = ("Dense", *_CONVOLUTIONS, *_TRANSPOSED, *_DEPTHWISE, *_SEPARABLE, *_NORMS)


class Affine(NamedTuple):
  """The variables that scale and shift a layer's output.

  Attributes:
    scale: float, multiplied by a factor per output channel; None if the layer has none.
    shift: float [channels], to which a value is added; None if the layer has none.
    channels: axes of `scale` that together make up the output channels, in order.
  """

  scale: Any
  shift: Any
  channels: tuple[int, ...] = (-1,)


def kind(layer: Any) -> str:
  """The name of the Keras class whose computation a layer does; "" if there is none.

  A user's subclass may compute anything, so it has no kind. The subclasses in this project
  (models/conv_norm.py) compute what their Keras class computes.
  """
  own = [k for k in type(layer).__mro__ if not k.__module__.startswith("tfdam.models.")]
  return own[0].__name__ if own[0].__module__.partition(".")[0] in _KERAS else ""


def affine(layer: Any) -> Affine:
  """The variables into which a scale and a shift can be folded.

  Args:
    layer: a built layer of Keras 2 or 3, channels last.

  Raises:
    TypeError: the layer is of no kind in KINDS, so the layout of its kernel is unknown.
  """
  of = kind(layer)
  if of not in KINDS:
    raise TypeError(f"Cannot fold a scale into '{layer.name}' ({type(layer).__name__}).")
  if of in _NORMS:
    return Affine(getattr(layer, "gamma", None), getattr(layer, "beta", None))
  if of in _TRANSPOSED:
    return Affine(layer.kernel, layer.bias, (-2,))  # [..., outputs, inputs]
  if of in _DEPTHWISE:
    # [..., inputs, multiplier]: one channel per pair. Keras 3 calls it `kernel`.
    kernel = getattr(layer, "depthwise_kernel", None)
    return Affine(layer.kernel if kernel is None else kernel, layer.bias, (-2, -1))
  if of in _SEPARABLE:
    return Affine(layer.pointwise_kernel, layer.bias)
  # [..., inputs, outputs], with any number of groups.
  return Affine(layer.kernel, layer.bias)


def can_fold(layer: Any) -> bool:
  """Whether a layer of a kind in KINDS takes both a scale and a shift."""
  found = affine(layer)
  return is_batch_norm(layer) or not (found.scale is None or found.shift is None)


def is_batch_norm(layer: Any) -> bool:
  return kind(layer) == _BATCH_NORM


def fold(layer: Any, alpha: tf.Tensor, beta: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Changes a layer's weights so that it computes alpha * output + beta (Eq. 2).

  Adds no variable and no operation. If a batch norm has no gamma or no beta, its moving
  moments change instead.

  Args:
    layer: a layer for which `can_fold` is true. If it ends with an activation function,
      scale and shift act before that function.
    alpha: float [channels], above 0.
    beta: float [channels].

  Returns:
    (alpha, beta), float64 [channels] each, as actually applied. A moving variance cannot
    fall below 0, which bounds alpha.

  Raises:
    TypeError: the layer is of another kind, or has no variables for scale and shift.
  """
  found = affine(layer)
  if not can_fold(layer):
    raise TypeError(f"'{layer.name}' has no variable that could take a scale and a shift.")
  alpha, beta = tf.cast(alpha, tf.float64), tf.cast(beta, tf.float64)
  left = beta
  if found.shift is not None:
    _assign(found.shift, alpha * _float64(found.shift) + beta)
    left = tf.zeros_like(beta)
  if found.scale is not None:
    shape = [1] * len(found.scale.shape)
    for axis in found.channels:
      shape[axis] = found.scale.shape[axis]
    _assign(found.scale, tf.reshape(alpha, shape) * _float64(found.scale))
  else:
    old = _float64(layer.moving_variance) + layer.epsilon
    variance = tf.maximum(old / tf.square(alpha) - layer.epsilon, 0.0)
    _assign(layer.moving_variance, variance)
    alpha = tf.sqrt(old / (variance + layer.epsilon))
  if found.shift is None:
    gamma = 1.0 if found.scale is None else _float64(found.scale)
    slope = gamma / tf.sqrt(_float64(layer.moving_variance) + layer.epsilon)
    # Where gamma is 0 the input has no effect, and no moving mean can produce the shift.
    _assign(
      layer.moving_mean, _float64(layer.moving_mean) - tf.math.divide_no_nan(left, slope)
    )
  return alpha, beta


def adopt_moments(
  norm: Any, mean: tf.Tensor, variance: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """AdaBN: sets a batch norm's moving moments to those of other images.

  Li et al., "Revisiting batch normalization for practical domain adaptation", 2016.

  Args:
    norm: a batch norm in inference mode.
    mean: float64 [channels], the mean of its *output* on those images.
    variance: float64 [channels], the variance of its *output* on those images.

  Returns:
    (alpha, beta), float64 [channels] each: the new output is alpha * old output + beta.
  """
  moving_mean, moving_variance = _float64(norm.moving_mean), _float64(norm.moving_variance)
  gamma, shift = _gamma_and_beta(norm)
  old = moving_variance + norm.epsilon
  # Back from output to input moments. Where gamma is 0 the input cannot be recovered, and
  # the moving moments stay.
  wiped = tf.equal(gamma, 0.0)
  divisor = tf.where(wiped, tf.ones_like(gamma), gamma)
  input_mean = moving_mean + (mean - shift) * tf.sqrt(old) / divisor
  input_variance = variance * old / tf.square(divisor)
  input_mean = tf.where(wiped, moving_mean, input_mean)
  input_variance = tf.where(wiped, moving_variance, input_variance)
  _assign(norm.moving_mean, input_mean)
  _assign(norm.moving_variance, input_variance)
  alpha = tf.sqrt(old / (input_variance + norm.epsilon))
  return alpha, shift - alpha * tf.where(wiped, shift, mean)


def scale_and_shift(norm: Any) -> tuple[tf.Tensor, tf.Tensor]:
  """The scale and shift that a batch norm applies to its input in inference.

  Returns:
    (scale, shift), float64 [channels] each.
  """
  gamma, beta = _gamma_and_beta(norm)
  scale = gamma / tf.sqrt(_float64(norm.moving_variance) + norm.epsilon)
  return scale, beta - scale * _float64(norm.moving_mean)


def moving_moments(norm: Any) -> tuple[tf.Tensor, tf.Tensor]:
  """Mean and variance of a batch norm's output on the images that it was trained on.

  They follow from the moving moments, which training on the source has left.

  Returns:
    (mean, variance), float64 [channels] each.
  """
  variance = _float64(norm.moving_variance)
  gamma, beta = _gamma_and_beta(norm)
  return beta, tf.square(gamma) * variance / (variance + norm.epsilon)


def _gamma_and_beta(norm: Any) -> tuple[tf.Tensor, tf.Tensor]:
  """(gamma, beta), float64 [channels] each; 1 and 0 where the norm has none."""
  found, like = affine(norm), _float64(norm.moving_mean)
  return (
    tf.ones_like(like) if found.scale is None else _float64(found.scale),
    tf.zeros_like(like) if found.shift is None else _float64(found.shift),
  )


def _assign(variable: Any, value: tf.Tensor) -> None:
  variable.assign(tf.cast(value, variable.dtype))


def _float64(variable: Any) -> tf.Tensor:
  return tf.cast(tf.convert_to_tensor(variable), tf.float64)
