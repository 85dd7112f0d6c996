"""Convolutions and batch norms: two layers in training, one convolution in inference."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterable, Iterator

import tensorflow as tf


class Conv(tf.keras.layers.Conv2D):
  """A convolution with zeros of half its reach on every side, as in PyTorch's networks.

  TensorFlow's SAME is the same, except that a strided one pads even maps at the right and
  at the bottom alone: its windows stand half a stride away from the original's.
  Kernels are odd.
  """

  def __init__(self, filters: int, kernel_size: int | tuple[int, int], **kwargs):
    super().__init__(filters, kernel_size, padding="same", **kwargs)

  def convolution_op(self, inputs, kernel):
    if self.strides != (1, 1) and self.kernel_size == (1, 1):
      # The kernel's gradient of a strided 1x1 convolution with few channels writes past its
      # memory (oneDNN's issue 6035): what it would skip is left out beforehand.
      rows, columns = self.strides
      return tf.nn.conv2d(inputs[:, ::rows, ::columns], kernel, 1, "VALID")
    if self.strides != (1, 1):
      # Handed to the convolution, the padding would make its gradient slower.
      rim = [[0, 0], *([size // 2] * 2 for size in self.kernel_size), [0, 0]]
      return tf.nn.conv2d(tf.pad(inputs, rim), kernel, self.strides, "VALID")
    if self.dilation_rate == (1, 1) or _has_dilated_gradients(inputs.dtype):
      # Keras would move each dilated map to batches and back, half as fast.
      return tf.nn.conv2d(inputs, kernel, 1, "SAME", dilations=self.dilation_rate)
    return tf.nn.convolution(inputs, kernel, 1, "SAME", dilations=self.dilation_rate)


class Transposed(tf.keras.layers.Conv2DTranspose):
  """A transposed 3x3 convolution to exactly twice the size, as in PyTorch's networks.

  Pixel i stands behind pixel 2 i of the result; by Keras' SAME it would behind 2 i + 1.
  """

  def __init__(self, filters: int, **kwargs):
    super().__init__(filters, 3, strides=2, padding="same", **kwargs)

  def call(self, inputs):
    return self.convolved(inputs, self.kernel, self.bias)

  def convolved(self, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """What the layer computes, with other weights."""
    height, width = (x.shape[i] or tf.shape(x)[i] for i in (1, 2))
    shape = [x.shape[0] or tf.shape(x)[0], 2 * height + 1, 2 * width + 1, self.filters]
    # Cut afterwards: tf2onnx 1.17 takes explicit paddings for others.
    wide = tf.nn.conv2d_transpose(x, kernel, shape, 2, "VALID")
    return tf.nn.bias_add(wide[:, 1:, 1:], bias)


@functools.cache
def _has_dilated_gradients(dtype: tf.DType) -> bool:
  """Whether dilated convolutions have gradients here; CPUs need oneDNN for them.

  On CPUs without instructions for half precision oneDNN has them for float32 alone.
  """
  shape = [1, 5, 1, 1]
  with tf.init_scope():  # where tapes stand still: the gradient by its other name
    try:
      kernel, maps = tf.ones([3, 1, 1, 1], dtype), tf.ones(shape, dtype)
      tf.nn.conv2d_transpose(maps, kernel, shape, 1, "SAME", dilations=(2, 1))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
      return False
  return True


class BatchNorm(tf.keras.layers.BatchNormalization):
  """Keras' layer; with several replicas, each normalises by the whole batch's moments.

  Keras' `synchronized=True` takes the variance as a difference of large numbers and leaves
  out the factor n / (n - 1) that moving variances have on one replica, which would make the
  number of replicas matter.

  Attributes:
    image_share: in inference, the share that each image's own moments have in what its maps
      are normalised by, 0 to 1; moving moments have the rest. Set before tracing.
  """

  image_share = 0.0

  def add_weight(self, *args, **kwargs):
    # Replicas' moving moments are equal, but their mean, which a checkpoint would hold, is
    # not always: three times a third.
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
    x = tf.cast(inputs, self.gamma.dtype)  # moments need float32
    axes = list(range(x.shape.rank - 1))

    def batch_mean(values):
      # Replicas have equally large shares of the batch.
      return replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(values, axes))

    mean = batch_mean(x)
    variance = batch_mean(tf.math.squared_difference(x, mean))
    count = tf.cast(tf.size(x) // x.shape[-1] * replica.num_replicas_in_sync, x.dtype)
    # Keras estimates a population's variance from maps, and takes the batch's without them.
    bessel = count / tf.maximum(count - 1.0, 1.0) if x.shape.rank == 4 else 1.0
    for moving, value in (
      (self.moving_mean, mean),
      (self.moving_variance, variance * bessel),
    ):
      moving.assign_sub((moving - tf.stop_gradient(value)) * (1.0 - self.momentum))
    scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
    return tf.cast((x - mean) * scale + self.beta, inputs.dtype)

  def _by_image(self, inputs):
    """Normalises [B, H, W, channels] by moments over each image's locations.

    Schneider et al., "Improving robustness against common corruptions by covariate shift
    adaptation", 2020, with one image as the sample: means and variances are mixed.
    """
    x = tf.cast(inputs, self.gamma.dtype)  # moments need float32
    mean = tf.reduce_mean(x, [1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), [1, 2], keepdims=True)
    share = self.image_share
    mean = share * mean + (1.0 - share) * self.moving_mean
    variance = share * variance + (1.0 - share) * self.moving_variance
    scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
    return tf.cast(x * scale + (self.beta - mean * scale), inputs.dtype)


# {id of a norm: the one that acts in its place}, of a thread: replicas are traced in one
# each, in turn.
_ACTING = threading.local()


@contextlib.contextmanager
def acting(
  pairs: Iterable[tuple[BatchNorm, BatchNorm]],
) -> Iterator[None]:
  """Within it other norms act in the place of a network's own; see per_target.py.

  Args:
    pairs: (the network's, the other), built alike.
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

  In inference the norm is folded into kernel and bias at every call: no pass over the
  activations is spent on it, and gradients reach all four of its and their variables. A
  norm that looks at each image (`image_share`) stays a layer.

  Call arguments:
    x: float [B, H, W, channels].
    training: whether the batch's own moments normalise.

  Returns:
    float [B, H', W', filters].
  """

  def __init__(self, conv: Conv | Transposed, norm: BatchNorm, name: str):
    # Half precision is the convolution's alone: the folded kernel is rounded once.
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
  """Gives a layer its variables before its first call, named as that would."""
  with tf.name_scope(layer.name):
    layer.build(input_shape)


def scale_and_shift(
  norm: tf.keras.layers.BatchNormalization,
) -> tuple[tf.Tensor, tf.Tensor]:
  """What a batch norm does in inference: float32 [channels] each."""
  norm = _acting_for(norm)
  scale = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
  return scale, norm.beta - norm.moving_mean * scale


def folded(
  conv: Conv | Transposed, x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
) -> tf.Tensor:
  """Computes scale * conv(x) + shift as one convolution.

  Args:
    conv: built.
    x: float [B, H, W, channels], cast to what the layer computes in.
    scale: float32 [filters].
    shift: float32 [filters].
  """
  is_transposed = isinstance(conv, Transposed)
  # Its kernel is [..., filters, channels].
  of_kernel = scale[:, tf.newaxis] if is_transposed else scale
  kernel = tf.cast(conv.kernel, scale.dtype) * of_kernel
  bias = tf.cast(conv.bias, scale.dtype) * scale + shift if conv.use_bias else shift
  x, kernel, bias = (tf.cast(v, conv.compute_dtype) for v in (x, kernel, bias))
  if is_transposed:
    return conv.convolved(x, kernel, bias)
  return tf.nn.bias_add(conv.convolution_op(x, kernel), bias)
