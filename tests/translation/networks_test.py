"""Generator and discriminator: the published sizes, what they keep, what they see."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam import addons
from tfdam import config as config_lib
from tfdam.translation import generator, patch_discriminator

_SMALL = {"blocks": 1, "channels": 2, "discriminator_channels": 2}


def small_generator(channels=3, seed=0):
  return generator.Generator(config_lib.Translation(**_SMALL), channels, seed)


class NetworksTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((9, 11_378_179), (6, 7_837_699))
  def test_a_generator_has_as_many_weights_as_the_published_layers(self, blocks, count):
    """Zhu et al., appendix 7.2: c7s1-64, d128, d256, R256 times n, u128, u64, c7s1-3."""
    model = generator.Generator(config_lib.Translation(blocks=blocks), 3, 0)
    model(tf.zeros([1, 16, 16, 3]))
    self.assertEqual(model.count_params(), count)
    convolutions = [(3, 64, 7), (64, 128, 3), (128, 256, 3), (128, 64, 3), (256, 128, 3)]
    convolutions += [(64, 3, 7)] + [(256, 256, 3)] * (2 * blocks)
    self.assertEqual(sum(i * o * k * k + o for i, o, k in convolutions), count)

  def test_a_discriminator_has_as_many_weights_as_the_published_layers(self):
    """Appendix 7.2: C64, C128, C256, C512, and a convolution to one channel."""
    model = patch_discriminator.PatchDiscriminator(config_lib.Translation(), 0, "d")
    self.assertEqual(model(tf.zeros([1, 256, 256, 3])).shape, [1, 30, 30, 1])
    self.assertEqual(model.count_params(), 2_764_737)

  def test_an_output_of_the_discriminator_judges_70_pixels(self):
    model = patch_discriminator.PatchDiscriminator(
      config_lib.Translation(discriminator_channels=1), 0, "d"
    )
    model(tf.zeros([1, 128, 128, 1]))
    # Norms would let each output see the whole image, by its moments.
    model.norms = [tf.identity for _ in model.norms]
    for layer in (*model.hidden, model.judge):
      layer.kernel.assign(tf.ones_like(layer.kernel))
    images = tf.ones([1, 128, 128, 1])
    with tf.GradientTape() as tape:
      tape.watch(images)
      judged = model(images)[0, 7, 7, 0]
    seen = np.flatnonzero(tape.gradient(judged, images)[0, :, :, 0].numpy().any(axis=0))
    self.assertEqual((len(seen), seen[-1] - seen[0] + 1), (70, 70))

  @parameterized.parameters(((28, 28), 1), ((30, 45), 3), ((5, 6), 3))
  def test_translated_images_have_the_size_that_they_had(self, size, channels):
    images = tf.random.stateless_uniform([2, *size, channels], [0, 1], -1.0, 1.0)
    made = small_generator(channels)(images)
    self.assertEqual(made.shape, images.shape)
    self.assertLessEqual(np.abs(made).max(), 1.0)

  @parameterized.parameters(1, 2, 3)
  def test_the_smallest_side_leaves_one_place_to_judge_and_no_smaller_one_does(self, n):
    options = config_lib.Translation(discriminator_channels=2, discriminator_layers=n)
    side = patch_discriminator.smallest_side(n)
    model = patch_discriminator.PatchDiscriminator(options, 0, "d")
    self.assertEqual(model(tf.zeros([1, side, side, 3])).shape, [1, 1, 1, 1])
    with self.assertRaises((ValueError, tf.errors.InvalidArgumentError)):
      patch_discriminator.PatchDiscriminator(options, 0, "e")(
        tf.zeros([1, side - 1, side - 1, 3])
      )

  def test_weights_are_a_function_of_seed_and_name(self):
    images = tf.random.stateless_uniform([1, 8, 8, 3], [0, 1], -1.0, 1.0)
    one, same, other = (small_generator(seed=seed)(images) for seed in (0, 0, 1))
    self.assertAllEqual(one, same)
    self.assertNotAllClose(one, other)

  def test_a_norm_takes_each_channel_of_each_image_by_its_own_moments(self):
    maps = np.random.RandomState(0).normal(2.0, 3.0, (2, 4, 5, 3)).astype(np.float32)
    mean, variance = maps.mean((1, 2), keepdims=True), maps.var((1, 2), keepdims=True)
    norm = addons.instance_norm()
    # To float32's rounding of means of 20 values.
    self.assertAllClose(norm(maps), (maps - mean) / np.sqrt(variance + 1e-5), atol=1e-5)
    self.assertEmpty(norm.variables)
