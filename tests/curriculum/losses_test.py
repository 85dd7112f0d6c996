"""The curriculum's losses, by hand on images of 2x2 pixels."""

import numpy as np
import tensorflow as tf

from tfdam.curriculum import losses

# Logarithms of means of a few float32 numbers.
_TOLERANCE = 1e-5


def softmax(logits):
  chances = np.exp(np.float64(logits))
  return chances / chances.sum(-1, keepdims=True)


class LossesTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    self.logits = rng.normal(size=(2, 2, 2, 3)).astype(np.float32)
    self.chances = softmax(self.logits)
    # Of the first image the upper row, and a pixel; of the second a column.
    self.numbers = np.array([[[0, 0], [1, 255]], [[255, 0], [255, 0]]], np.uint8)
    self.classes = np.array([[2, 0], [1, 255]], np.uint8)

  def landmarks(self, logits):
    return losses.of_landmarks(logits, tf.constant(self.numbers), tf.constant(self.classes))

  def test_an_images_loss_is_the_cross_entropy_of_mean_predictions(self):
    shares = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]], np.float32)
    found = losses.of_images(tf.constant(self.logits), tf.constant(shares))
    mean = self.chances.mean((1, 2))
    self.assertAllClose(found, -(shares * np.log(mean)).sum(1), rtol=_TOLERANCE)

  def test_its_gradient_is_that_of_the_formula(self):
    """d C / d z_ik = sum_j (-p_j / q_j) s_ij ([j = k] - s_ik) / 4 pixels."""
    shares = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]], np.float32)
    logits = tf.constant(self.logits)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      loss = tf.reduce_sum(losses.of_images(logits, tf.constant(shares)))
    s = self.chances
    pull = (-shares / s.mean((1, 2)))[:, None, None] * s / 4
    expected = pull - s * pull.sum(-1, keepdims=True)
    self.assertAllClose(tape.gradient(loss, logits), expected, atol=_TOLERANCE)

  def test_a_landmarks_loss_is_of_the_mean_prediction_of_its_class(self):
    found, seen = self.landmarks(tf.constant(self.logits))
    s = self.chances
    expected = [
      [-np.log(s[0, 0, :, 2].mean()), -np.log(s[0, 1, 0, 0])],
      [-np.log(s[1, :, 1, 1].mean()), 0.0],
    ]
    self.assertAllClose(found, expected, rtol=_TOLERANCE)
    self.assertAllEqual(seen, [[1, 1], [1, 0]])

  def test_its_gradient_moves_the_landmarks_pixels_alone(self):
    logits = tf.constant(self.logits)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      loss = tf.reduce_sum(self.landmarks(logits)[0])
    found = tape.gradient(loss, logits).numpy()
    s = self.chances[0, 0]
    # d -log q / d z = -(s_c / sum s_c) ([c] - s), of each pixel.
    own = (s[:, 2] / s[:, 2].sum())[:, None]
    self.assertAllClose(found[0, 0], -own * (np.eye(3)[2] - s), atol=_TOLERANCE)
    self.assertAllEqual(found[0, 1, 1], np.zeros(3))
    self.assertAllEqual(found[1, :, 0], np.zeros((2, 3)))

  def test_a_class_that_is_ruled_out_can_come_back(self):
    """Its mean probability is 0 in float32; its logarithm and gradient are finite."""
    logits = tf.constant(self.logits) - [0.0, 0.0, 500.0]
    shares = tf.constant([[0.0, 0.0, 1.0]] * 2)
    with tf.GradientTape(persistent=True) as tape:
      tape.watch(logits)
      image = tf.reduce_sum(losses.of_images(logits, shares))
      marks = tf.reduce_sum(self.landmarks(logits)[0])
    for loss in (image, marks):
      gradient = tape.gradient(loss, logits).numpy()
      self.assertTrue(np.isfinite(gradient).all())
      self.assertLess(gradient[0, ..., 2].sum(), -0.9)  # as far as any loss can pull

  def test_without_any_landmark_nothing_is_lost(self):
    self.numbers[:] = 255
    logits = tf.constant(self.logits)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      found, seen = self.landmarks(logits)
    self.assertAllEqual(found, np.zeros((2, 2)))
    self.assertAllEqual(seen, np.zeros((2, 2)))
    self.assertAllEqual(tape.gradient(found, logits), np.zeros((2, 2, 2, 3)))
