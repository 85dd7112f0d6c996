"""FCN8s against the original's layer table and arithmetic of crops."""

import os
from unittest import mock

import h5py
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam import config as config_lib
from tfdam.models import fcn8s, vgg16_weights


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


class VGG16WeightsTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.model = fcn8s.FCN8s(5, width=0.02)
    self.model(tf.zeros([1, 8, 8, 3]))
    rng = np.random.RandomState(0)
    self.arrays = {}
    for name, conv in self.model.named_convs().items():
      kernel = rng.normal(size=conv.kernel.shape).astype(np.float32)
      if name in ("fc6", "fc7"):
        kernel = kernel.reshape(-1, conv.filters)
      layer = vgg16_weights._NAMES[name]
      self.arrays[layer] = [kernel, rng.normal(size=conv.filters).astype(np.float32)]

  def test_every_layer_of_vgg16_is_named(self):
    with tf.Graph().as_default():
      network = tf.keras.applications.VGG16(weights=None)
    layers = [layer.name for layer in network.layers if layer.weights]
    self.assertEqual([*vgg16_weights._NAMES.values(), "predictions"], layers)
    self.assertEqual(list(vgg16_weights._NAMES), list(self.model.named_convs()))

  def test_dense_layers_become_convolutions_of_the_same_outputs(self):
    vgg16_weights.assign(self.arrays, self.model.named_convs())
    (fc6,) = (block.conv for block in self.model.blocks if block.name == "fc6")
    maps = images(2, 7, 7, fc6.kernel.shape[2])
    kernel, bias = self.arrays["fc1"]
    expected = tf.keras.layers.Flatten()(maps) @ kernel + bias
    # Sums of 500 products of order 1.
    self.assertAllClose(tf.squeeze(fc6(maps), [1, 2]), expected, atol=1e-3)

  def test_all_but_the_scores_change(self):
    before = {v.name: v.numpy() for v in self.model.variables}
    vgg16_weights.assign(self.arrays, self.model.named_convs())
    for variable in self.model.variables:
      is_score = "score" in variable.name
      self.assertEqual(np.array_equal(variable, before[variable.name]), is_score)

  def test_another_networks_weights_are_refused(self):
    self.arrays["block3_conv2"][0] = np.zeros((3, 3, 1, 1))
    with self.assertRaisesRegex(
      config_lib.UserError, "block3_conv2.*conv3_2.*model.weights"
    ):
      vgg16_weights.assign(self.arrays, self.model.named_convs())
    del self.arrays["fc1"]
    del self.arrays["block3_conv2"]
    with self.assertRaisesRegex(config_lib.UserError, "block3_conv2.*conv3_2"):
      vgg16_weights.assign(self.arrays, self.model.named_convs())

  def test_weights_fit_full_width_alone(self):
    with self.assertRaisesRegex(config_lib.UserError, "width of 1, not 0.5.*model.width=1"):
      fcn8s.FCN8s(5, width=0.5, weights="imagenet")

  def test_a_missing_file_is_named(self):
    with self.assertRaisesRegex(config_lib.UserError, "no such file.*model.weights"):
      vgg16_weights.read("vgg.h5")

  def test_a_file_of_something_else_is_named(self):
    path = os.path.join(self.create_tempdir().full_path, "vgg.h5")
    with open(path, "w") as file:
      file.write("no weights")
    # Without the 138 million variables that Keras makes before it looks into the file.
    refuse = OSError("file signature not found")
    with mock.patch.object(tf.keras.applications, "VGG16", side_effect=refuse) as vgg16:
      with self.assertRaisesRegex(config_lib.UserError, "vgg.h5 cannot be .*signature not"):
        vgg16_weights.read(path)
    vgg16.assert_called_once_with(weights=path)

  def test_a_file_that_claims_more_than_it_can_hold_is_not_handed_to_keras(self):
    path = os.path.join(self.create_tempdir().full_path, "vgg.h5")
    with h5py.File(path, "w") as file:
      file.create_dataset("fc1/kernel:0", (10**12,), "f4")
    with mock.patch.object(tf.keras.applications, "VGG16") as vgg16:
      with self.assertRaisesRegex(config_lib.UserError, "vgg.h5 claims 4,000,000,000,000"):
        vgg16_weights.read(path)
    vgg16.assert_not_called()
