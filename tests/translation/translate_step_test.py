"""Losses on cases worked out by hand, and one step against gradients taken apart."""

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.training import optimizers
from tfdam.translation import losses, translate_step

_SMALL = {
  "steps": 10, "blocks": 1, "channels": 2, "discriminator_channels": 2,
  "discriminator_layers": 1, "global_batch_size": 2, "pool_size": 4,
}  # fmt: skip
_SIZE = (8, 12)


def square(*values):
  """2x2 pixels."""
  return tf.reshape(tf.constant(values, tf.float32), [1, 2, 2, 1])


class LossesTest(tf.test.TestCase):
  def test_they_are_the_published_sums(self):
    real, translated = square(1.0, 0.5, 0.0, 2.0), square(0.0, 1.0, 0.5, -1.0)
    # Squares of -1, 0, -0.5, -2, over 4.
    self.assertAllClose(losses.deception(translated), (1 + 0 + 0.25 + 4) / 4)
    expected = 0.5 * ((0 + 0.25 + 1 + 1) / 4 + (0 + 1 + 0.25 + 1) / 4)
    self.assertAllClose(losses.discrimination(real, translated), expected)
    self.assertAllClose(losses.distance(real, translated), (1 + 0.5 + 0.5 + 3) / 4)

  def test_disagreement_is_cross_entropy_with_what_was_seen_before(self):
    seen = tf.constant([[[[3.0, 1.0], [0.0, 2.0]]]])
    logits = tf.constant([[[[0.0, 0.0], [np.log(3.0), 0.0]]]], tf.float32)
    # Labels 0 and 1, with probabilities of 1/2 and 1/4.
    self.assertAllClose(losses.disagreement(seen, logits), (np.log(2) + np.log(4)) / 2)


class TranslateStepTest(tf.test.TestCase):
  def make(self, labeller=None, **options):
    self.options = config_lib.Translation(**{**_SMALL, **options})
    self.players = translate_step.make_players(self.options, _SIZE, 3, seed=0)
    return translate_step.TranslateStep(self.players, self.options, 1, labeller)

  def batch(self):
    rng = np.random.RandomState(0)
    draw = rng.uniform(size=(2, 2, *_SIZE, 3)).astype(np.float32)
    return {"source": tf.constant(draw[0]), "target": tf.constant(draw[1] ** 2)}

  def test_each_player_follows_the_gradient_of_its_own_loss(self):
    """SGD with one unit of step size: the update is the gradient, worked out separately."""
    step = self.make(identity_weight=0.5, cycle_weight=3.0)
    players = self.players
    sides = {
      "generators": list(players.generators.values()),
      "discriminators": list(players.discriminators.values()),
    }
    variables = {
      k: [v for m in ms for v in m.trainable_variables] for k, ms in sides.items()
    }
    sgd = {side: tf.keras.optimizers.legacy.SGD(1.0) for side in sides}
    step.players = players._replace(optimizers=sgd)
    batch = self.batch()
    source, target = (2.0 * batch[name] - 1.0 for name in ("source", "target"))
    to_source, to_target = (players.generators[d] for d in ("source", "target"))
    is_source, is_target = (players.discriminators[d] for d in ("source", "target"))
    with tf.GradientTape() as tape, tf.GradientTape() as other_tape:
      as_target, as_source = to_target(source), to_source(target)
      deception = tf.reduce_mean((is_target(as_target) - 1.0) ** 2)
      deception += tf.reduce_mean((is_source(as_source) - 1.0) ** 2)
      cycle = tf.reduce_mean(tf.abs(to_source(as_target) - source))
      cycle += tf.reduce_mean(tf.abs(to_target(as_source) - target))
      same = tf.reduce_mean(tf.abs(to_source(source) - source))
      same += tf.reduce_mean(tf.abs(to_target(target) - target))
      generators = deception + 3.0 * cycle + 1.5 * same
      found = {}
      for name, judge, real, made in (
        ("source", is_source, source, as_source), ("target", is_target, target, as_target),
      ):  # fmt: skip
        told = tf.reduce_mean(judge(tf.stop_gradient(made)) ** 2)
        found[name] = 0.5 * (tf.reduce_mean((judge(real) - 1.0) ** 2) + told)
      both = found["source"] + found["target"]
    expected = {
      "generators": tape.gradient(generators, variables["generators"]),
      "discriminators": other_tape.gradient(both, variables["discriminators"]),
    }
    before = {side: [v.numpy() for v in each] for side, each in variables.items()}
    metrics = step(batch)
    self.assertAllClose(metrics["loss/generators"], generators)
    self.assertAllClose(metrics["loss/cycle"], cycle)
    self.assertAllClose(metrics["loss/identity"], same)
    for name, value in found.items():
      self.assertAllClose(metrics[f"loss/discriminator_{name}"], value)
    for side, each in variables.items():
      for variable, old, gradient in zip(each, before[side], expected[side]):
        # The same sums in another order, in float32.
        self.assertAllClose(old - variable, gradient, atol=2e-5)
    self.assertCountEqual(metrics, step.metric_names)

  def test_labels_that_change_cost_and_the_network_that_labels_stays(self):
    network = tf.keras.layers.Conv2D(3, 1, bias_initializer="random_normal")
    network.build([None, None, None, 3])
    kernel = network.kernel.numpy()
    step = self.make(network, semantic_weight=2.0, semantic_run="run", identity_weight=0.0)
    metrics = step(self.batch())
    self.assertAllEqual(network.kernel, kernel)
    self.assertNotIn("loss/identity", metrics)
    parts = {"deception": 1.0, "cycle": 10.0, "semantic": 2.0}
    total = sum(weight * metrics[f"loss/{name}"] for name, weight in parts.items())
    self.assertAllClose(metrics["loss/generators"], total)

  def test_the_rate_stays_and_then_falls_to_zero(self):
    rate = optimizers.ConstantThenLinear(0.4, num_steps=100, constant_share=0.5)
    found = [float(rate(tf.constant(step))) for step in (0, 49, 50, 75, 100)]
    self.assertAllClose(found, [0.4, 0.4, 0.4, 0.2, 0.0])
    always = optimizers.ConstantThenLinear(0.4, num_steps=100, constant_share=1.0)
    self.assertAllClose([always(tf.constant(0)), always(tf.constant(99))], [0.4, 0.4])
