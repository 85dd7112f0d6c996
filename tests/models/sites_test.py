"""Folding a scale and a shift into a layer."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam.models import sites

ALPHA, BETA = np.array([2.0, 0.5, 1.5]), np.array([1.0, -1.0, 0.25])


class FoldTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.named_parameters(
    ("conv", lambda: tf.keras.layers.Conv2D(3, 2)),
    ("dense", lambda: tf.keras.layers.Dense(3)),
    ("batch_norm", lambda: tf.keras.layers.BatchNormalization()),
  )
  def test_the_layer_computes_the_affine_output(self, make):
    layer = make()
    inputs = np.random.RandomState(0).normal(size=(4, 5, 5, 3)).astype(np.float32)
    layer(inputs, training=True)
    num_variables = len(layer.variables)
    before = layer(inputs)
    sites.fold(layer, ALPHA, BETA)
    # float32 rounding of products of order 10.
    self.assertAllClose(layer(inputs), before * ALPHA + BETA, atol=1e-5)
    self.assertLen(layer.variables, num_variables)

  @parameterized.named_parameters(
    ("no_bias", lambda: tf.keras.layers.Dense(3, use_bias=False)),
    ("no_scale", lambda: tf.keras.layers.BatchNormalization(scale=False)),
    ("pooling", lambda: tf.keras.layers.MaxPool2D()),
  )
  def test_a_layer_that_cannot_take_it_is_refused(self, make):
    layer = make()
    layer(tf.zeros([1, 4, 4, 3]))
    with self.assertRaises(TypeError):
      sites.fold(layer, ALPHA, BETA)
