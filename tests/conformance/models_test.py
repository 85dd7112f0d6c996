"""What every network in the registry must do."""

import os
import pkgutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam import models
from tfdam.models import sites as sites_lib
from tfdam.training import players

_HELPERS = {"sites", "discriminators"}


class ModelsTest(tf.test.TestCase, parameterized.TestCase):
  def test_every_module_is_in_the_registry(self):
    modules = {m.name for m in pkgutil.iter_modules([os.path.dirname(models.__file__)])}
    self.assertEqual(modules - _HELPERS, set(models.MODELS))

  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    self.images = tf.constant(rng.uniform(size=(3, 28, 28, 1)), tf.float32)

  def network(self, name):
    return players.network(synthetic.small_config(model__name=name), "net")

  @parameterized.parameters(*[(name,) for name in models.MODELS])
  def test_gives_logits_and_every_tap_in_network_order(self, name):
    model = self.network(name)
    outputs = model(self.images)
    self.assertEqual(set(outputs), {"logits", "taps"})
    self.assertEqual(outputs["logits"].dtype, tf.float32)
    self.assertEqual(outputs["logits"].shape[-1], 10)
    self.assertEqual(tuple(outputs["taps"]), model.TAPS)

  @parameterized.parameters(*[(name,) for name in models.MODELS])
  def test_walking_the_sites_is_the_forward_pass(self, name):
    model = self.network(name)
    state = {"output": self.images}
    for site in model.sites():
      state = site.advance(state)
    self.assertAllEqual(state["output"], model(self.images)["logits"])

  @parameterized.parameters(*[(name,) for name in models.MODELS])
  def test_sites_have_unique_names_and_fold(self, name):
    model = self.network(name)
    sites = model.sites()
    self.assertLen({site.name for site in sites}, len(sites))
    before = model(self.images)["logits"]
    for site in sites:
      channels = site.layer.weights[-1].shape[-1]
      sites_lib.fold(site.layer, np.ones(channels), np.zeros(channels))
    self.assertAllEqual(model(self.images)["logits"], before)

  @parameterized.parameters(*[(name,) for name in models.MODELS])
  def test_mixed_precision_keeps_logits_in_float32(self, name):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    self.addCleanup(tf.keras.mixed_precision.set_global_policy, "float32")
    self.assertEqual(self.network(name)(self.images)["logits"].dtype, tf.float32)
