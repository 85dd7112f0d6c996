"""ERFNet: residual blocks of one-dimensional convolutions, with an optional decoder."""

from __future__ import annotations

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks, conv_norm

_RATES = (0.03, 0.3)  # Dropout rates at 1/4 and at 1/8 of the images' size.
_DILATIONS = (2, 4, 8, 16)


class ERFNet(blocks.Segmenter):
  """ERFNet's encoder with a 1x1 classifier, enlarged eight times (Sec. 5.3, Table 3 A).

  After Romera, Álvarez, Bergasa, Arroyo, "ERFNet: efficient residual factorized ConvNet for
  real-time semantic segmentation", 2018. The blocks, with channels for a width of 1 and
  numbers of blocks for a depth of 1:

    01, 02    downsamplers           16 at 1/2, 64 at 1/4
    03 to 07  5 non-bottleneck-1D    64, dropout 0.03
    08        downsampler            128 at 1/8
    09 to 16  8 non-bottleneck-1D    128, dropout 0.3, dilations 2, 4, 8, 16 and again
    17        1x1 convolution        num_classes

  With the decoder, an option that the paper on activation matching does not use, block 17
  is replaced by:

    17        upsampler              64 at 1/4
    18, 19    2 non-bottleneck-1D    64
    20        upsampler              16 at 1/2
    21, 22    2 non-bottleneck-1D    16
    23        2x2 transposed         num_classes at 1/1

  Sizes that are no multiple of 8 are rounded up in the encoder, and scores are cropped.
  Dropout drops whole channels of an image. Kernels are initialised by He et al., "Delving
  deep into rectifiers", 2015, the classifier's by Glorot.

  Call arguments and return value are Segmenter's.
  """

  OPTIONS = ("width", "depth", "dropout", "decoder")

  def __init__(
    self,
    num_classes: int,
    seed: int = 0,
    name: str = "erfnet",
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 1.0,
    decoder: bool = False,
  ):
    """Lays out the blocks.

    Args:
      num_classes: number of scores per pixel.
      seed: determines the initial weights, together with the layers' names.
      name: of the model.
      width: factor of all numbers of channels, at least 4, 16 and 32.
      depth: factor of the two numbers of non-bottleneck blocks, each at least 1.
      dropout: factor of the dropout rates.
      decoder: whether to add the decoder, so that scores have the images' size.
    """
    base = max(4, round(16 * width))
    channels, wide = 4 * base, 8 * base
    kinds: list[tuple[int, int, float]] = [(base, 0, 0.0), (channels, 0, 0.0)]
    kinds += max(1, round(5 * depth)) * [(channels, 1, dropout * _RATES[0])]
    kinds += [(wide, 0, 0.0)]
    for i in range(max(1, round(8 * depth))):
      kinds.append((wide, _DILATIONS[i % len(_DILATIONS)], dropout * _RATES[1]))
    row: list[blocks.Block] = []
    num_noise = 0
    for filters, dilation, rate in kinds:
      tap = f"block{len(row) + 1:02d}"
      if dilation:
        row.append(_NonBottleneck(filters, dilation, rate, num_noise, seed, tap))
        num_noise += filters if rate else 0
      else:
        row.append(_Downsampler(filters, seed, tap))
    self.has_decoder = decoder
    if decoder:
      row += _decoder(len(row), channels, base, seed)
    tap = f"block{len(row) + 1:02d}"
    init = tf.keras.initializers.GlorotUniform(config_lib.derive_seed(seed, tap))
    last = _FullSizeClassifier if decoder else blocks.Classifier
    super().__init__([*row, last(num_classes, init, tap)], name)
    self.num_noise = num_noise

  def enlarge(self, scores, size):
    """As Segmenter's; with the decoder, scores are cropped to the images' size."""
    if not self.has_decoder:
      return super().enlarge(scores, size)
    return scores[:, : size[0], : size[1]]


def _decoder(num_before: int, channels: int, base: int, seed: int) -> list[blocks.Block]:
  """The blocks between the encoder and the classifier.

  Args:
    num_before: blocks of the encoder.
    channels: channels at 1/4 of the images' size.
    base: channels at 1/2 of the images' size.
    seed: as for ERFNet.
  """
  row: list[blocks.Block] = []
  for filters in (channels, base):
    taps = [f"block{num_before + len(row) + i:02d}" for i in (1, 2, 3)]
    row.append(_Upsampler(filters, seed, taps[0]))
    row += [_NonBottleneck(filters, 1, 0.0, 0, seed, tap) for tap in taps[1:]]
  return row


