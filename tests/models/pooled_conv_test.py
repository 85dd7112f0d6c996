"""A convolution that pools, against the two layers that it stands for."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam.models import lenet, pooled_conv


def layer(kernel_size, channels):
  """With weights and biases away from zero."""
  found = pooled_conv.PooledConv(6, kernel_size)
  found.build([None, None, None, channels])
  rng = np.random.RandomState(1)
  found.set_weights([rng.normal(size=v.shape) for v in found.weights])
  return found


class PooledConvTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    (28, 28, 1, 5),
    (29, 30, 1, 5),  # an odd output: its last row is in no maximum
    (9, 12, 3, 3),
    (12, 9, 2, (2, 4)),
  )
  def test_it_and_its_gradients_are_those_of_a_convolution_and_a_pooling(
    self, height, width, channels, kernel_size
  ):
    rng = np.random.RandomState(0)
    x = tf.constant(rng.normal(size=(3, height, width, channels)), tf.float32)
    conv = layer(kernel_size, channels)
    results = []
    for pooled in (
      lambda: conv(x, pool=True),
      lambda: tf.nn.max_pool2d(conv(x), 2, 2, "VALID"),
    ):
      with tf.GradientTape() as tape:
        tape.watch(x)
        output = pooled()
        loss = tf.reduce_sum(tf.sin(output))
      gradients = tape.gradient(loss, [x, *conv.trainable_variables])
      results.append([output, *gradients])
    for found, expected in zip(*results, strict=True):
      self.assertEqual(found.shape, expected.shape)
      # float32 sums of up to 700 products in another order.
      self.assertAllClose(found, expected, rtol=1e-4, atol=1e-4)

  def test_equal_maxima_share_their_gradient(self):
    conv = pooled_conv.PooledConv(1, 1, kernel_initializer="ones")
    x = tf.ones([1, 2, 2, 1])
    conv(x)
    with tf.GradientTape() as tape:
      tape.watch(x)
      loss = tf.reduce_sum(conv(x, pool=True))
    self.assertAllEqual(tape.gradient(loss, x), tf.fill([1, 2, 2, 1], 0.25))

  def test_apart_it_is_the_two_layers(self):
    x = tf.constant(np.random.RandomState(0).normal(size=(2, 12, 12, 1)), tf.float32)
    model = lenet.LeNet(10)
    model.conv1(x)
    pooled_conv.pool_apart(model)
    expected = tf.nn.max_pool2d(model.conv1(x), 2, 2, "VALID")
    self.assertAllEqual(model.conv1(x, pool=True), expected)
    graph = tf.function(lambda x: model.conv1(x, pool=True)).get_concrete_function(x).graph
    self.assertIn("MaxPool", {op.type for op in graph.get_operations()})

  def test_pooling_adds_no_variables(self):
    conv = pooled_conv.PooledConv(4, 3)
    conv(tf.zeros([1, 8, 8, 1]), pool=True)
    self.assertEqual([v.name for v in conv.weights], [
      f"{conv.name}/kernel:0", f"{conv.name}/bias:0",
    ])  # fmt: skip
