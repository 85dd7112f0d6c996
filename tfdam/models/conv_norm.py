"""Convolutions with batch norms: two layers in training, one convolution in inference."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterable, Iterator

import tensorflow as tf


class Conv(tf.keras.layers.Conv2D):
  """A convolution padded by half the kernel size on every side, as in PyTorch's networks.

  TensorFlow's SAME differs only in strided convolutions of maps with even sides: it pads at
  the right and bottom only, which moves all windows. Kernel sizes must be odd.
  """

  def __init__(self, filters: int, kernel_size: int | tuple[int, int], **kwargs):
    super().__init__(filters, kernel_size, padding="same", **kwargs)

  def convolution_op(self, inputs, kernel):
    if self.strides != (1, 1) and self.kernel_size == (1, 1):
      # For few channels, the kernel gradient of a strided 1x1 convolution writes out of
      # bounds (oneDNN's issue 6035). So take every n-th pixel first, and use no stride.
      rows, columns = self.strides
      return tf.nn.conv2d(inputs[:, ::rows, ::columns], kernel, 1, "VALID")
    if self.strides != (1, 1):
      # Pad separately: explicit padding in the convolution makes its gradient slower.
      rim = [[0, 0], *([size // 2] * 2 for size in self.kernel_size), [0, 0]]
      return tf.nn.conv2d(tf.pad(inputs, rim), kernel, self.strides, "VALID")
    if self.dilation_rate == (1, 1) or _has_dilated_gradients(inputs.dtype):
      # Keras would rearrange dilated maps into batches and back, at half the speed.
      return tf.nn.conv2d(inputs, kernel, 1, "SAME", dilations=self.dilation_rate)
    return tf.nn.convolution(inputs, kernel, 1, "SAME", dilations=self.dilation_rate)


class Depthwise(tf.keras.layers.DepthwiseConv2D):
  """A convolution of each channel by itself, with TensorFlow's SAME padding."""

  def __init__(self, kernel_size: int, **kwargs):
    super().__init__(kernel_size, padding="same", **kwargs)

  @property
  def kernel(self):
    """[kernel_size, kernel_size, channels, 1]."""
    return self.depthwise_kernel

  def convolution_op(self, inputs, kernel):
    return tf.nn.depthwise_conv2d(inputs, kernel, [1, *self.strides, 1], "SAME")


