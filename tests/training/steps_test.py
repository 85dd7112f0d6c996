"""The two train steps, stepped eagerly on one replica."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam.matching import drift, joint_mmd
from tfdam.training import adaptation, networks, source_step
from tfdam.training import optimizers as optimizers_lib
from tfdam.training import phases as phases_lib


class SourceStepTest(tf.test.TestCase):
  def test_loss_is_cross_entropy_plus_half_the_squared_kernels(self):
    config = synthetic.small_config(source__l2=0.5)
    model = networks.build_network(config, "net")
    before = [np.array(w) for w in model.get_weights()]
    step = source_step.SourceStep(
      model, optimizers_lib.for_source(config.source, model), config.source, 1
    )
    images, labels = synthetic.digits(16, 28)
    batch = {"image": tf.constant(images[..., None] / 255.0, tf.float32), "label": labels}
    logits = model(batch["image"])["logits"].numpy().astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    metrics = step(batch)
    # float32 sums over 16 images and 430,000 weights.
    self.assertAllClose(
      metrics["loss/cross_entropy"],
      -log_probabilities[np.arange(16), labels].mean(),
      rtol=1e-5,
    )
    kernels = [w for w in before if w.ndim > 1]
    by_hand = 0.5 * 0.5 * sum((w.astype(np.float64) ** 2).sum() for w in kernels)
    self.assertAllClose(metrics["loss/l2"], by_hand, rtol=1e-5)
    self.assertNotAllClose(model.get_weights()[0], before[0])


class AdaptStepTest(tf.test.TestCase, parameterized.TestCase):
  def make(self, num_replicas=1, warmup=False, **overrides):
    self.config = synthetic.small_config(**overrides)
    self.source = networks.build_network(self.config, "source")
    prior = np.full([10], 0.1)
    made = adaptation.set_up(
      self.config, self.source, self.source, self.source, num_replicas, prior
    )
    self.target, self.players, self.phases = made.target, made.discriminators, made.phases
    return self.phases[0].step if warmup else self.phases[-1].step

  def batch(self):
    images = {
      "source": synthetic.digits(16, 28, 0)[0],
      "target": synthetic.digits(16, 28, 1, gain=0.5, offset=0.3)[0],
    }
    return {
      name: tf.constant(i[..., None] / 255.0, tf.float32) for name, i in images.items()
    }

  def test_source_stays_and_everything_else_moves(self):
    step = self.make()
    moving = [self.target, *self.players.values()]
    before = [model.get_weights()[0] for model in moving]
    frozen = self.source.get_weights()
    for _ in range(2):
      step(self.batch())
    for now, then in zip(self.source.get_weights(), frozen):
      self.assertAllEqual(now, then)
    for model, weights in zip(moving, before):
      self.assertNotAllEqual(model.get_weights()[0], weights)

  def test_a_warmup_moves_discriminators_alone(self):
    step = self.make(warmup=True, adapt__warmup_steps=3)
    target, player = self.target.get_weights(), self.players["fc4"].get_weights()[0]
    step(self.batch())
    for now, then in zip(self.target.get_weights(), target):
      self.assertAllEqual(now, then)
    self.assertNotAllEqual(self.players["fc4"].get_weights()[0], player)

  @parameterized.parameters((False, 2), (True, 0))
  def test_each_gradient_is_traced_once(self, warmup, num_convolutions):
    """A tape walks down from a loss as far as it has recorded, wanted or not."""
    step = self.make(warmup=warmup, adapt__warmup_steps=3)
    traced = tf.function(step, autograph=False).get_concrete_function(self.batch())
    kinds = [operation.type for operation in traced.graph.get_operations()]
    self.assertEqual(kinds.count("Conv2DBackpropFilter"), num_convolutions)

  @parameterized.parameters("gan", "gan_softmax", "least_squares")
  def test_gradients_are_those_of_the_losses_alone(self, objective):
    """SGD with one unit of step size: the update is the gradient, worked out separately."""
    step = self.make(
      adapt__objective=objective, adapt__optimizer="sgd", adapt__momentum=0.0,
      adapt__target_learning_rate=1.0, adapt__discriminator_learning_rate=1.0,
      adapt__gan_weight=0.3, adapt__drift_weight=2.0, adapt__drift_reduction="sum",
    )  # fmt: skip
    # Away from the anchor, so that drift has a gradient.
    self.target.set_weights([w + 0.01 for w in self.target.get_weights()])
    batch = self.batch()
    variables = self.target.trainable_variables
    weights = {"fc3": 0.1, "fc4": 1.0}
    with tf.GradientTape() as tape:
      taps = self.target(batch["target"])["taps"]
      alignment = sum(
        weights[tap] * step.matcher.objective.alignment(d(taps[tap]))
        for tap, d in self.players.items()
      )
      distance = sum(
        tf.reduce_sum((v - a) ** 2) for v, a in zip(variables, self.source.variables)
      )
      loss = 0.3 * alignment + 2.0 * distance
    expected = [v - g for v, g in zip(variables, tape.gradient(loss, variables))]
    source_taps = self.source(batch["source"])["taps"]
    kernel = self.players["fc3"].trainable_variables[0]
    with tf.GradientTape() as tape:
      # The target's taps are constants to the discriminators.
      fixed = tf.stop_gradient(taps["fc3"])
      d = self.players["fc3"]
      loss = 0.1 * step.matcher.objective.discriminator(d(source_taps["fc3"]), d(fixed))
    expected_kernel = kernel - tape.gradient(loss, kernel)
    step(batch)
    for now, then in zip(variables, expected):
      # The same sums in another order, in float32.
      self.assertAllClose(now, then, atol=1e-6)
    self.assertAllClose(kernel, expected_kernel, atol=1e-6)

  def test_replicas_divide_the_gradients(self):
    changes = []
    for num_replicas in (1, 4):
      step = self.make(
        num_replicas, adapt__optimizer="sgd", adapt__momentum=0.0,
        adapt__target_learning_rate=1.0, adapt__drift_weight=0.0,
      )  # fmt: skip
      before = self.target.get_weights()[4]
      step(self.batch())
      changes.append(self.target.get_weights()[4] - before)
    self.assertGreater(np.abs(changes[0]).max(), 1e-5)
    # The change is a difference of float32 weights of order 0.1.
    self.assertAllClose(changes[0], 4 * changes[1], atol=1e-7)

  def test_weights_above_the_last_tap_stay_without_drift(self):
    step = self.make(adapt__taps="conv2", adapt__drift_weight=0.0)
    before = self.target.get_weights()
    step(self.batch())
    self.assertNotAllEqual(self.target.get_weights()[0], before[0])
    self.assertAllEqual(self.target.get_weights()[4], before[4])

  def test_one_at_a_time_adds_taps_in_order(self):
    self.make(adapt__taps="fc4,fc3:0.1,conv2:0.1", adapt__schedule="one_at_a_time",
              adapt__steps=20, adapt__warmup_steps=5)  # fmt: skip
    self.assertEqual(
      [(phase.name, phase.num_steps) for phase in self.phases],
      [("warmup fc4", 5), ("adapt fc4", 6), ("warmup fc3", 5), ("adapt fc4+fc3", 7),
       ("warmup conv2", 5), ("adapt fc4+fc3+conv2", 7)],
    )  # fmt: skip
    self.assertEqual(sum(phase.num_steps for phase in self.phases[1::2]), 20)

  def test_information_sets_in_after_its_steps_and_moves_what_no_tap_reaches(self):
    self.make(
      adapt__steps=20, adapt__warmup_steps=5, adapt__information_weight=1.0,
      adapt__information_after=15, adapt__taps="conv1", adapt__drift_weight=0.0,
    )  # fmt: skip
    self.assertEqual(
      [(phase.name, phase.num_steps) for phase in self.phases],
      [("warmup conv1", 5), ("adapt conv1", 15), ("adapt conv1, information", 5)],
    )
    before = self.target.fc4.kernel.numpy()
    self.phases[1].step(self.batch())
    self.assertAllEqual(self.target.fc4.kernel, before)
    metrics = self.phases[2].step(self.batch())
    self.assertIn("loss/information", metrics)
    self.assertNotAllEqual(self.target.fc4.kernel, before)

  def test_a_shut_gate_holds_the_target_and_its_optimizer(self):
    step = self.make(adapt__gate_accuracy=1.0)  # no accuracy is above 1
    target, slots = (
      self.target.get_weights(),
      [v.numpy() for v in step.target_optimizer.variables],
    )
    player = self.players["fc4"].get_weights()[0]
    for _ in range(2):
      metrics = step(self.batch())
    self.assertEqual(metrics["gate/open"], 0.0)
    for now, then in zip(self.target.get_weights(), target):
      self.assertAllEqual(now, then)
    for now, then in zip(step.target_optimizer.variables, slots):
      self.assertAllEqual(now, then)
    self.assertNotAllEqual(self.players["fc4"].get_weights()[0], player)

  def test_taps_computed_before_do_what_images_do(self):
    changed = []
    for precomputed in (False, True):
      step = self.make()
      batch = self.batch()
      if precomputed:
        taps = self.source(batch.pop("source"))["taps"]
        batch["source_taps"] = {tap: taps[tap] for tap in ("fc3", "fc4")}
      step(batch)
      changed.append(self.target.get_weights() + self.players["fc3"].get_weights())
    for one, other in zip(*changed):
      self.assertAllEqual(one, other)

  def test_spectral_norm_keeps_the_largest_singular_value_at_one(self):
    step = tf.function(self.make(adapt__spectral_norm=True), autograph=False)
    for _ in range(60):
      step(self.batch())
    for player in self.players.values():
      # Two power iterations a step; another one brings in the last update.
      player(tf.zeros([1, player.hidden[0].layer.kernel.shape[0]]), training=True)
      for layer in (*player.hidden, player.classifier):
        largest = np.linalg.svd(layer.layer.kernel.numpy(), compute_uv=False)[0]
        self.assertAllClose(largest, 1.0, atol=0.01)


class JointStepTest(tf.test.TestCase):
  def test_labels_and_distance_both_move_the_network(self):
    config = synthetic.small_config(
      adapt__objective="joint_mmd", adapt__taps="fc3,fc4", adapt__gan_weight=0.7,
      adapt__drift_weight=0.0, adapt__optimizer="sgd", adapt__momentum=0.0,
      adapt__target_learning_rate=1.0,
    )  # fmt: skip
    net = networks.build_network(config, "target")
    optimizers = optimizers_lib.for_adaptation(config.adapt, net, {})
    pairs = drift.pair_weights(net.trainable_variables, net.trainable_variables)
    (phase,) = phases_lib.of_adaptation(
      config, net, net, net, {}, pairs, optimizers, 1, None
    )
    images, labels = synthetic.digits(16, 28, 0)
    other, _ = synthetic.digits(16, 28, 1, gain=0.5, offset=0.3)
    batch = {
      "source": tf.constant(images[..., None] / 255.0, tf.float32),
      "source_label": labels,
      "target": tf.constant(other[..., None] / 255.0, tf.float32),
    }
    with tf.GradientTape() as tape:
      source, target = net(batch["source"]), net(batch["target"])
      layers = [
        {"fc3": o["taps"]["fc3"], "fc4": tf.nn.softmax(o["logits"])}
        for o in (source, target)
      ]
      distance = joint_mmd.loss(*layers, {"fc3": 5, "fc4": 1})
      loss = tf.reduce_mean(
        tf.keras.losses.sparse_categorical_crossentropy(
          labels, source["logits"], from_logits=True
        )
      )
      loss += 0.7 * distance
    variables = net.trainable_variables
    expected = [v - g for v, g in zip(variables, tape.gradient(loss, variables))]
    metrics = phase.step(batch)
    self.assertAllClose(metrics["loss/alignment"], distance, rtol=1e-6)
    for now, then in zip(variables, expected):
      # The same sums in another order, in float32.
      self.assertAllClose(now, then, atol=1e-6)
