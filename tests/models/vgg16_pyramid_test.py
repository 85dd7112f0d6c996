"""VGG16 with a head over three depths: sizes, parameters by hand, register."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam.models import vgg16_pyramid


def images(*shape):
  return tf.random.stateless_uniform(shape, [0, 0])


class VGG16PyramidTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((32, 48), (61, 75), (1, 1))
  def test_blocks_halve_the_size_and_round_up(self, height, width):
    outputs = vgg16_pyramid.VGG16Pyramid(5, width=0.02)(images(1, height, width, 3))
    self.assertEqual(outputs["logits"].shape, (1, height, width, 5))
    taps = outputs["taps"]
    self.assertEqual(list(taps), [*(f"block{i}" for i in range(1, 6)), "joined", "score"])
    for i in range(1, 6):
      factor = 2 ** (i - 1)
      size = (-(-height // factor), -(-width // factor))
      self.assertEqual(taps[f"block{i}"].shape[1:3], size)
    for tap in ("joined", "score"):
      self.assertEqual(taps[tap].shape[1:3], taps["block3"].shape[1:3])

  def test_the_number_of_parameters_by_hand(self):
    with tf.Graph().as_default():  # no memory is taken
      model = vgg16_pyramid.VGG16Pyramid(11)
      model(tf.zeros([1, 8, 8, 3]))

    def conv(inputs, outputs, size):
      return (size * size * inputs + 1) * outputs

    encoder = 14_714_688  # VGG16's, without its dense layers
    sides = conv(256, 64, 1) + 2 * conv(512, 64, 1) + 3 * 2 * 64
    by_hand = encoder + sides + conv(3 * 64, 128, 3) + 2 * 128 + conv(128, 11, 1)
    self.assertEqual(sum(np.prod(v.shape) for v in model.trainable_variables), by_hand)

  def test_values_are_vgg16s(self):
    model = vgg16_pyramid.VGG16Pyramid(5, width=0.02)
    x = images(1, 8, 8, 3)
    model(x)
    first = model.sites()[0]
    values = tf.keras.applications.vgg16.preprocess_input(255.0 * x)
    # The same sums of 27 products of order 100.
    self.assertAllClose(
      first.advance({"output": x})["output"], first.layer(values), atol=1e-3
    )

  def test_a_grey_image_counts_as_three_channels(self):
    model = vgg16_pyramid.VGG16Pyramid(5, width=0.02)
    grey = images(1, 8, 8, 1)
    found = model(tf.repeat(grey, 3, axis=-1))["taps"]["block1"]
    self.assertAllEqual(model(grey)["taps"]["block1"], found)

  @parameterized.parameters(0, 1, 2)
  def test_every_depth_is_in_register_with_the_others(self, depth):
    """Activations that are their place must arrive there, at the first depth's size."""
    model = vgg16_pyramid.VGG16Pyramid(3, width=0.02)
    model(images(1, 64, 64, 3))
    head = next(block for block in model.blocks if block.name == "joined")
    step = 2**depth
    # In the middle of a cell, in cells of the first depth.
    place = (step - 1) / 2 + step * tf.range(16 // step, dtype=tf.float32)
    state = {
      f"side{i}": tf.zeros([1, 16 // 2**j, 16 // 2**j, 1]) for j, i in enumerate((3, 4, 5))
    }
    state[f"side{3 + depth}"] += place[:, tf.newaxis]
    seen = []
    head.join = lambda x, training: seen.append(x) or x
    head._together(state, False)
    # Away from borders, where a resize repeats the last cell.
    found = seen[0][0, 8, 4:12, depth]
    self.assertAllClose(found, tf.range(4.0, 12.0), atol=1e-5)

  def test_each_depth_reaches_the_scores(self):
    model = vgg16_pyramid.VGG16Pyramid(3, width=0.05)
    x = images(1, 64, 64, 3)
    before = model(x)["logits"]
    for side in next(b for b in model.blocks if b.name == "joined").sides:
      gamma = side.norm.gamma.numpy()
      side.norm.gamma.assign(0.0 * gamma)
      self.assertNotAllClose(model(x)["logits"], before, atol=1e-6)
      side.norm.gamma.assign(gamma)

  def test_all_of_it_but_the_head_is_slowed(self):
    model = vgg16_pyramid.VGG16Pyramid(3, width=0.02, pretrained_rate_scale=0.1)
    model(images(1, 8, 8, 3))
    names = [v.name for v in model.slowed_variables()]
    self.assertLen(names, 26)
    self.assertTrue(all(name.startswith("conv") or "/conv" in name for name in names))
    whole = vgg16_pyramid.VGG16Pyramid(3, width=0.02)
    self.assertEqual(whole.slowed_variables(), [])
