"""Taps that are made of the logits, beside a network's own."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam import config as config_lib
from tfdam.matching import entropy_map
from tfdam.training import activation_cache, adaptation, chosen_taps, networks


class ChosenTapsTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(2, 5)
  def test_self_information_adds_up_to_the_entropys_share_of_the_most(self, classes):
    logits = np.random.RandomState(0).normal(size=(3, 4, classes)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -chances * np.log(chances) / np.log(classes)
    found = entropy_map.self_information(tf.constant(logits))
    self.assertAllClose(found, expected, atol=1e-6)
    even = entropy_map.self_information(tf.zeros([1, classes]))
    self.assertAllClose(tf.reduce_sum(even), 1.0)

  def test_certainty_has_no_entropy_and_a_finite_gradient(self):
    logits = tf.constant([[1000.0, 0.0, -1000.0]])
    with tf.GradientTape() as tape:
      tape.watch(logits)
      found = entropy_map.self_information(logits)
    self.assertAllEqual(found, [[0.0, 0.0, 0.0]])
    self.assertAllEqual(tape.gradient(found, logits), [[0.0, 0.0, 0.0]])

  def test_a_networks_own_tap_goes_before_one_that_is_made(self):
    output = {"logits": tf.zeros([1, 2]), "taps": {"entropy": tf.ones([1, 7])}}
    found = chosen_taps.of_output(output, ["entropy", chosen_taps.LOGITS])
    self.assertAllEqual(found["entropy"], tf.ones([1, 7]))
    self.assertAllEqual(found[chosen_taps.LOGITS], tf.zeros([1, 2]))

  def test_the_target_is_moved_by_what_it_is_unsure_of_and_kept_taps_do_the_same(self):
    config = synthetic.small_config(
      adapt__taps="entropy", adapt__drift_weight=0.0, adapt__gan_weight=1.0
    )
    batch = {
      name: tf.constant(synthetic.digits(8, 28, seed)[0][..., None] / 255.0, tf.float32)
      for name, seed in (("source", 0), ("target", 1))
    }
    found = []
    for is_kept in (False, True):
      source = networks.build_network(config, "source")
      state = adaptation.set_up(config, source, source, source)
      before = state.target.get_weights()
      given = batch
      if is_kept:
        kept = activation_cache.compute(source, [batch["source"]], 8, ["entropy"], 100)
        given = {"source_taps": kept, "target": batch["target"]}
      found.append(state.phases[0].step(given))
      self.assertNotAllEqual(state.target.get_weights()[0], before[0])
    self.assertAllClose(*found)

  def test_a_map_of_pixels_is_judged_in_patches(self):
    config = synthetic.scenes_config(
      adapt__taps="block03,entropy:2.0", adapt__discriminator="patch"
    )
    source = networks.build_network(config, "source")
    self.assertEqual(networks.settle_taps(config, source), config)
    state = adaptation.set_up(config, source, source, source)
    batch = {name: tf.zeros([2, 32, 48, 3]) for name in ("source", "target")}
    metrics = state.phases[0].step(batch)
    self.assertIn("discriminator/entropy/loss", metrics)
    self.assertEqual(state.taps["entropy"].shape, [1, 32, 48, 3])

  def test_an_unknown_tap_is_refused_still(self):
    config = synthetic.small_config(adapt__taps="entropi")
    source = networks.build_network(config, "source")
    with self.assertRaisesRegex(config_lib.UserError, "Tap 'entropi' is not in lenet"):
      networks.settle_taps(config, source)
