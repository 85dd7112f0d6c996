"""Convolutions, batch norms, and both as one."""

from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam.models import conv_norm


def images(*shape, seed=0):
  return tf.constant(np.random.RandomState(seed).normal(size=shape), tf.float32)


def randomise(layer, seed=0):
  """Moments and parameters away from zero and one, variances positive."""
  rng = np.random.RandomState(seed)
  layer.set_weights([rng.uniform(0.5, 1.5, v.shape) for v in layer.weights])


class ConvTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((8, 3), (9, 3), (8, 7), (8, 1), (9, 1))
  def test_a_strided_one_pads_every_side_as_the_originals(self, side, size):
    x = images(2, side, side, 3)
    conv = conv_norm.Conv(4, size, strides=2)
    found = conv(x)
    padded = tf.keras.layers.ZeroPadding2D(size // 2)(x)
    expected = tf.nn.conv2d(padded, conv.kernel, 2, "VALID")
    self.assertEqual(found.shape, (2, -(-side // 2), -(-side // 2), 4))
    # The same sums in another order.
    self.assertAllClose(found, expected, atol=1e-5)

  def test_a_strided_1x1_one_leaves_the_heap_alone(self):
    """Where the convolution itself strides, oneDNN's heap breaks within these rounds."""
    x = images(3, 64, 96, 4)
    conv = conv_norm.Conv(4, 1, strides=2)
    for _ in range(60):
      with tf.GradientTape() as tape:
        loss = tf.reduce_sum(conv(x))
      gradient = tape.gradient(loss, conv.kernel)
    expected = tf.reduce_sum(x[:, ::2, ::2], [0, 1, 2])
    # float32 sums of 5000 values of order 1.
    self.assertAllClose(gradient[0, 0], tf.repeat(expected[:, None], 4, 1), atol=1e-2)

  @parameterized.parameters((conv_norm._has_dilated_gradients,), (lambda dtype: False,))
  def test_a_dilated_one_and_its_gradients_are_those_of_a_kernel_with_holes(self, direct):
    """By the way that this machine takes, and by the one that every machine can take."""
    x = images(2, 7, 6, 3)
    conv = conv_norm.Conv(4, (3, 1), dilation_rate=(2, 1))
    conv(x)
    with mock.patch.object(conv_norm, "_has_dilated_gradients", direct):
      with tf.GradientTape() as tape:
        found = conv(x)
        loss = tf.reduce_sum(found**2)
      gradient = tape.gradient(loss, conv.kernel)
    with tf.GradientTape() as tape:
      holes = tf.zeros([1, 1, 3, 4])
      rows = [conv.kernel[0:1], holes, conv.kernel[1:2], holes, conv.kernel[2:3]]
      expected = tf.nn.conv2d(x, tf.concat(rows, axis=0), 1, "SAME")
      loss = tf.reduce_sum(expected**2)
    # The same sums in another order, of order 10.
    self.assertAllClose(found, expected, atol=1e-5)
    self.assertAllClose(gradient, tape.gradient(loss, conv.kernel), atol=1e-4)

  @parameterized.parameters("float16", "bfloat16")
  def test_a_dilated_one_has_gradients_in_half_precision_too(self, half):
    conv = conv_norm.Conv(4, (3, 1), dilation_rate=(2, 1), dtype=f"mixed_{half}")
    x = tf.cast(images(2, 7, 6, 3), half)
    with tf.GradientTape() as tape:
      tape.watch(x)
      found = conv(x)
      loss = tf.reduce_sum(found)
    self.assertEqual(found.dtype, half)
    for gradient in tape.gradient(loss, [x, conv.kernel]):
      self.assertGreater(np.abs(tf.cast(gradient, tf.float32)).max(), 0.0)


class ConvNormTest(tf.test.TestCase):
  def test_inference_and_its_gradients_are_those_of_keras_layers(self):
    x = images(2, 9, 8, 3)
    pair = conv_norm.ConvNorm(
      conv_norm.Conv(5, 3), conv_norm.BatchNorm(epsilon=1e-3), "pair"
    )
    plain = [
      tf.keras.layers.Conv2D(5, 3, padding="same"),
      tf.keras.layers.BatchNormalization(epsilon=1e-3),
    ]
    pair(x), plain[1](plain[0](x))
    for ours, layer in zip((pair.conv, pair.norm), plain):
      randomise(ours)
      layer.set_weights(ours.get_weights())
    with tf.GradientTape(persistent=True) as tape:
      tape.watch(x)
      found, expected = pair(x), plain[1](plain[0](x), training=False)
      # Means keep gradients of order 1, whatever the map's size.
      losses = [tf.reduce_mean(tf.sin(y)) for y in (found, expected)]
    # float32 rounding of sums over 27 products of order 1.
    self.assertAllClose(found, expected, atol=1e-5)
    variables = [v for layer in plain for v in layer.trainable_variables]
    ours = [pair.conv.kernel, pair.conv.bias, pair.norm.gamma, pair.norm.beta]
    for one, other in zip(
      tape.gradient(losses[0], [x, *ours]), tape.gradient(losses[1], [x, *variables])
    ):
      self.assertGreater(np.abs(other).max(), 1e-4)
      self.assertAllClose(one, other, atol=1e-5)

  def test_training_normalises_by_the_batch_and_moves_the_moments(self):
    x = images(4, 6, 6, 3)
    norm = conv_norm.BatchNorm(epsilon=1e-3, momentum=0.9)
    pair = conv_norm.ConvNorm(conv_norm.Conv(5, 3), norm, "pair")
    outputs = pair(x, training=True)
    # Divided by sqrt(variance + 0.001), a little less than 1.
    self.assertAllClose(tf.math.reduce_std(outputs, [0, 1, 2]), tf.ones(5), atol=2e-2)
    convolved = pair.conv(x).numpy().reshape(-1, 5)
    self.assertAllClose(norm.moving_mean, 0.1 * convolved.mean(0), atol=1e-6)
    self.assertAllClose(
      norm.moving_variance, 0.9 + 0.1 * convolved.var(0, ddof=1), atol=1e-5
    )

  def test_half_precision_rounds_the_folded_kernel_once(self):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    self.addCleanup(tf.keras.mixed_precision.set_global_policy, "float32")
    x = images(2, 5, 5, 3)
    pair = conv_norm.ConvNorm(conv_norm.Conv(4, 3), conv_norm.BatchNorm(), "pair")
    pair(x), randomise(pair.conv, 1), randomise(pair.norm, 2)
    scale, shift = conv_norm.scale_and_shift(pair.norm)
    kernel = tf.cast(pair.conv.kernel * scale, "bfloat16")
    bias = tf.cast(pair.conv.bias * scale + shift, "bfloat16")
    expected = tf.nn.conv2d(tf.cast(x, "bfloat16"), kernel, 1, "SAME") + bias
    self.assertEqual(pair(x).dtype, "bfloat16")
    self.assertAllEqual(pair(x), expected)


class BatchNormTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(0.0, 0.3, 1.0)
  def test_each_image_takes_its_share_in_inference(self, share):
    x = images(3, 6, 5, 3) * [1.0, 2.0, 3.0] + [5.0, -4.0, 3.0]
    pair = conv_norm.ConvNorm(conv_norm.Conv(4, 3), conv_norm.BatchNorm(), "pair")
    pair(x), randomise(pair.conv, 1), randomise(pair.norm, 2)
    pair.norm.image_share = share
    convolved = pair.conv(x).numpy().astype(np.float64)
    norm = {v.name.split("/")[-1][:-2]: v.numpy() for v in pair.norm.weights}
    expected = []
    for image in convolved:  # by itself: no other image of the batch counts
      mean = share * image.mean((0, 1)) + (1 - share) * norm["moving_mean"]
      variance = share * image.var((0, 1)) + (1 - share) * norm["moving_variance"]
      normed = (image - mean) / np.sqrt(variance + pair.norm.epsilon)
      expected.append(normed * norm["gamma"] + norm["beta"])
    # float32 values of order 100, of deviations of order 10.
    self.assertAllClose(pair(x), expected, atol=1e-4)
    trained = pair(x, training=True)
    pair.norm.image_share = 0.0
    self.assertAllEqual(trained, pair(x, training=True))

  def test_half_precision_keeps_an_images_moments_in_float32(self):
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    self.addCleanup(tf.keras.mixed_precision.set_global_policy, "float32")
    norm = conv_norm.BatchNorm()
    x = tf.cast(images(2, 40, 40, 2) * 300.0, tf.float16)  # squares beyond float16
    norm(x)
    norm.image_share = 1.0
    found = norm(x)
    self.assertEqual(found.dtype, tf.float16)
    deviation = tf.math.reduce_std(tf.cast(found, tf.float32), [1, 2])
    self.assertAllClose(deviation, tf.ones([2, 2]), atol=1e-3)

  @parameterized.parameters([(4, 3, 5, 2)], [(6, 2)])
  def test_two_replicas_are_one(self, shape):
    """Outputs, gradients and moving moments of halves of a batch, far from zero."""
    x = images(*shape) + 100.0

    def step(norm, values):
      with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = norm(values, training=True)
        loss = tf.reduce_sum(outputs**3)
      return outputs, tape.gradient(loss, values)

    single = conv_norm.BatchNorm(momentum=0.9)
    expected = step(single, x)
    strategy = synthetic.two_replicas()
    with strategy.scope():
      shared = conv_norm.BatchNorm(momentum=0.9)
      shared.build(x.shape)
    # Their mean, which a checkpoint would hold, is not always one of three equal numbers.
    for moving in (shared.moving_mean, shared.moving_variance):
      first = tf.VariableAggregation.ONLY_FIRST_REPLICA
      self.assertEqual(moving.aggregation, first)
    halves = strategy.experimental_distribute_values_from_function(
      lambda context: tf.split(x, 2)[context.replica_id_in_sync_group]
    )
    found = strategy.run(tf.function(lambda values: step(shared, values)), (halves,))
    for one, other in zip(found, expected):
      joined = tf.concat(strategy.experimental_local_results(one), axis=0)
      # float32 values of order 100 keep 1e-5, of a deviation of 1.
      self.assertAllClose(joined, other, atol=1e-3)
    for one, other in zip(shared.get_weights(), single.get_weights()):
      # 1e-5 of 100; without Bessel's correction variances would differ by 2e-3.
      self.assertAllClose(one, other, rtol=1e-4)
