"""Gaussian i.i.d. matching: against NumPy in float64, and moments really matched."""

import functools
import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import mnist
from tfdam.matching import gaussian
from tfdam.models import lenet


def merged(batches):
  return functools.reduce(gaussian.merge, (gaussian.moments(b) for b in batches))


class GaussianTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.named_parameters(("dense", (512, 8)), ("conv", (4, 16, 16, 8)))
  def test_gives_the_target_the_source_moments(self, shape):
    """Eq. (2): every axis but the channel axis counts as i.i.d. samples."""
    rng = np.random.RandomState(0)
    source, target = rng.normal(2.0, 3.0, shape), rng.normal(-1.0, 0.5, shape)
    alpha, beta = gaussian.affine(gaussian.moments(source), gaussian.moments(target))
    matched = (alpha * target + beta).numpy().reshape(-1, 8)
    # float64 throughout.
    self.assertAllClose(matched.mean(0), source.reshape(-1, 8).mean(0), atol=1e-12)
    self.assertAllClose(matched.std(0), source.reshape(-1, 8).std(0), atol=1e-12)

  @parameterized.parameters(1, 3, 64)
  def test_merging_batches_gives_the_moments_of_all(self, batch_size):
    data = np.random.RandomState(0).normal(1e3, 1e-2, (64, 5))
    moments = merged(data[i : i + batch_size] for i in range(0, 64, batch_size))
    self.assertEqual(float(moments.count), 64)
    self.assertAllClose(moments.mean, data.mean(0), rtol=1e-14)
    # A mean 1e5 standard deviations from zero: sums of squares would lose ten digits.
    self.assertAllClose(moments.variance, data.var(0), rtol=1e-9)

  @parameterized.parameters(
    ((7, 5), 0.0), ((4, 40, 41, 3), 0.0), ((2, 16, 16, 96), 3.0), ((9, 9, 9, 3000), 1.0),
    ((6, 64, 64, 32), 1e3),
  )  # fmt: skip
  def test_quick_moments_have_six_digits(self, shape, mean):
    """Whole blocks, others, short and long rows; a mean 1,000 deviations from zero."""
    data = np.random.RandomState(0).normal(mean, 1.0, shape).astype(np.float32)
    data[0] += 5.0  # no sample of the first rows says where the rest is
    found, wanted = gaussian.quick_moments(tf.constant(data)), gaussian.moments(data)
    self.assertEqual(float(found.count), float(wanted.count))
    # In deviations, whatever the mean.
    self.assertAllClose(found.mean, wanted.mean, rtol=0, atol=1e-6)
    self.assertAllClose(found.variance, wanted.variance, rtol=1e-6)

  @parameterized.parameters(tf.float16, tf.bfloat16, tf.float64)
  def test_quick_moments_of_other_types(self, dtype):
    data = tf.cast(np.random.RandomState(0).normal(2.0, 1.0, (3, 30, 30, 8)), dtype)
    found, wanted = gaussian.quick_moments(data), gaussian.moments(data)
    self.assertAllClose(found.mean, wanted.mean, rtol=0, atol=1e-6)
    self.assertAllClose(found.variance, wanted.variance, rtol=1e-6)

  def test_moments_after_a_scale_and_a_shift(self):
    data = np.random.RandomState(0).normal(2.0, 1.0, (100, 3))
    scale, shift = np.array([2.0, -1.0, 0.0]), np.array([0.0, 1.0, 3.0])
    found = gaussian.moments(data).after(tf.constant(scale), tf.constant(shift))
    wanted = gaussian.moments(scale * data + shift)
    self.assertAllClose(found.mean, wanted.mean, atol=1e-12)
    self.assertAllClose(found.variance, wanted.variance, atol=1e-12)

  def test_agrees_with_numpy_on_10000_real_images(self):
    """Activations of LeNet's sites, streamed in batches, against all of them at once."""
    folder = os.path.join(synthetic.real_data("mnist"), "mnist")
    images = mnist.load(folder, "test", False, config_lib.Data()).images
    self.assertLen(images, 10_000)
    model = lenet.LeNet(10)
    states = [
      {"output": tf.cast(images[i : i + 500], tf.float32) / 255.0}
      for i in range(0, 10_000, 500)
    ]
    for site in model.sites():
      states = [site.advance(state) for state in states]
      if site.name == "conv1":
        continue  # 900 MB in float64, and no other code
      outputs = [state["output"].numpy() for state in states]
      moments = merged(outputs)
      samples = np.concatenate([o.reshape(-1, o.shape[-1]) for o in outputs]).astype(
        np.float64
      )
      # NumPy adds up to 640,000 rows one after the other, and loses some digits doing so.
      self.assertAllClose(moments.mean, samples.mean(0), rtol=1e-10, atol=1e-13)
      self.assertAllClose(moments.variance, samples.var(0), rtol=1e-10, atol=1e-13)

  def test_dead_target_channel_keeps_alpha_finite(self):
    rng = np.random.RandomState(0)
    source, target = rng.normal(2.0, 1.0, (100, 2)), rng.normal(0.0, 1.0, (100, 2))
    target[:, 1] = 0.0
    alpha, beta = gaussian.affine(gaussian.moments(source), gaussian.moments(target))
    self.assertEqual(float(alpha[1]), 1.0)
    self.assertAlmostEqual(float(beta[1]), source[:, 1].mean())

  def test_dead_source_channel_does_not_kill_the_target(self):
    rng = np.random.RandomState(0)
    source, target = np.full((100, 1), 3.0), rng.normal(0.0, 1.0, (100, 1))
    alpha, beta = gaussian.affine(gaussian.moments(source), gaussian.moments(target))
    self.assertEqual(float(alpha[0]), 1.0)
    self.assertAlmostEqual(float(beta[0]), 3.0 - target.mean())

  def test_scale_is_bounded_and_the_mean_still_matched(self):
    rng = np.random.RandomState(0)
    source, target = rng.normal(5.0, 100.0, (500, 1)), rng.normal(1.0, 0.1, (500, 1))
    pair = gaussian.moments(source), gaussian.moments(target)
    alpha, beta = gaussian.affine(*pair, max_scale=10.0)
    self.assertEqual(float(alpha[0]), 10.0)
    self.assertAlmostEqual(float(alpha[0] * target.mean() + beta[0]), source.mean())
    inverse, _ = gaussian.affine(*pair[::-1], max_scale=10.0)
    self.assertAlmostEqual(float(inverse[0]), 0.1)

  def test_equal_domains_stay_as_they_are(self):
    data = gaussian.moments(np.random.RandomState(0).normal(2.0, 3.0, (50, 4)))
    alpha, beta = gaussian.affine(data, data)
    self.assertAllClose(alpha, np.ones(4), rtol=1e-15)
    self.assertAllClose(beta, np.zeros(4), atol=1e-12)
