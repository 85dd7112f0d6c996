"""Information maximisation against NumPy."""

import numpy as np
import tensorflow as tf

from tests import synthetic
from tfdam.matching import information
from tfdam.training import replicas


class InformationTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.logits = np.random.RandomState(0).normal(0, 2, (8, 4)).astype(np.float32)
    self.prior = np.array([0.4, 0.3, 0.2, 0.1], np.float32)

  def test_is_conditional_entropy_plus_divergence_from_the_prior(self):
    p = np.exp(self.logits.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    marginal = p.mean(0)
    expected = -(p * np.log(p)).sum(-1).mean()
    expected += (marginal * np.log(marginal / self.prior)).sum()
    # The guard of 1e-8 in the logarithms, and float32.
    self.assertAllClose(information.loss(self.logits, self.prior), expected, rtol=1e-5)

  def test_is_zero_for_sure_predictions_with_the_priors_frequencies(self):
    logits = 50.0 * tf.one_hot([0, 0, 0, 0, 1, 1, 1, 2, 2, 3], 4)
    self.assertAllClose(information.loss(logits, self.prior), 0.0, atol=1e-5)

  def test_one_class_for_all_is_dear(self):
    logits = 50.0 * tf.one_hot([3] * 10, 4)
    self.assertAllClose(information.loss(logits, self.prior), np.log(10.0), rtol=1e-4)

  def test_every_location_is_a_sample(self):
    maps = self.logits.reshape(2, 2, 2, 4)
    self.assertAllClose(
      information.loss(maps, self.prior), information.loss(self.logits, self.prior)
    )

  def test_replicas_share_the_marginal_and_its_gradient(self):
    """Halves on two replicas: the loss and the summed gradients of the whole batch."""
    logits, prior = tf.constant(self.logits), tf.constant(self.prior)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      whole = information.loss(logits, prior)
    expected = tape.gradient(whole, logits)
    strategy = synthetic.two_replicas()

    @tf.function
    def halves():
      def step():
        part = tf.distribute.get_replica_context().replica_id_in_sync_group
        mine = logits[4 * part : 4 * part + 4]
        with tf.GradientTape() as tape:
          tape.watch(mine)
          loss = information.loss(mine, prior, replicas.mean) / 2.0
        return loss, tape.gradient(loss, mine)

      return strategy.run(step)

    losses, gradients = halves()
    self.assertAllClose(sum(strategy.experimental_local_results(losses)), whole, rtol=1e-5)
    found = tf.concat(strategy.experimental_local_results(gradients), axis=0)
    self.assertAllClose(found, expected, atol=1e-6)
