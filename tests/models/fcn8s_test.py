"""FCN8s against the original's layer table and arithmetic of crops."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam.models import fcn8s


def images(*shape):
  return tf.random.stateless_uniform(shape, [0, 0])


class FCN8sTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((32, 48), (61, 75), (1, 1))
  def test_logits_have_the_images_size(self, height, width):
    outputs = fcn8s.FCN8s(5, width=0.02)(images(1, height, width, 3))
    self.assertEqual(outputs["logits"].shape, (1, height, width, 5))
    # 198 pixels of border; pools round up; fc6 takes 6 off; each skip adds a border again.
    last = [-(-(side + 198) // 32) - 6 for side in (height, width)]
    self.assertEqual(outputs["taps"]["fc6"].shape[1:3], last)
    self.assertEqual(outputs["taps"]["score"].shape[1:3], [4 * side + 6 for side in last])

  def test_the_number_of_parameters_by_hand(self):
    with tf.Graph().as_default():  # no memory is taken
      model = fcn8s.FCN8s(19)
      model(tf.zeros([1, 8, 8, 3]))

    def conv(inputs, outputs, size):
      return (size * size * inputs + 1) * outputs

    by_hand = conv(3, 64, 3) + conv(64, 64, 3) + conv(64, 128, 3) + conv(128, 128, 3)
    by_hand += conv(128, 256, 3) + 2 * conv(256, 256, 3)
    by_hand += conv(256, 512, 3) + 2 * conv(512, 512, 3) + 3 * conv(512, 512, 3)
    self.assertEqual(by_hand, 14_714_688)  # VGG16's, without its dense layers
    by_hand += conv(512, 4096, 7) + conv(4096, 4096, 1)
    by_hand += conv(4096, 19, 1) + conv(512, 19, 1) + conv(256, 19, 1)
    self.assertEqual(by_hand, 134_353_017)
    self.assertEqual(sum(np.prod(v.shape) for v in model.trainable_variables), by_hand)
    self.assertEqual(model.count_params(), by_hand)

  def test_scores_start_at_zero(self):
    outputs = fcn8s.FCN8s(5, width=0.02)(images(1, 16, 16, 3))
    self.assertAllEqual(outputs["logits"], tf.zeros([1, 16, 16, 5]))
    self.assertGreater(float(tf.reduce_max(outputs["taps"]["fc7"])), 0.0)

  def test_enlarging_interpolates_and_fades_at_the_border(self):
    scores = tf.constant(np.random.RandomState(0).normal(size=(1, 3, 4, 2)), tf.float32)
    for stride in (2, 8):
      found = fcn8s._enlarge(scores, stride)
      self.assertEqual(found.shape, (1, stride * 4, stride * 5, 2))
      # Zeros around, bilinear with pixel centres aligned, and half a cell cut off.
      framed = tf.pad(scores, [[0, 0], [1, 1], [1, 1], [0, 0]])
      resized = tf.image.resize(framed, [stride * 5, stride * 6])
      cut = stride // 2
      # The same four products in another order.
      self.assertAllClose(found, resized[:, cut:-cut, cut:-cut], atol=1e-6)

  @parameterized.parameters(
    # Place in the image of a map's first cell, and distance of its cells, in pixels: pools
    # take the middle of their windows, the border puts 99 pixels before the image, and fc6
    # stands on the middle of 7 cells.
    ("score_fr", "output", 12.5, 32, 1.0),
    ("score_pool4", "pool4", -91.5, 16, 0.01),
    ("score_pool3", "pool3", -95.5, 8, 0.0001),
  )
  def test_every_depth_is_in_register_with_the_image(self, name, entry, start, step, scale):
    """Scores that are their place in the image must arrive there."""
    model = fcn8s.FCN8s(1, width=0.02)
    taps = model(images(1, 64, 64, 3))["taps"]
    inputs = {"output": taps["fc7"], "pool3": taps["pool3"], "pool4": taps["pool4"]}
    state = {name: tf.zeros_like(tap) for name, tap in inputs.items()}
    place = start + step * tf.range(state[entry].shape[2], dtype=tf.float32)
    state[entry] += place[:, tf.newaxis] / scale
    layer = getattr(model.blocks[-1], name)
    layer.kernel.assign(tf.ones_like(layer.kernel) / layer.kernel.shape[2])
    logits = model.enlarge(model.blocks[-1](state)["output"], tf.constant([64, 64]))
    # Away from borders, where the coarsest scores fade out; float32 of values up to 100.
    self.assertAllClose(logits[0, 50, 45:60, 0], tf.range(45.0, 60.0), atol=1e-3)

  def test_values_are_vgg16s(self):
    """Blue first, ImageNet's means taken off values up to 255, then the border of zeros."""
    model = fcn8s.FCN8s(5, width=0.02)
    x = images(1, 8, 8, 3)
    model(x)
    first = model.sites()[0]
    found = first.advance({"output": x})["output"]
    self.assertEqual(found.shape[1:3], (8 + 198, 8 + 198))
    values = tf.keras.applications.vgg16.preprocess_input(255.0 * x)
    inside = tf.nn.conv2d(values, first.layer.kernel, 1, "VALID") + first.layer.bias
    # The same sums of 27 products of order 100.
    self.assertAllClose(found[:, 100:-100, 100:-100], inside, atol=1e-3)
    self.assertAllEqual(found[:, :98, :98], tf.zeros([1, 98, 98, found.shape[-1]]))

  def test_a_grey_image_counts_as_three_channels(self):
    model = fcn8s.FCN8s(5, width=0.02)
    grey = images(1, 8, 8, 1)
    found = model(tf.repeat(grey, 3, axis=-1))["taps"]["pool1"]
    self.assertAllEqual(model(grey)["taps"]["pool1"], found)
