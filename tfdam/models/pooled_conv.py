"""A convolution and the pooling after it as one convolution at stride two."""

from __future__ import annotations

import tensorflow as tf


class PooledConv(tf.keras.layers.Conv2D):
  """A convolution without padding that can take its maximum over 2x2 outputs along.

  The four outputs under a maximum come from one window, a pixel larger than the kernel: the
  kernel stands at its four places in it, four times as many channels. With few channels to
  read that is faster, though every place is also multiplied by its empty rim: what it
  writes has more channels to compute at once, and the maximum goes over neighbours in
  memory.

  Call arguments:
    inputs: float [B, H, W, channels]; to be pooled, of a size known when tracing.
    pool: whether to pool.

  Returns:
    float [B, H', W', filters], the convolution's output, H' = H - kernel height + 1; pooled
    [B, H' // 2, W' // 2, filters]. What shares a maximum shares its gradient.

  Attributes:
    at_once: whether pooling is part of the convolution. Set before tracing.
  """

  at_once = True

  def __init__(self, filters: int, kernel_size: int | tuple[int, int], **kwargs):
    super().__init__(filters, kernel_size, padding="valid", **kwargs)

  def call(self, inputs, pool=False):
    if not pool:
      return super().call(inputs)
    if not self.at_once:
      return tf.nn.max_pool2d(super().call(inputs), 2, 2, "VALID")
    places = [(row, column) for row in (0, 1) for column in (0, 1)]
    kernel = tf.concat(
      [tf.pad(self.kernel, [[y, 1 - y], [x, 1 - x], [0, 0], [0, 0]]) for y, x in places],
      axis=-1,
    )
    outputs = tf.nn.conv2d(inputs, kernel, 2, "VALID")
    _, height, width, _ = outputs.shape
    by_place = tf.reshape(outputs, [-1, height, width, len(places), self.filters])
    # A bias is the same for all four: it waits until there is a quarter of them.
    return tf.nn.bias_add(tf.reduce_max(by_place, axis=3), self.bias)


def pool_apart(model: tf.keras.Model) -> None:
  """Gives the model's convolutions a pooling of its own, as other software expects it."""
  for layer in model.submodules:
    if isinstance(layer, PooledConv):
      layer.at_once = False