class Transposed(tf.keras.layers.Conv2DTranspose):
  """A transposed 3x3 convolution to exactly twice the size, as in PyTorch's networks.

  Input pixel i is centred on output pixel 2 i; with Keras' SAME it would be on 2 i + 1.
  """

  def __init__(self, filters: int, **kwargs):
    super().__init__(filters, 3, strides=2, padding="same", **kwargs)

  def call(self, inputs):
    return self.convolved(inputs, self.kernel, self.bias)

  def convolved(self, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Computes the layer's output with other weights.

    Args:
      x: float [B, H, W, channels].
      kernel: float [3, 3, filters, channels].
      bias: float [filters].

    Returns:
      float [B, 2 H, 2 W, filters].
    """
    height, width = (x.shape[i] or tf.shape(x)[i] for i in (1, 2))
    shape = [x.shape[0] or tf.shape(x)[0], 2 * height + 1, 2 * width + 1, self.filters]
    # Crop afterwards: tf2onnx 1.17 converts explicit paddings wrongly.
    wide = tf.nn.conv2d_transpose(x, kernel, shape, 2, "VALID")
    return tf.nn.bias_add(wide[:, 1:, 1:], bias)


@functools.cache
def _has_dilated_gradients(dtype: tf.DType) -> bool:
  """Whether dilated convolutions have gradients on this machine; CPUs need oneDNN for them.

  On CPUs without half-precision instructions, oneDNN has them for float32 only.
  """
  shape = [1, 5, 1, 1]
  with tf.init_scope():  # No tapes here, so call the gradient, a transposed convolution.
    try:
      kernel, maps = tf.ones([3, 1, 1, 1], dtype), tf.ones(shape, dtype)
      tf.nn.conv2d_transpose(maps, kernel, shape, 1, "SAME", dilations=(2, 1))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
      return False
  return True


class BatchNorm(tf.keras.layers.BatchNormalization):
  """Keras' layer; with several replicas, each normalises by the global batch's moments.

  With Keras' `synchronized=True`, results would depend on the number of replicas: it
  computes the variance as a difference of large numbers, and leaves out the factor
  n / (n - 1) that moving variances have on one replica.

  Attributes:
    image_share: weight of each image's own moments in inference, 0 to 1; the moving moments
      have the rest. Set it before tracing.
  """

  image_share = 0.0

  def add_weight(self, *args, **kwargs):
    # Replicas have equal moving moments. Their mean, which a checkpoint would store, can
    # still differ from them by rounding.
    if kwargs.get("aggregation") == tf.VariableAggregation.MEAN:
      kwargs["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return super().add_weight(*args, **kwargs)

  def call(self, inputs, training=False):
    other = _acting_for(self)
    if other is not self:
      return other(inputs, training=training)
    if self.image_share and not training and inputs.shape.rank == 4:
      return self._by_image(inputs)
    if not (training and self.trainable):
      # The fused kernel has no deterministic gradient here on GPUs (TensorFlow's
      # documentation of enable_op_determinism).
      scale, shift = scale_and_shift(self)
      return tf.cast(tf.cast(inputs, scale.dtype) * scale + shift, inputs.dtype)
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
      return super().call(inputs, training=True)
    x = tf.cast(inputs, self.gamma.dtype)  # Moments need float32.
    axes = list(range(x.shape.rank - 1))

    def batch_mean(values):
      # Replicas have equal shares of the batch, so a mean of means is right.
      return replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(values, axes))

    mean = batch_mean(x)
    variance = batch_mean(tf.math.squared_difference(x, mean))
    count = tf.cast(tf.size(x) // x.shape[-1] * replica.num_replicas_in_sync, x.dtype)
    # As in Keras: Bessel's correction for maps, none for dense activations.
    bessel = count / tf.maximum(count - 1.0, 1.0) if x.shape.rank == 4 else 1.0
    for moving, value in (
      (self.moving_mean, mean),
      (self.moving_variance, variance * bessel),
    ):
      moving.assign_sub((moving - tf.stop_gradient(value)) * (1.0 - self.momentum))
    scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
    return tf.cast((x - mean) * scale + self.beta, inputs.dtype)

  def _by_image(self, inputs):
    """Normalises [B, H, W, channels] by a mix of each image's moments and the moving ones.

    After Schneider et al., "Improving robustness against common corruptions by covariate
    shift adaptation", 2020, with a single image as the sample.
    """
    x = tf.cast(inputs, self.gamma.dtype)  # Moments need float32.
    mean = tf.reduce_mean(x, [1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), [1, 2], keepdims=True)
    share = self.image_share
    mean = share * mean + (1.0 - share) * self.moving_mean
    variance = share * variance + (1.0 - share) * self.moving_variance
    scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
    return tf.cast(x * scale + (self.beta - mean * scale), inputs.dtype)


# {id of a norm: the norm that replaces it}, per thread, because each replica is traced in a
# thread of its own.
_ACTING = threading.local()


@contextlib.contextmanager
def acting(
  pairs: Iterable[tuple[BatchNorm, BatchNorm]],
) -> Iterator[None]:
  """Within this context, other norms replace a network's own; see per_target.py.

  Args:
    pairs: (the network's norm, its replacement), built with the same shapes.
  """
  before = getattr(_ACTING, "norms", {})
  _ACTING.norms = {id(norm): other for norm, other in pairs if other is not norm}
  try:
    yield
  finally:
    _ACTING.norms = before


def _acting_for(norm: BatchNorm) -> BatchNorm:
  return getattr(_ACTING, "norms", {}).get(id(norm), norm)


def normalise_by_image(model: tf.keras.Model, share: float) -> int:
  """Sets `image_share` of every BatchNorm in the model; returns how many there are."""
  norms = [layer for layer in model.submodules if isinstance(layer, BatchNorm)]
  for norm in norms:
    norm.image_share = share
  return len(norms)


class ConvNorm(tf.keras.layers.Layer):
  """A convolution and the batch norm after it.

  In inference, every call folds the norm into kernel and bias. This saves a pass over the
  activations, and gradients still reach the variables of both layers. A norm that uses each
  image's own moments (`image_share`) is not folded.

  Call arguments:
    x: float [B, H, W, channels].
    training: whether the norm uses the batch's own moments.

  Returns:
    float [B, H', W', filters].
  """

  def __init__(self, conv: tf.keras.layers.Conv2D | Depthwise, norm: BatchNorm, name: str):
    # Only the convolution uses half precision, so the folded kernel is rounded once.
    super().__init__(name=name, dtype="float32", autocast=False)
    self.conv = conv
    self.norm = norm

  def build(self, input_shape):
    build(self.conv, input_shape)
    build(self.norm, self.conv.compute_output_shape(input_shape))
    super().build(input_shape)

  def call(self, x, training=False):
    if training or self.norm.image_share:
      return self.norm(self.conv(x), training=training)
    return folded(self.conv, x, *scale_and_shift(self.norm))


def build(layer: tf.keras.layers.Layer, input_shape) -> None:
  """Makes a layer's variables before its first call, with the names that a call gives."""
  with tf.name_scope(layer.name):
    layer.build(input_shape)


def scale_and_shift(
  norm: tf.keras.layers.BatchNormalization,
) -> tuple[tf.Tensor, tf.Tensor]:
  """The scale and shift that a batch norm applies in inference, float32 [channels] each."""
  norm = _acting_for(norm)
  scale = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
  return scale, norm.beta - norm.moving_mean * scale


def folded(
  conv: tf.keras.layers.Conv2D | Depthwise, x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
) -> tf.Tensor:
  """Computes scale * conv(x) + shift as one convolution.

  Args:
    conv: a built layer.
    x: float [B, H, W, channels]; cast to the layer's compute dtype.
    scale: float32 [filters].
    shift: float32 [filters].

  Returns:
    float [B, H', W', filters], in the layer's compute dtype.
  """
  is_transposed = isinstance(conv, Transposed)
  # The kernel of these is [..., filters, channels], of a depthwise one [..., filters, 1].
  has_filters_first = is_transposed or isinstance(conv, Depthwise)
  of_kernel = scale[:, tf.newaxis] if has_filters_first else scale
  kernel = tf.cast(conv.kernel, scale.dtype) * of_kernel
  bias = tf.cast(conv.bias, scale.dtype) * scale + shift if conv.use_bias else shift
  x, kernel, bias = (tf.cast(v, conv.compute_dtype) for v in (x, kernel, bias))
  if is_transposed:
    return conv.convolved(x, kernel, bias)
  return tf.nn.bias_add(conv.convolution_op(x, kernel), bias)
