"""From stored images to network input."""

import numpy as np
import tensorflow as tf

from tfdam.data import transforms


class TransformsTest(tf.test.TestCase):
  def test_scales_to_one(self):
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    self.assertAllClose(transforms.to_network(images, 1, 1)[:, 0, 0, 0], [0.0, 0.2, 1.0])

  def test_colour_becomes_luma(self):
    image = np.array([255, 0, 0, 0, 255, 0, 0, 0, 255], np.uint8).reshape(3, 1, 1, 3)
    self.assertAllClose(
      transforms.to_network(image, 1, 1)[:, 0, 0, 0], [0.2989, 0.587, 0.114]
    )

  def test_grey_becomes_three_equal_channels(self):
    image = np.random.RandomState(0).randint(0, 255, (2, 4, 4, 1), np.uint8)
    colour = transforms.to_network(image, 4, 3)
    self.assertAllEqual(colour[..., :1], colour[..., 2:])

  def test_resize_is_bilinear_between_pixel_centres(self):
    image = np.array([[0, 200]], np.uint8).reshape(1, 1, 2, 1).repeat(2, axis=1)
    row = transforms.to_network(image, 4, 1)[0, 0, :, 0]
    # Centres of the four pixels lie at -0.25, 0.25, 0.75 and 1.25 of the two.
    self.assertAllClose(row * 255, [0, 50, 150, 200], atol=1e-4)
