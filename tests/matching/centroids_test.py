"""Class-wise centroids against NumPy, written from MSTN's paper."""

import numpy as np
import tensorflow as tf

from tfdam.matching import centroids

_CLASSES, _UNITS = 4, 6
# Sums of a dozen float32 numbers of order 1.
_TOLERANCE = 1e-6


def by_hand(centroids_by_class, activations, labels, counted, momentum):
  """{class: centroid} after a batch, in float64."""
  after = dict(centroids_by_class)
  for label in range(_CLASSES):
    members = activations[(labels == label) & counted]
    if len(members):
      mean = np.float64(members).mean(0)
      past = after.get(label)
      after[label] = mean if past is None else momentum * past + (1 - momentum) * mean
  return after


class CentroidsTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(0)
    self.values = tf.zeros([_CLASSES, _UNITS])
    self.seen = tf.zeros([_CLASSES])

  def batch(self, classes, size=12):
    """Random activations with labels of `classes`, of which most count."""
    activations = self.rng.normal(1.0, 2.0, (size, _UNITS)).astype(np.float32)
    return activations, self.rng.choice(classes, size), self.rng.uniform(size=size) < 0.8

  def move(self, activations, labels, counted, momentum=0.7):
    found = centroids.totals(
      tf.constant(activations), tf.constant(labels), tf.cast(counted, tf.float32), _CLASSES
    )
    self.values, self.seen = centroids.moved(self.values, self.seen, found, momentum)

  def test_move_as_the_paper_says_over_several_batches(self):
    expected = {}
    for classes in ([0, 2], [0, 1, 2], [1, 2], [0]):
      batch = self.batch(classes)
      expected = by_hand(expected, *batch, momentum=0.7)
      self.move(*batch)
    self.assertAllEqual(self.seen, [1.0, 1.0, 1.0, 0.0])
    for label, centroid in expected.items():
      self.assertAllClose(self.values[label], centroid, atol=10 * _TOLERANCE)

  def test_a_class_that_is_absent_or_does_not_count_keeps_its_centroid(self):
    self.move(*self.batch([0, 1, 2]))
    before = self.values.numpy()
    activations, labels, _ = self.batch([1, 2])
    self.move(activations, labels, labels == 2)
    self.assertAllEqual(self.values[:2], before[:2])
    self.assertNotAllClose(self.values[2], before[2])

  def test_the_distance_is_a_mean_over_units_and_classes_that_both_have(self):
    source, target = self.rng.normal(size=(2, _CLASSES, _UNITS)).astype(np.float32)
    found = centroids.squared_distance(source, target, tf.constant([1.0, 0.0, 1.0, 0.0]))
    by_class = ((np.float64(source) - target) ** 2).mean(1)
    self.assertAllClose(found, (by_class[0] + by_class[2]) / _CLASSES, rtol=_TOLERANCE)

  def test_the_gradient_pulls_members_of_present_classes_alone(self):
    """d loss / d activation = 2 (1 - momentum) (target - source) / (members x all)."""
    self.move(*self.batch([0, 1, 2]))
    source = tf.constant(self.rng.normal(size=(_CLASSES, _UNITS)), tf.float32)
    activations, labels, counted = self.batch([0, 2])
    watched = tf.constant(activations)
    with tf.GradientTape() as tape:
      tape.watch(watched)
      self.move(watched, labels, counted)
      loss = centroids.squared_distance(source, self.values, self.seen)
    members = np.array([((labels == label) & counted).sum() for label in labels])
    away = self.values.numpy()[labels] - source.numpy()[labels]
    expected = 2 * 0.3 * away / np.maximum(members, 1)[:, None] / (_CLASSES * _UNITS)
    expected *= counted[:, None]
    self.assertGreater(np.abs(expected).max(), 0.01)
    self.assertAllClose(tape.gradient(loss, watched), expected, atol=_TOLERANCE)


if __name__ == "__main__":
  tf.test.main()
