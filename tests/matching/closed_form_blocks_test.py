"""Gaussian matching through residual blocks, dilations and skips."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import networks as small_networks
from tests import synthetic
from tfdam import config as config_lib
from tfdam.matching import closed_form, gaussian
from tfdam.training import networks

_SMALL = {
  "erfnet": {"model__width": 0.25, "model__depth": 0.2},
  "erfnet with decoder": {
    "model__width": 0.25,
    "model__depth": 0.1,
    "model__decoder": True,
  },
  "drn26": {"model__width": 0.02},
  "fcn8s": {"model__width": 0.02},
  "vgg16_pyramid": {"model__width": 0.02},
}


def moments(model, batches):
  found = {}
  for images in batches:
    state = {"output": images}
    for site in model.sites():
      state = site.advance(state)
      new = gaussian.moments(state["output"])
      found[site.name] = (
        gaussian.merge(found[site.name], new) if site.name in found else new
      )
  return found


class GaussianBlocksTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    # Smooth enough for strides to leave something, and another contrast for each colour.
    coarse = tf.constant(rng.uniform(size=(6, 8, 12, 3)), tf.float32)
    self.source_images = tf.split(tf.image.resize(coarse[:4], [32, 48]), 2)
    shifted = tf.image.resize(coarse[2:], [32, 48]) * [0.4, 0.6, 0.8] + [0.3, 0.1, 0.0]
    self.target_images = tf.split(shifted, [3, 1])

  def network(self, name, image_moments=0.0, stage="gaussian"):
    config = synthetic.small_config(
      model__name=small_networks.kind(name), data__height=32, data__width=48,
      data__channels=3, data__num_classes=5, match__image_moments=image_moments,
      **_SMALL[name],
    )  # fmt: skip
    model = networks.build_network(config, "net", stage)
    rng = np.random.RandomState(1)
    for variable in model.variables:
      if "score" in variable.name and not np.any(variable):
        variable.assign(rng.normal(size=variable.shape))
      elif len(variable.shape) == 1:
        variable.assign_add(rng.uniform(0.0, 0.5, variable.shape))
    return model

  def match(self, source, target, **options):
    return closed_form.match(
      source, target, self.source_images, self.target_images, config_lib.Match(**options)
    )

  @parameterized.parameters(
    *[(name, 0.0) for name in _SMALL],
    *(("erfnet", 1.0), ("drn26", 0.7), ("vgg16_pyramid", 0.7)),
  )
  def test_every_site_ends_with_the_source_moments(self, name, image_moments):
    source = self.network(name)
    target = self.network(name, image_moments)
    before = moments(target, self.target_images)
    records = self.match(source, target, max_scale=1e4)
    wanted = moments(source, self.source_images)
    found = moments(target, self.target_images)
    self.assertEqual([record["site"] for record in records], list(wanted))
    for site, source_moments in wanted.items():
      deviation = tf.sqrt(source_moments.variance)
      alive = source_moments.variance > 1e-8
      self.assertTrue(tf.reduce_any(alive), site)
      # Folded weights are float32; the network is walked anew, with other roundings.
      off = tf.boolean_mask((found[site].mean - source_moments.mean) / deviation, alive)
      self.assertAllClose(off, tf.zeros_like(off), atol=1e-3)
      ratio = tf.boolean_mask(found[site].variance / source_moments.variance, alive)
      self.assertAllClose(ratio, tf.ones_like(ratio), rtol=1e-2)
      self.assertNotAllClose(before[site].mean, source_moments.mean, rtol=1e-4)

  @parameterized.parameters("erfnet", "drn26")
  def test_adabn_is_matching_of_the_norms(self, name):
    """Sec. 4.1: where moving moments are the source's own, both give one network."""

    def source():
      model = self.network(name)
      for site in model.sites():
        site.layer.epsilon = 0.0  # else the methods differ by what it takes
      closed_form.match(
        model, model, self.source_images, self.source_images,
        config_lib.Match(method="adabn"),
      )  # fmt: skip
      return model

    by_adabn, by_moments, unmatched = source(), source(), source()
    records = self.match(source(), by_adabn, method="adabn")
    norms = [record["site"] for record in records]
    self.assertTrue(all(site.endswith(("bn", "bn1", "bn2")) for site in norms))
    self.match(source(), by_moments, sites=",".join(norms), max_scale=1e6)
    images = self.target_images[0]
    found, expected, before = (
      model(images)["logits"] for model in (by_moments, by_adabn, unmatched)
    )
    scale = tf.reduce_max(tf.abs(expected))
    # float32 weights, folded differently, through up to 30 layers.
    self.assertAllClose(found / scale, expected / scale, atol=2e-3)
    self.assertGreater(np.abs((before - expected) / scale).max(), 0.05)

  def test_adabn_takes_the_moments_of_what_a_downsampler_feeds_its_norm(self):
    target = self.network("erfnet")
    first = target.blocks[0]
    inputs = [
      np.concatenate([first.conv(x), tf.nn.max_pool2d(x, 2, 2, "SAME")], axis=-1)
      for x in self.target_images
    ]
    inputs = np.concatenate([x.reshape(-1, x.shape[-1]) for x in inputs]).astype(np.float64)
    self.match(target, target, method="adabn")
    # float32 activations of order 1.
    self.assertAllClose(first.norm.moving_mean, inputs.mean(0), atol=1e-5)
    self.assertAllClose(first.norm.moving_variance, inputs.var(0), rtol=1e-3)
