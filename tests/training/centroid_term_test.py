"""The term of class-wise centroids: whose labels, whose gradient, which tap."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam import config as config_lib
from tfdam.training import adaptation, centroid_term, networks


class CentroidTermTest(tf.test.TestCase, parameterized.TestCase):
  def make(self, **options):
    options = config_lib.Adapt(centroid_weight=1.0, taps="tap", **options)
    self.taps = {"tap": tf.zeros([1, 2, 3])}
    return centroid_term.CentroidTerm(options, self.taps, 3)

  def batch(self):
    """Four images a domain; the target's predictions are 0, 0, 2, 2, the last unsure."""
    rng = np.random.RandomState(0)
    self.source, self.target = rng.normal(size=(2, 4, 2, 3)).astype(np.float32)
    logits = 9.0 * tf.one_hot([0, 0, 2, 2], 3) * tf.constant([[1.0], [1.0], [1.0], [0.1]])
    batch = {
      "source_taps": {"tap": tf.constant(self.source)},
      "source_label": tf.constant([0, 1, 2, 2], tf.int64),
    }
    return batch, {"logits": logits, "taps": {"tap": tf.constant(self.target)}}

  def test_labels_are_the_sources_own_and_the_targets_sure_predictions(self):
    term = self.make(centroid_confidence=0.9)
    found = term(*self.batch())
    source, target = self.source.reshape(4, 6), self.target.reshape(4, 6)
    self.assertAllEqual(term.seen, [[1, 1, 1], [1, 0, 1]])
    self.assertAllClose(term.values[0, 2], source[2:].mean(0), atol=1e-6)
    self.assertAllClose(term.values[1, 2], target[2], atol=1e-6)
    distances = [source[0] - target[:2].mean(0), source[2:].mean(0) - target[2]]
    self.assertAllClose(found, np.square(distances).mean(1).sum() / 3, rtol=1e-5)

  def test_every_prediction_counts_by_default(self):
    term = self.make()
    term(*self.batch())
    self.assertAllClose(term.values[1, 2], self.target[2:].mean(0).ravel(), atol=1e-6)

  def test_the_gradient_goes_through_the_targets_activations_alone(self):
    term = self.make()
    batch, output = self.batch()
    watched = [batch["source_taps"], output["taps"], output["logits"]]
    with tf.GradientTape() as tape:
      tape.watch([*tf.nest.flatten(watched)])
      loss = term(batch, output)
    _, of_taps, of_logits = tape.gradient(loss, watched)
    self.assertIsNone(of_logits)
    self.assertGreater(np.abs(of_taps["tap"]).max(), 0.0)
    self.assertEmpty(term.trainable_variables)

  @parameterized.parameters(
    ("fc3:0.1,fc4", "fc3"), ("fc4,fc3:0.1", "fc3"), ("fc4", "fc4"),
    ("conv1,conv2,fc3,fc4", "fc3"),
  )  # fmt: skip
  def test_works_before_the_last_tap_unless_another_is_named(self, taps, expected):
    options = config_lib.Adapt(centroid_weight=1.0, taps=taps)
    names = ["conv1", "conv2", "fc3", "fc4"]
    self.assertEqual(centroid_term.chosen_tap(options, names), expected)
    options = config_lib.Adapt(centroid_weight=1.0, taps=taps, centroid_tap="fc4")
    self.assertEqual(centroid_term.chosen_tap(options, names), "fc4")

  def test_a_step_of_adaptation_moves_centroids_and_brings_them_nearer(self):
    config = synthetic.small_config(
      adapt__centroid_weight=10.0, adapt__gan_weight=0.0, adapt__drift_weight=0.0
    )
    source = networks.build_network(config, "source")
    state = adaptation.set_up(config, source, source, source, prior=np.full([10], 0.1))
    batch = {"source_label": tf.constant(synthetic.digits(16, 28, 0)[1])}
    for name, seed, style in (("source", 0, {}), ("target", 1, {"gain": 0.5})):
      images = synthetic.digits(16, 28, seed, **style)[0]
      batch[name] = tf.constant(images[..., None] / 255.0, tf.float32)
    step = state.phases[0].step
    self.assertIn("loss/centroids", step.metric_names)
    losses = [float(step(batch)["loss/centroids"]) for _ in range(10)]
    self.assertAllEqual(state.centroids.seen[0], np.ones([10]))
    self.assertLess(losses[-1], losses[0])


if __name__ == "__main__":
  tf.test.main()
