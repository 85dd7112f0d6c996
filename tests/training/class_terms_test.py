"""Terms of the target's loss that know classes, against NumPy."""

import numpy as np
import tensorflow as tf

from tests import synthetic
from tfdam.training import class_terms, cross_entropy, networks
from tfdam.training import optimizers as optimizers_lib

_IGNORED = 255


def by_hand(logits, labels, weights):
  """Each label's cross-entropy times its weight, in float64."""
  logits = np.float64(logits)
  chances = np.exp(logits - logits.max(-1, keepdims=True))
  chances /= chances.sum(-1, keepdims=True)
  return -np.log(np.take_along_axis(chances, labels[..., np.newaxis], -1)[..., 0]) * weights


# Sums of 40 losses in float32.
_TOLERANCE = 1e-5


class CrossEntropyTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    self.logits = rng.normal(size=(2, 4, 5, 3)).astype(np.float32)
    self.labels = rng.randint(0, 3, (2, 4, 5)).astype(np.uint8)
    self.labels[:, 0] = _IGNORED
    self.loss = cross_entropy.CrossEntropy([1.0, 2.0, 5.0], _IGNORED)

  def test_classes_weigh_and_what_is_ignored_does_not(self):
    labels, counted = self.loss.counted(tf.constant(self.labels))
    found = self.loss(self.logits, labels, counted)
    known = self.labels != _IGNORED
    weights = np.where(known, np.array([1.0, 2.0, 5.0])[np.where(known, self.labels, 0)], 0)
    losses = by_hand(self.logits, np.where(known, self.labels, 0), weights)
    self.assertAllClose(found, losses.sum() / weights.sum(), rtol=_TOLERANCE)

  def test_doubt_lessens_a_loss_but_not_the_others_share(self):
    labels = tf.constant(self.labels % 3, tf.int32)
    sure = np.zeros([2, 4, 5], np.float32)
    sure[0] = 1.0
    found = self.loss(self.logits, labels, sure=tf.constant(sure))
    weights = np.array([1.0, 2.0, 5.0])[self.labels % 3]
    losses = by_hand(self.logits, self.labels % 3, weights)
    self.assertAllClose(found, losses[0].sum() / weights.sum(), rtol=_TOLERANCE)

  def test_without_a_single_label_nothing_is_lost(self):
    labels, counted = self.loss.counted(tf.fill([2, 4, 5], np.uint8(_IGNORED)))
    self.assertEqual(self.loss(self.logits, labels, counted), 0.0)


class TermsTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.config = synthetic.scenes_config(adapt__ema_momentum=0.9)
    self.target, self.averaged = (
      networks.build_network(self.config, name) for name in ("target", "averaged")
    )
    prior = np.array([0.5, 0.3, 0.2])
    self.loss = cross_entropy.of_task(self.config, prior)
    rng = np.random.RandomState(1)
    labels = rng.randint(0, 3, (2, 32, 48)).astype(np.uint8)
    labels[:, -3:] = _IGNORED
    self.batch = {
      name: tf.constant(rng.uniform(size=(2, 32, 48, 3)), tf.float32)
      for name in ("target", "target_varied", "source_varied")
    }
    self.batch["source_label"] = tf.constant(labels)
    # A network that gives every class, some surely.
    kernel, bias = self.target.trainable_variables[-2:]
    kernel.assign(40.0 * kernel)
    bias.assign_sub(tf.reduce_mean(self.logits(self.batch["target"]), [0, 1, 2]))
    self.optimizer, _ = optimizers_lib.for_adaptation(self.config.adapt, self.target, {})

  def logits(self, images, network=None):
    return (network or self.target)(images, training=False)["logits"]

  def test_source_labels_are_those_of_varied_source_images(self):
    term = class_terms.SourceLabels(2.0, self.target, self.loss)
    found = term(self.batch, {})
    labels, counted = self.loss.counted(self.batch["source_label"])
    wanted = self.loss(self.logits(self.batch["source_varied"]), labels, counted)
    self.assertAllEqual(found, wanted)

  def self_training(self, confidence):
    return class_terms.SelfTraining(
      1.0, confidence, self.target, self.averaged, self.optimizer, self.loss
    )

  def test_the_average_gives_the_labels_and_is_brought_up_to_date_before(self):
    averages = self.optimizer._model_variables_moving_average
    averages[-2].assign(averages[-2][..., ::-1])
    averages[-1].assign(averages[-1][::-1])
    with tf.GradientTape() as tape:
      found = self.self_training(0.0)(self.batch, {})
    for average, variable in zip(averages, self.averaged.trainable_variables):
      self.assertAllEqual(average, variable)
    labels = tf.argmax(self.logits(self.batch["target"], self.averaged), -1)
    self.assertGreater(len(np.unique(labels)), 1)
    self.assertAllClose(found, self.loss(self.logits(self.batch["target_varied"]), labels))
    # Nobody trains the teacher.
    gradients = tape.gradient(found, self.averaged.trainable_variables)
    self.assertEqual({type(g) for g in gradients}, {type(None)})

  def test_unsure_labels_do_not_count(self):
    found = [float(self.self_training(c)(self.batch, {})) for c in (0.0, 0.6, 0.999999)]
    self.assertGreater(found[0], found[1])
    self.assertGreater(found[1], found[2])
    self.assertGreaterEqual(found[2], 0.0)

  def test_classes_of_the_source_lie_over_the_target_with_their_labels(self):
    self.batch["pasted"] = tf.constant([[True, False, False], [False, False, True]])
    found = self.self_training(0.0)(self.batch, {})
    given = tf.argmax(self.logits(self.batch["target"]), -1).numpy()
    source = self.batch["source_label"].numpy()
    over = np.stack([source[0] == 0, source[1] == 2])
    images = np.where(
      over[..., np.newaxis], self.batch["source_varied"], self.batch["target_varied"]
    )
    labels = np.where(over, source, given)
    self.assertAllClose(found, self.loss(self.logits(images), tf.constant(labels)))
    # Pasted labels count, whatever the average thinks.
    doubtful = self.self_training(1.0)
    self.assertGreater(float(doubtful(self.batch, {})), 0.0)


if __name__ == "__main__":
  tf.test.main()
