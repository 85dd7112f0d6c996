"""The losses against numbers worked out by hand."""

import math

import tensorflow as tf
from absl.testing import parameterized

from tfdam import matching
from tfdam.matching import adversarial, objectives

LN2, LN3 = math.log(2), math.log(3)


class ObjectivesTest(tf.test.TestCase, parameterized.TestCase):
  def test_gan_by_hand(self):
    # sigmoid(ln 3) = 3/4: -log(3/4) on the source, -log(1 - 3/4) on the target.
    source, target = tf.constant([[LN3], [LN3]]), tf.constant([[LN3]])
    expected = -math.log(3 / 4) - math.log(1 / 4)
    self.assertAllClose(objectives.Gan.discriminator(source, target), expected)
    self.assertAllClose(objectives.Gan.alignment(target), -math.log(3 / 4))

  def test_gan_softmax_by_hand(self):
    # Logits (ln 3, 0): 3/4 for source (class 0), 1/4 for target (class 1).
    logits = tf.constant([[LN3, 0.0]])
    expected = 0.5 * (-math.log(3 / 4) - math.log(1 / 4))
    self.assertAllClose(objectives.GanSoftmax.discriminator(logits, logits), expected)
    self.assertAllClose(objectives.GanSoftmax.alignment(logits), -math.log(3 / 4))

  def test_least_squares_by_hand(self):
    # 0.5 * mean((0.5 - 1)^2, (1 - 1)^2) + 0.5 * 0.2^2, and 0.5 * (0.2 - 1)^2.
    source, target = tf.constant([[0.5], [1.0]]), tf.constant([[0.2]])
    loss = objectives.LeastSquares.discriminator(source, target)
    self.assertAllClose(loss, 0.5 * 0.125 + 0.5 * 0.04)
    self.assertAllClose(objectives.LeastSquares.alignment(target), 0.5 * 0.64)

  @parameterized.parameters("gan", "gan_softmax", "least_squares")
  def test_players_oppose_each_other(self, name):
    """What lowers the target's loss raises the discriminator's, at every location."""
    objective = matching.OBJECTIVES[name]
    shape = [2, 3, 3, objective.NUM_OUTPUTS]
    source = tf.random.stateless_normal(shape, seed=[0, 1])
    target = tf.Variable(0.3 * tf.random.stateless_normal(shape, seed=[0, 2]))
    with tf.GradientTape(persistent=True) as tape:
      alignment = objective.alignment(target)
      discriminator = objective.discriminator(source, target)
    products = tape.gradient(alignment, target) * tape.gradient(discriminator, target)
    # Least squares pulls both ways only between its two aims.
    inside = (target > 0) & (target < 1) if name == "least_squares" else target < 1e9
    self.assertTrue(bool(tf.reduce_all(tf.boolean_mask(products, inside) < 0)))

  @parameterized.parameters(("gan", 2 * LN2, LN2), ("gan_softmax", LN2, LN2))
  def test_an_undecided_discriminator_costs_ln_2(self, name, discriminator, alignment):
    zeros = tf.zeros([4, matching.OBJECTIVES[name].NUM_OUTPUTS])
    self.assertAllClose(
      matching.OBJECTIVES[name].discriminator(zeros, zeros), discriminator
    )
    self.assertAllClose(matching.OBJECTIVES[name].alignment(zeros), alignment)

  @parameterized.parameters("gan", "gan_softmax")
  def test_losses_stay_finite_far_out(self, name):
    objective = matching.OBJECTIVES[name]
    far = tf.constant([[1e4] + [-1e4] * (objective.NUM_OUTPUTS - 1)])
    self.assertTrue(math.isfinite(float(objective.discriminator(-far, far))))
    self.assertTrue(math.isfinite(float(objective.alignment(-far))))


class MatcherTest(tf.test.TestCase):
  def test_weights_scale_both_players_and_taps_add_up(self):
    matcher = adversarial.Matcher(objectives.Gan, {"fc3": 0.1, "fc4": 1.0})
    logits = {"fc3": tf.zeros([5, 1]), "fc4": tf.zeros([5, 2, 2, 1])}
    losses = matcher.discriminator_losses(logits, logits)
    self.assertAllClose(sum(matcher.weighted(losses).values()), 1.1 * 2 * LN2)
    self.assertAllClose(matcher.alignment_loss(logits), 1.1 * LN2)

  def test_accuracy_is_balanced_over_domains(self):
    matcher = adversarial.Matcher(objectives.Gan, {"fc4": 1.0})
    source = {"fc4": tf.constant([[1.0], [1.0], [1.0], [-1.0]])}  # 3 of 4 right
    target = {"fc4": tf.constant([[-1.0], [1.0]])}  # 1 of 2 right
    self.assertAllClose(matcher.accuracies(source, target)["fc4"], 0.5 * (0.75 + 0.5))
