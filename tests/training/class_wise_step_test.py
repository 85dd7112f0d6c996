"""A step of adaptation whose discriminators tell classes as well as domains."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam import config as config_lib
from tfdam.training import activation_cache, adaptation, chosen_taps, networks


class ClassWiseStepTest(tf.test.TestCase, parameterized.TestCase):
  def make(self, config):
    self.source = networks.build_network(config, "source")
    state = adaptation.set_up(config, self.source, self.source, self.source)
    self.state, self.step = state, state.phases[0].step
    return self.step

  def digits(self):
    return {
      name: tf.constant(synthetic.digits(8, 28, seed, **style)[0][..., None] / 255.0)
      for name, seed, style in (("source", 0, {}), ("target", 1, {"gain": 0.5}))
    }

  def test_discriminators_have_an_output_for_each_domain_and_class(self):
    step = self.make(synthetic.small_config(adapt__class_wise=True))
    for discriminator in step.discriminators.values():
      self.assertEqual(discriminator.classifier.units, 20)

  def test_the_target_follows_the_gradient_of_its_loss_alone(self):
    """SGD with one unit of step size: the update is the gradient, worked out separately."""
    step = self.make(synthetic.small_config(
      adapt__class_wise=True, adapt__optimizer="sgd", adapt__momentum=0.0,
      adapt__target_learning_rate=1.0, adapt__gan_weight=1.0, adapt__drift_weight=0.0,
      adapt__taps="fc3:0.1,fc4:1.0",
    ))  # fmt: skip
    batch = {name: tf.cast(images, tf.float32) for name, images in self.digits().items()}
    target = self.state.target
    variables = target.trainable_variables
    with tf.GradientTape() as tape:
      output = target(batch["target"])
      labels = tf.minimum(tf.nn.softmax(tf.stop_gradient(output["logits"]) / 1.8), 0.9)
      loss = 0.0
      for tap, weight in {"fc3": 0.1, "fc4": 1.0}.items():
        logits = step.discriminators[tap](output["taps"][tap])
        loss -= weight * tf.reduce_mean(
          tf.reduce_sum(labels * tf.nn.log_softmax(logits)[:, :10], axis=-1)
        )
    before = [variable.numpy() for variable in variables]
    gradients = tape.gradient(loss, variables)
    metrics = step(batch)
    self.assertAllClose(metrics["loss/alignment"], loss)
    for variable, old, gradient in zip(variables, before, gradients):
      # The same sums in another order, in float32.
      self.assertAllClose(old - variable, gradient, atol=1e-5)

  def test_kept_activations_give_what_computed_ones_give(self):
    config = synthetic.small_config(adapt__class_wise=True)
    batch = {name: tf.cast(images, tf.float32) for name, images in self.digits().items()}
    computed = self.make(config)(batch)
    step = self.make(config)
    kept = activation_cache.compute(
      self.source, [batch["source"]], 8, ["fc3", "fc4", chosen_taps.LOGITS], 100
    )
    self.assertAllClose(step({"source_taps": kept, "target": batch["target"]}), computed)

  @parameterized.parameters(("per_location", 0), ("per_location", 12), ("patch", 0))
  def test_pixels_have_the_classes_of_their_locations(self, kind, locations):
    """Of all, of a grid, or of patches: labels of other sizes would not multiply."""
    config = synthetic.scenes_config(
      adapt__class_wise=True, adapt__objective="gan_softmax", adapt__discriminator=kind,
      adapt__discriminator_locations=locations,
    )  # fmt: skip
    rng = np.random.RandomState(0)
    batch = {
      name: tf.constant(rng.uniform(size=(2, 32, 48, 3)), tf.float32)
      for name in ("source", "target")
    }
    step = self.make(config)
    for name, value in step(batch).items():
      self.assertTrue(np.isfinite(value), name)
      if "/loss" in name:  # of six classes, of which none is known yet
        self.assertBetween(value, 0.5 * np.log(6), 2.0 * np.log(6))

  @parameterized.parameters(
    ({"class_temperature": 2.0}, "class_wise is False"),
    ({"class_wise": True, "objective": "least_squares"}, "has no classes"),
    ({"class_wise": True, "objective": "joint_mmd", "taps": "fc3,fc4"}, "has no classes"),
    ({"class_wise": True, "gan_weight": 0.0, "curriculum_weight": 1.0,
      "source_label_weight": 1.0}, "there are no discriminators"),
  )  # fmt: skip
  def test_what_has_no_classes_to_tell_is_refused(self, options, message):
    with self.assertRaisesRegex(config_lib.UserError, message):
      config_lib.check_adapt(config_lib.Adapt(**options))

  def test_a_tap_without_locations_is_refused_where_pixels_have_classes(self):
    config = synthetic.scenes_config(adapt__class_wise=True, adapt__objective="gan_softmax")
    output = {
      "logits": tf.zeros([1, 32, 48, 3]),
      "taps": {"block03": tf.zeros([1, 7]), "block05": tf.zeros([1, 4, 6, 3])},
    }
    with self.assertRaisesRegex(config_lib.UserError, "tap 'block03'.*no locations"):
      networks.build_discriminators(config, output)