class _Downsampler(blocks.Block):
  """A strided 3x3 convolution and a 2x2 max-pool side by side, then batch norm and ReLU."""

  def __init__(self, filters: int, seed: int, name: str):
    super().__init__(name)
    self.filters = filters
    self.seed = seed
    self.norm = _norm(f"{name}_bn")

  def build(self, input_shape):
    *space, channels = input_shape["output"]
    # Together with the pool's channels this gives `filters`.
    self.conv = _conv(
      self.filters - channels, (3, 3), self.seed, f"{self.name}_conv3x3", strides=2
    )
    conv_norm.build(self.conv, [*space, channels])
    conv_norm.build(self.norm, [*space, self.filters])
    super().build(input_shape)

  def parts(self):
    return [blocks.Part(self.norm.name, self.norm, self._before, blocks.relu)]

  def _before(self, state, training):
    x = state["output"]
    if training or self.norm.image_share:
      convolved = self.conv(x)
      pooled = tf.cast(_pool(x), convolved.dtype)
      x = self.norm(tf.concat([convolved, pooled], axis=-1), training=training)
      return {**state, "output": x}
    scale, shift = conv_norm.scale_and_shift(self.norm)
    count = self.conv.filters
    convolved = conv_norm.folded(self.conv, x, scale[:count], shift[:count])
    # Scale after the pool: before it, a negative scale would make the maximum a minimum.
    pooled = tf.cast(_pool(x), scale.dtype) * scale[count:] + shift[count:]
    pooled = tf.cast(pooled, convolved.dtype)
    return {**state, "output": tf.concat([convolved, pooled], axis=-1)}


class _Upsampler(blocks.Block):
  """A transposed 3x3 convolution to twice the size, batch norm and ReLU."""

  def __init__(self, filters: int, seed: int, name: str):
    super().__init__(name)
    conv_name = f"{name}_transposed3x3"
    init = tf.keras.initializers.HeNormal(config_lib.derive_seed(seed, conv_name))
    conv = conv_norm.Transposed(filters, kernel_initializer=init, name=conv_name)
    self.pair = conv_norm.ConvNorm(conv, _norm(f"{name}_bn"), f"{name}_pair")

  def parts(self):
    norm = self.pair.norm
    return [blocks.Part(norm.name, norm, blocks.apply(self.pair), blocks.relu)]


class _FullSizeClassifier(blocks.Block):
  """Scores by a transposed 2x2 convolution of stride 2, whose output is the site's."""

  def __init__(self, num_classes: int, init: tf.keras.initializers.Initializer, name: str):
    super().__init__(name)
    # float32 even under mixed precision, as in blocks.Classifier.
    self.conv = tf.keras.layers.Conv2DTranspose(
      num_classes, 2, strides=2, kernel_initializer=init, name=name, dtype="float32"
    )

  def parts(self):
    before = blocks.apply(self.conv)
    return [blocks.Part(self.name, self.conv, before, lambda state: state)]


class _NonBottleneck(blocks.Block):
  """Two pairs of a 3x1 and a 1x3 convolution, the second dilated, added to the input."""

  def __init__(
    self, filters: int, dilation: int, rate: float, noise_start: int, seed: int, name: str
  ):
    """Lays out four convolutions, each along one axis.

    Args:
      filters: channels of the input and the output.
      dilation: of the second pair.
      rate: dropout rate, before the addition.
      noise_start: index of this block's first number in the noise, one per channel.
      seed: as for ERFNet.
      name: of the block.
    """
    super().__init__(name)
    self.rate = rate
    self.noise = slice(noise_start, noise_start + filters)

    def tall(number, rate):
      conv_name = f"{name}_conv3x1_{number}"
      return _conv(filters, (3, 1), seed, conv_name, dilation_rate=(rate, 1))

    def broad(number, rate):
      conv_name = f"{name}_conv1x3_{number}"
      conv = _conv(filters, (1, 3), seed, conv_name, dilation_rate=(1, rate))
      norm = _norm(f"{name}_bn{number}")
      return conv_norm.ConvNorm(conv, norm, f"{name}_pair{number}")

    self.tall1, self.broad1 = tall(1, 1), broad(1, 1)
    self.tall2, self.broad2 = tall(2, dilation), broad(2, dilation)

  def parts(self):
    def first(state, training):
      x = state["output"]
      return {**state, "input": x, "output": self.tall1(x)}

    def part(layer, site_layer, after):
      return blocks.Part(site_layer.name, site_layer, blocks.apply(layer), after)

    return [
      blocks.Part(self.tall1.name, self.tall1, first, blocks.relu),
      part(self.broad1, self.broad1.norm, blocks.relu),
      part(self.tall2, self.tall2, blocks.relu),
      part(self.broad2, self.broad2.norm, self._join),
    ]

  def _join(self, state):
    state = dict(state)
    x, residual = state["output"], state.pop("input")
    if self.rate and "noise" in state:
      kept = tf.cast(state["noise"][:, self.noise] >= self.rate, x.dtype)
      x *= kept[:, tf.newaxis, tf.newaxis] / (1.0 - self.rate)
    return {**state, "output": tf.nn.relu(x + residual)}


def _conv(filters: int, size: tuple[int, int], seed: int, name: str, **options):
  # One seed per layer: weights do not depend on the order in which layers are made.
  init = tf.keras.initializers.HeNormal(config_lib.derive_seed(seed, name))
  return conv_norm.Conv(filters, size, kernel_initializer=init, name=name, **options)


def _norm(name: str) -> conv_norm.BatchNorm:
  return conv_norm.BatchNorm(epsilon=1e-3, momentum=0.9, name=name)


def _pool(x: tf.Tensor) -> tf.Tensor:
  # SAME rounds odd sizes up, as the strided convolution does.
  return tf.nn.max_pool2d(x, 2, 2, "SAME")
