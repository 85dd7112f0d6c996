"""Every config file, with every recipe and method, builds and takes two tiny steps."""

import dataclasses
import glob
import itertools
import os

import tensorflow as tf
from absl.testing import parameterized

from configs.digits import recipes
from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam import matching, models, runtime

_FILES = sorted(
  os.path.relpath(path, runtime.PROJECT)
  for path in glob.glob(os.path.join(runtime.PROJECT, "configs", "digits", "*.py"))
  if os.path.basename(path) not in ("__init__.py", "recipes.py")
)
_OPTIONS = [",".join(pair) for pair in itertools.product(recipes.RECIPES, recipes.METHODS)]
# Methods change the same fields in every recipe: the first takes every method's steps.
_STEPPED = [
  options
  for options in _OPTIONS
  if options.startswith("release,") or options.split(",")[1] in ("gam", "jan")
]


class ConfigsTest(tf.test.TestCase, parameterized.TestCase):
  def test_there_are_configs(self):
    self.assertIn("configs/digits/mnist_to_usps.py", _FILES)

  @parameterized.parameters(
    # Without discriminators, a step of its own: joint_step.py.
    ("objective", {*matching.OBJECTIVES, "joint_mmd"}),
    ("discriminator", set(models.DISCRIMINATORS)),
  )
  def test_choices_are_what_registries_have(self, name, registered):
    (field,) = (f for f in dataclasses.fields(config_lib.Adapt) if f.name == name)
    self.assertEqual(set(field.metadata["choices"]), registered)

  @parameterized.parameters(*itertools.product(_FILES, _OPTIONS))
  def test_is_valid_and_names_itself(self, path, options):
    config = config_lib.resolve(in_process.load_config(path, options))
    recipe, method = options.split(",")
    self.assertEqual((config.recipe, config.method), (recipe, method))
    self.assertIn(method, config.name)

  # The recipes are shared: one pair takes the options' steps, the others the default's.
  @parameterized.parameters(
    *[(_FILES[0], options) for options in _STEPPED],
    *[(path, None) for path in _FILES[1:]],
  )
  def test_takes_two_tiny_steps(self, path, options):
    values = in_process.load_config(path, options)
    num_steps = 2 if values.adapt.steps else 0
    values.update_from_flattened_dict({
      "source.steps": 2, "source.global_batch_size": 4, "adapt.steps": num_steps,
      "adapt.global_batch_size": 4, "adapt.warmup_steps": min(values.adapt.warmup_steps, 2),
      "adapt.information_after": min(values.adapt.information_after, 1),
      "match.max_images": 50, "source.cache": "off", "loop.watch_every": 0,
      "loop.report": False,
    })  # fmt: skip
    config = config_lib.resolve(values)
    folder = self.create_tempdir().full_path
    root = synthetic.write_all(os.path.join(folder, "data"))
    results = in_process.execute(config, root, os.path.join(folder, "run"))
    expected = ["source_only"]
    expected += ["gaussian"] if config.match.enabled else []
    expected += ["adapted"] if num_steps else []
    self.assertEqual(list(results["stages"]), expected)
    # Table 1's methods differ in these fields alone; a new one goes into these lines.
    method = config.method
    without_drift = ("adda", "gam_no_drift", "jan")
    self.assertEqual(method in without_drift, config.adapt.drift_weight == 0)
    self.assertEqual("adda" in method, config.adapt.taps == "fc4:1.0")
    self.assertEqual(method == "supervised", config.data.source == config.data.target)
