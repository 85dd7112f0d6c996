"""Class-wise discrimination on cases worked out by hand, and as the plain game."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam.matching import adversarial, class_wise, objectives


class ClassWiseTest(tf.test.TestCase, parameterized.TestCase):
  def logits(self, *shape, seed=0):
    return tf.constant(np.random.RandomState(seed).normal(size=shape), tf.float32)

  def test_losses_are_cross_entropies_with_domain_times_class(self):
    """K = 2; probabilities 1/10, 2/10, 3/10, 4/10 of the four outputs."""
    logits = tf.math.log(tf.constant([[1.0, 2.0, 3.0, 4.0]]))
    source, target = tf.constant([[0.5, 0.25]]), tf.constant([[0.2, 0.8]])
    on_source = -(0.5 * np.log(0.1) + 0.25 * np.log(0.2))
    on_target = -(0.2 * np.log(0.3) + 0.8 * np.log(0.4))
    found = class_wise.discriminator(logits, logits, source, target)
    self.assertAllClose(found, 0.5 * (on_source + on_target))
    expected = -(0.2 * np.log(0.1) + 0.8 * np.log(0.2))
    self.assertAllClose(class_wise.alignment(logits, target), expected)
    # 3/10 for the source, 7/10 for the target.
    self.assertAllEqual(class_wise.looks_source(logits), [False])
    self.assertAllEqual(class_wise.looks_source(-logits), [True])

  @parameterized.parameters((5,), (5, 3, 4))
  def test_with_one_class_it_is_the_two_way_softmax(self, *shape):
    source, target = self.logits(*shape, 2), self.logits(*shape, 2, seed=1)
    one = {"tap": tf.ones([*shape, 1])}
    labels = adversarial.Labels(one, one)
    plain = adversarial.Matcher(objectives.GanSoftmax, {"tap": 0.3})
    for told in (None, labels):
      losses = plain.discriminator_losses({"tap": source}, {"tap": target}, told)
      alignment = plain.alignment_loss({"tap": target}, told)
      right = plain.accuracies({"tap": source}, {"tap": target}, told)
      if told is None:
        expected = losses, alignment, right
    self.assertAllClose((losses, alignment, right), expected)

  def test_labels_are_softened_bounded_and_have_no_gradient(self):
    logits = tf.constant([[0.0, np.log(99.0)]], tf.float32)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      labels = class_wise.soft_labels(logits, temperature=2.0, most=0.9)
    root = np.sqrt(99.0)
    self.assertAllClose(labels, [[1 / (1 + root), 0.9]])
    self.assertIsNone(tape.gradient(labels, logits))

  def test_labels_of_pixels_are_averaged_over_a_location(self):
    labels = tf.nn.softmax(self.logits(2, 8, 12, 3))
    found = class_wise.at_size(labels, tf.zeros([2, 4, 3, 7]))
    expected = labels.numpy().reshape(2, 4, 2, 3, 4, 3).mean((2, 4))
    self.assertAllClose(found, expected, atol=1e-6)
    self.assertIs(class_wise.at_size(labels, tf.zeros([2, 8, 12, 7])), labels)
    with self.assertRaisesRegex(ValueError, "labels of pixels"):
      class_wise.at_size(labels, tf.zeros([2, 7]))

  def test_an_images_label_is_that_of_every_location(self):
    labels = tf.nn.softmax(self.logits(2, 3))
    self.assertIs(class_wise.at_size(labels, tf.zeros([2, 7])), labels)
    found = class_wise.at_size(labels, tf.zeros([2, 4, 5, 7]))
    self.assertAllEqual(found, labels[:, None, None])
    self.assertAllEqual(class_wise.at_size(found, tf.zeros([2, 2, 2, 6])), found)
