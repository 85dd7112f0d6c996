"""What every network in the registry must do."""

import importlib
import inspect
import os
import pkgutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import networks, synthetic
from tfdam import models
from tfdam.matching import folding
from tfdam.training import networks as networks_lib


class ModelsTest(tf.test.TestCase, parameterized.TestCase):
  def test_every_network_is_in_the_registry(self):
    written = {
      kind
      for found in pkgutil.iter_modules([os.path.dirname(models.__file__)])
      for kind in vars(importlib.import_module(f"tfdam.models.{found.name}")).values()
      if inspect.isclass(kind) and issubclass(kind, tf.keras.Model)
      and hasattr(kind, "OPTIONS") and kind.__module__ == f"tfdam.models.{found.name}"
    }  # fmt: skip
    self.assertEqual(written, set(models.MODELS.values()))

  def make(self, name, size=None):
    """A small network, its variables away from their initial values, and images."""
    config = synthetic.small_config(**networks.fields(name))
    data = config.data
    size = size or (data.height, data.width)
    rng = np.random.RandomState(0)
    images = tf.constant(rng.uniform(size=(3, *size, data.channels)), tf.float32)
    model = networks_lib.build_network(config, "net")
    for variable in model.variables:
      # Score convolutions that start at zero would hide everything before them.
      if len(variable.shape) == 1 or not np.any(variable):
        variable.assign_add(rng.uniform(0.1, 0.5, variable.shape))
    return model, images

  @parameterized.parameters(*[(name,) for name in networks.SMALL])
  def test_gives_logits_and_every_tap_in_network_order(self, name):
    model, images = self.make(name)
    outputs = model(images)
    self.assertEqual(set(outputs), {"logits", "taps"})
    self.assertEqual(outputs["logits"].dtype, tf.float32)
    self.assertEqual(outputs["logits"].shape[-1], 10)
    self.assertEqual(tuple(outputs["taps"]), model.TAPS)
    self.assertIsInstance(model.TAPS, tuple)

  @parameterized.parameters(
    *[(name,) for name, o in networks.SMALL.items() if o["data__channels"] == 3]
  )
  def test_logits_of_maps_have_the_images_size(self, name):
    for size in ((64, 96), (37, 53)):
      model, images = self.make(name, size)
      self.assertEqual(model(images)["logits"].shape, (3, *size, 10))

  @parameterized.parameters(*[(name,) for name in networks.SMALL])
  def test_walking_the_sites_is_the_forward_pass(self, name):
    model, images = self.make(name)
    state = {"output": images}
    for site in model.sites():
      state = site.advance(state)
    self.assertAllEqual(model.logits_from(state, images), model(images)["logits"])

  @parameterized.parameters(*[(name,) for name in networks.SMALL])
  def test_sites_have_unique_names_and_fold(self, name):
    model, images = self.make(name)
    sites = model.sites()
    self.assertLen({site.name for site in sites}, len(sites))
    before = model(images)["logits"]
    for site in sites:
      channels = site.layer.weights[-1].shape[-1]
      folding.fold(site.layer, np.ones(channels), np.zeros(channels))
    self.assertAllEqual(model(images)["logits"], before)

  @parameterized.parameters(*[(name,) for name in networks.SMALL])
  def test_folding_acts_on_the_sites_output(self, name):
    """Each site's own layer, on the state that reaches it: whatever stands around."""
    model, images = self.make(name)
    rng = np.random.RandomState(1)
    state = {"output": images}
    for site in model.sites():
      before = site.advance(state)
      channels = before["output"].shape[-1]
      alpha, beta = rng.uniform(0.5, 2.0, channels), rng.normal(size=channels)
      folding.fold(site.layer, alpha, beta)
      after = site.advance(state)
      largest = float(tf.reduce_max(tf.abs(before["output"]))) + 1.0
      # float32 weights and sums, relative to the largest output.
      self.assertAllClose(
        after["output"] / largest, (alpha * before["output"] + beta) / largest, atol=1e-5
      )
      for entry in set(before) - {"output"}:
        self.assertAllEqual(after[entry], before[entry])
      state = after

  @parameterized.product(name=list(networks.SMALL), training=[False, True])
  def test_gradients_reach_every_trainable_variable(self, name, training):
    model, images = self.make(name)
    with tf.GradientTape() as tape:
      logits = model(images, training=training)["logits"]
      loss = tf.reduce_mean(tf.nn.log_softmax(logits)[..., 0])
    for variable, gradient in zip(
      model.trainable_variables, tape.gradient(loss, model.trainable_variables)
    ):
      self.assertIsNotNone(gradient, variable.name)

  @parameterized.parameters(*[(name,) for name in networks.SMALL])
  def test_noise_is_taken_and_is_all_that_drops(self, name):
    model, images = self.make(name)
    noise = tf.random.stateless_uniform([3, model.num_noise], [0, 0])
    outputs = [model(images, noise=n)["logits"] for n in (noise, noise, None)]
    self.assertAllEqual(outputs[0], outputs[1])
    self.assertEqual(np.array_equal(outputs[0], outputs[2]), model.num_noise == 0)

  @parameterized.parameters(*[(name,) for name in networks.SMALL])
  def test_mixed_precision_keeps_logits_in_float32(self, name):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    self.addCleanup(tf.keras.mixed_precision.set_global_policy, "float32")
    model, images = self.make(name)
    outputs = model(images, noise=tf.fill([3, model.num_noise], 0.1))
    self.assertEqual(outputs["logits"].dtype, tf.float32)
    for tap in model.TAPS[:-1]:
      self.assertEqual(outputs["taps"][tap].dtype, tf.bfloat16)
    state = {"output": images}
    for site in model.sites():
      state = site.advance(state)
    self.assertAllEqual(model.logits_from(state, images), model(images)["logits"])
    for variable in model.variables:
      self.assertEqual(variable.dtype, tf.float32)
