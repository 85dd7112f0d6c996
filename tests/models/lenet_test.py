"""LeNet against its layer table."""

import tensorflow as tf

from tfdam.models import lenet


class LeNetTest(tf.test.TestCase):
  def test_taps_have_the_shapes_of_the_layer_table(self):
    taps = lenet.LeNet(10)(tf.zeros([2, 28, 28, 1]))["taps"]
    shapes = {name: tuple(tap.shape[1:]) for name, tap in taps.items()}
    expected = {"conv1": (12, 12, 20), "conv2": (4, 4, 50), "fc3": (500,), "fc4": (10,)}
    self.assertEqual(shapes, expected)

  def test_the_number_of_parameters_by_hand(self):
    model = lenet.LeNet(10)
    model(tf.zeros([1, 28, 28, 1]))
    by_hand = (
      (5 * 5 * 1 + 1) * 20 + (5 * 5 * 20 + 1) * 50 + (4 * 4 * 50 + 1) * 500 + 501 * 10
    )
    self.assertEqual(model.count_params(), by_hand)
    self.assertEqual(by_hand, 431_080)

  def test_only_the_hidden_taps_are_rectified(self):
    images = tf.random.stateless_normal([8, 28, 28, 1], seed=[0, 0])
    outputs = lenet.LeNet(10)(images)
    for name in ("conv1", "conv2", "fc3"):
      self.assertGreaterEqual(float(tf.reduce_min(outputs["taps"][name])), 0.0)
    self.assertLess(float(tf.reduce_min(outputs["taps"]["fc4"])), 0.0)
    self.assertAllEqual(outputs["taps"]["fc4"], outputs["logits"])

  def test_initial_weights_depend_on_the_seed_alone(self):
    def weights(seed):
      model = lenet.LeNet(10, seed)
      model(tf.zeros([1, 28, 28, 1]))
      return model.get_weights()

    first = weights(1)
    tf.random.normal([3])  # what was drawn in between must not matter
    self.assertAllEqual(first[0], weights(1)[0])
    self.assertNotAllEqual(first[0], weights(2)[0])
