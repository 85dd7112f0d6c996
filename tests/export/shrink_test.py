"""Images that become smaller, as Pillow makes scenes smaller before training."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from export import module as module_lib
from export import shrink
from tfdam import config as config_lib
from tfdam.models import erfnet

SIZES = [(37, 53, 8, 9), (96, 128, 48, 64), (50, 40, 49, 80), (300, 70, 64, 65)]


def pixels(*shape):
  return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


def smaller(picture, height, width):
  return np.asarray(Image.fromarray(picture).resize((width, height), Image.BILINEAR))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_pillows_bilinear_and_tensorflows_antialiased(size, channels):
  height, width = size[2:]
  images = pixels(2, *size[:2], channels)
  floats = tf.cast(images, tf.float32)
  found = shrink.shrink(floats, height, width).numpy()
  assert found.shape == (2, height, width, channels)
  ours = tf.image.resize(floats, (height, width), antialias=True)
  np.testing.assert_allclose(found, ours, atol=0.01)  # of 255; they round places
  for image, result in zip(images, found):
    expected = smaller(image.squeeze(), height, width).reshape(result.shape)
    # Pillow rounds after each side.
    np.testing.assert_allclose(result, expected, atol=1.01)


@pytest.mark.parametrize("sizes", [(7, 3), (3, 7), (5, 5), (1080, 512)])
def test_each_pixel_of_the_result_is_an_average(sizes):
  weights = shrink.weights(*sizes)
  assert weights.shape == sizes[::-1]
  assert (weights >= 0).all()
  np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)
  if sizes[0] == sizes[1]:
    np.testing.assert_array_equal(weights, np.eye(sizes[0]))


def test_scenes_of_a_larger_camera_enter_the_network_as_in_training():
  data = config_lib.Data(height=32, width=48, channels=3)
  network = erfnet.ERFNet(num_classes=5, width=0.25, seed=0)
  images = pixels(1, 96, 128, 3)
  prepared = smaller(images[0], 32, 48)[np.newaxis]
  at_camera = module_lib.Inference(network, data, is_segmentation=True)(images)
  expected = network(tf.cast(prepared, tf.float32) / 255.0, training=False)["logits"]
  assert at_camera["logits"].shape == (1, 96, 128, 5)
  expected = tf.image.resize(expected, (96, 128))
  spread = np.ptp(expected)
  # Without averages they are a quarter of the spread apart, on noise.
  np.testing.assert_allclose(at_camera["logits"], expected, atol=0.01 * spread)


@pytest.mark.parametrize(
  ("target", "averages"), [("svhn", False), ("folder:mine", True), ("npz:mine", True)]
)
def test_digits_are_sampled_as_in_the_release_and_own_images_averaged(target, averages):
  images = tf.constant(pixels(3, 32, 32, 1))
  seen = []

  class Network(tf.keras.Model):
    def call(self, images, training=False):
      seen.append(images)
      return {"logits": tf.reduce_mean(images, axis=[1, 2])}

  data = config_lib.Data(height=28, width=28, channels=1, target=target)
  module_lib.Inference(Network(), data, is_segmentation=False)(images)
  floats = tf.cast(images, tf.float32) / 255.0
  expected = tf.image.resize(floats, (28, 28), antialias=averages)
  np.testing.assert_allclose(seen[0], expected, atol=1e-4)
  assert (
    np.abs(expected - tf.image.resize(floats, (28, 28), antialias=not averages)).max() > 0.1
  )
