"""Discriminators see every location alone."""

import numpy as np
import tensorflow as tf

from tfdam import addons, models
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


class PatchTest(tf.test.TestCase):
  def test_the_number_of_parameters_and_the_size_of_the_map_by_hand(self):
    model = discriminators.Patch((16, 8), 1, slope=0.2)
    self.assertEqual(model(tf.zeros([2, 30, 44, 5])).shape, (2, 8, 11, 1))
    by_hand = (4 * 4 * 5 + 1) * 16 + (4 * 4 * 16 + 1) * 8 + 4 * 4 * 8 + 1
    self.assertEqual(model.count_params(), by_hand)

  def test_a_location_is_judged_with_its_neighbours_and_no_others(self):
    model = discriminators.Patch((4,), 1, slope=0.2)
    maps = np.random.RandomState(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    before = model(maps)
    maps[0, 16, 16] += 1.0
    moved = np.abs(model(maps) - before)[0, ..., 0] > 1e-6
    rows = np.flatnonzero(moved.any(1))
    # 16 is in the strided windows of 7 and 8, and these in the last ones of 5 to 9.
    self.assertEqual((rows.min(), rows.max()), (5, 9))
    self.assertEqual(np.flatnonzero(moved.any(0)).tolist(), list(range(5, 10)))

  def test_maps_smaller_than_the_strides_do(self):
    model = discriminators.Patch((4, 4, 4, 4), 2)
    self.assertEqual(model(tf.ones([2, 1, 3, 5])).shape, (2, 1, 1, 2))

  def test_a_dense_tap_is_refused(self):
    with self.assertRaisesRegex(ValueError, "takes maps.*per location"):
      discriminators.Patch((4,), 1)(tf.zeros([2, 10]))

  def test_is_made_as_one_per_location_is(self):
    wrapped = []

    def wrap(layer, seed):
      wrapped.append((layer.name, seed))
      return layer

    for kind in models.DISCRIMINATORS.values():
      model = kind((4, 4), 1, slope=0.2, seed=3, wrap=wrap, name="d")
      self.assertEqual(model(tf.ones([1, 8, 8, 2])).dtype, tf.float32)
    self.assertEqual(wrapped[:3], wrapped[3:])
    self.assertEqual(
      [name for name, _ in wrapped[:3]], ["hidden1", "hidden2", "classifier"]
    )

  def test_spectral_normalisation_wraps_convolutions(self):
    model = discriminators.Patch((4,), 1, wrap=addons.spectral_norm)
    maps = tf.random.stateless_normal([2, 8, 8, 3], [0, 0])
    for _ in range(30):  # of the power iteration
      model(maps, training=True)
    kernel = model.hidden[0].layer.kernel.numpy().reshape(-1, 4)
    # The power iteration's rest.
    self.assertAllClose(np.linalg.svd(kernel)[1][0], 1.0, atol=1e-2)
