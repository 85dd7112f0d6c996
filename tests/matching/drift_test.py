"""Weight drift."""

import tensorflow as tf

from tfdam.matching import drift


class DriftTest(tf.test.TestCase):
  def pairs(self):
    anchor = [tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.Variable([0.0, 0.0])]
    weights = [tf.Variable([[1.0, 2.0], [3.0, 6.0]]), tf.Variable([1.0, 3.0])]
    return drift.pair_weights(anchor, weights)

  def test_sum_and_mean_by_hand(self):
    # Squares: 4 of four weights, 1 + 9 of two.
    self.assertAllClose(drift.squared_distance(self.pairs(), "sum"), 14.0)
    self.assertAllClose(drift.squared_distance(self.pairs(), "mean"), 4 / 4 + 10 / 2)

  def test_pulls_towards_the_anchor_only(self):
    pairs = self.pairs()
    with tf.GradientTape() as tape:
      distance = drift.squared_distance(pairs, "sum")
    gradients = tape.gradient(distance, [weight for _, weight in pairs])
    self.assertAllClose(gradients[1], [2.0, 6.0])

  def test_a_frozen_anchor_is_an_error_not_a_zero(self):
    frozen = tf.keras.layers.Dense(2)
    free = tf.keras.layers.Dense(2)
    frozen.build([1, 3]), free.build([1, 3])
    frozen.trainable = False
    with self.assertRaisesRegex(ValueError, "Cannot pair"):
      drift.pair_weights(frozen.trainable_variables, free.trainable_variables)
