"""From stored images to network input."""

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import transforms


class TransformsTest(tf.test.TestCase):
  def test_scales_to_one(self):
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    self.assertAllClose(transforms.to_network(images, 1, 1, 1)[:, 0, 0, 0], [0.0, 0.2, 1.0])

  def test_colour_becomes_luma(self):
    image = np.array([255, 0, 0, 0, 255, 0, 0, 0, 255], np.uint8).reshape(3, 1, 1, 3)
    self.assertAllClose(
      transforms.to_network(image, 1, 1, 1)[:, 0, 0, 0], [0.2989, 0.587, 0.114]
    )

  def test_grey_becomes_three_equal_channels(self):
    image = np.random.RandomState(0).randint(0, 255, (2, 4, 4, 1), np.uint8)
    colour = transforms.to_network(image, 4, 4, 3)
    self.assertAllEqual(colour[..., :1], colour[..., 2:])

  def test_resize_is_bilinear_between_pixel_centres(self):
    image = np.array([[0, 200]], np.uint8).reshape(1, 1, 2, 1).repeat(2, axis=1)
    row = transforms.to_network(image, 4, 4, 1)[0, 0, :, 0]
    # Centres of the four pixels lie at -0.25, 0.25, 0.75 and 1.25 of the two.
    self.assertAllClose(row * 255, [0, 50, 150, 200], atol=1e-4)


class RandomAffineTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    self.images = tf.constant(rng.uniform(size=(4, 9, 9, 1)), tf.float32)

  def move(self, seed=(1, 2), **bounds):
    fields = {"rotation": 0.0, "scale": 0.0, "shear": 0.0, "translation": 0.0, **bounds}
    return transforms.random_affine(self.images, seed, config_lib.Augment(**fields))

  def test_bounds_of_zero_leave_images_as_they_are(self):
    # Pixel centres meet but for rounding.
    self.assertAllClose(self.move(), self.images, atol=1e-5)

  def test_the_seed_decides(self):
    first = self.move(rotation=20.0, translation=1.0)
    self.assertAllEqual(first, self.move(rotation=20.0, translation=1.0))
    self.assertNotAllClose(first, self.move((1, 3), rotation=20.0, translation=1.0))

  def test_images_move_each_its_own_way(self):
    self.images = tf.tile(self.images[:1], [4, 1, 1, 1])
    moved = self.move(rotation=20.0)
    self.assertNotAllClose(moved[0], moved[1], atol=1e-2)

  def test_turns_about_the_centre_and_keeps_its_pixel(self):
    moved = self.move(rotation=180.0, scale=0.5, shear=0.5)
    self.assertAllClose(moved[:, 4, 4], self.images[:, 4, 4], atol=1e-5)

  def test_shifts_bring_in_black_and_stay_within_bounds(self):
    self.images = tf.ones([64, 9, 9, 1])
    moved = self.move(translation=2.0).numpy()
    self.assertAllClose(moved[:, 2:7, 2:7], np.ones((64, 5, 5, 1)))
    self.assertGreater((moved[:, 0] < 0.5).mean(), 0.1)
    self.assertGreater((moved[:, :, -1] < 0.5).mean(), 0.1)
