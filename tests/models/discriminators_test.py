"""Discriminators see every location alone."""

import numpy as np
import tensorflow as tf

from tfdam.models import discriminators


class PerLocationTest(tf.test.TestCase):
  def test_is_the_papers_mlp_on_a_dense_tap(self):
    model = discriminators.PerLocation((500, 500), 2)
    self.assertEqual(model(tf.zeros([4, 10])).shape, (4, 2))
    self.assertEqual(model.count_params(), 11 * 500 + 501 * 500 + 501 * 2)

  def test_a_map_is_a_set_of_locations(self):
    model = discriminators.PerLocation((16, 8), 1, slope=0.2, seed=3)
    maps = np.random.RandomState(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    logits = model(maps)
    self.assertEqual(logits.shape, (2, 3, 4, 1))
    # The same products, summed in another order.
    self.assertAllClose(tf.reshape(logits, [-1, 1]), model(maps.reshape(-1, 5)), atol=1e-6)

  def test_names_give_taps_different_weights(self):
    first, second = (discriminators.PerLocation((8,), 1, name=name) for name in ("a", "b"))
    first(tf.zeros([1, 4])), second(tf.zeros([1, 4]))
    self.assertNotAllEqual(first.get_weights()[0], second.get_weights()[0])
