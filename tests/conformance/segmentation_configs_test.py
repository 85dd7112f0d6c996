"""Every street-scene config, with every method, is valid; each takes two tiny steps."""

import glob
import os

import tensorflow as tf
from absl.testing import parameterized

from configs.segmentation import recipes
from tests import in_process, street_folders
from tfdam import config as config_lib
from tfdam import models, runtime

_FILES = sorted(
  os.path.relpath(path, runtime.PROJECT)
  for pattern in ("configs/segmentation/*.py", "configs/streets.py")
  for path in glob.glob(os.path.join(runtime.PROJECT, pattern))
  if os.path.basename(path) not in ("__init__.py", "recipes.py")
)
_TINY = {
  "data.height": 64, "data.width": 96, "data.source_limit": 0, "data.target_limit": 0,
  "model.width": 0.1, "source.steps": 2, "source.global_batch_size": 2,
  "source.cache": "off", "match.max_images": 4, "match.batch_size": 2,
  "loop.eval_batch_size": 2, "loop.watch_every": 0, "loop.num_panels": 0,
  "loop.report": False,
}  # fmt: skip
_TINY_STEPS = {
  "adapt.steps": 2, "adapt.global_batch_size": 2, "adapt.warmup_steps": 0,
  "adapt.discriminator_units": (8, 4),
}  # fmt: skip


def _in_recipes(name, method, *chosen):
  """A config of `configs/segmentation/` in each of some recipes."""
  path = f"configs/segmentation/{name}.py"
  return [
    config_lib.resolve(in_process.load_config(path, f"{recipe},{method}"))
    for recipe in chosen
  ]


class SegmentationConfigsTest(tf.test.TestCase, parameterized.TestCase):
  def test_there_are_configs(self):
    self.assertIn("configs/segmentation/gta5_to_cityscapes_erfnet.py", _FILES)

  @parameterized.product(path=_FILES, method=recipes.METHODS)
  def test_is_valid_and_names_itself(self, path, method):
    config = config_lib.resolve(in_process.load_config(path, method))
    self.assertEqual(config.method, method)
    self.assertIn(method, config.name)
    # Table 3's methods differ in these fields alone; a new one goes into these lines.
    adversarial = method in ("gam", "gam_no_drift", "adda", "adda_drift", "best")
    self.assertEqual(adversarial or method == "curriculum", config.adapt.steps > 0)
    if config.adapt.steps:
      self.assertEqual(adversarial, config.adapt.has_discriminators)
    without_drift = ("adda", "gam_no_drift", "curriculum")
    self.assertEqual(method in without_drift, config.adapt.drift_weight == 0)
    self.assertEqual("adda" in method, len(config.adapt.tap_weights) == 1)
    self.assertEqual(method == "supervised", config.data.source == config.data.target)
    self.assertEqual(method == "adabn", config.match.method == "adabn")

  @parameterized.product(
    path=["streets_to_camvid", "carla_to_camvid"], method=recipes.METHODS
  )
  def test_batch_norms_look_at_images_where_moments_are_matched(self, path, method):
    plain, by_image = _in_recipes(path, method, "segmentation", "by_image")
    differing = config_lib.differences(by_image, plain)
    if method in ("adabn", "source_only", "supervised"):
      self.assertEqual(by_image, plain)
    else:
      self.assertEqual(differing, {"match.image_moments": (0.7, 0.0)})
      self.assertEqual((plain.recipe, by_image.recipe), ("segmentation", "by_image"))
      self.assertNotEqual(by_image.name, plain.name)

  @parameterized.product(
    path=["streets_to_camvid", "carla_to_camvid"], method=recipes.METHODS
  )
  def test_labels_are_for_methods_that_take_steps(self, path, method):
    plain, labelled = _in_recipes(path, method, "segmentation", "with_labels")
    if not plain.adapt.steps:
      self.assertEqual(labelled, plain)
      return
    self.assertEqual(labelled.recipe, "with_labels")
    self.assertIn("-with_labels", labelled.name)
    # What it trains on is what the others train on.
    self.assertEqual(labelled.source, plain.source)
    self.assertGreater(labelled.adapt.source_label_weight, 0)
    self.assertGreater(labelled.adapt.self_training_weight, 0)

  @parameterized.product(
    path=["streets_to_camvid", "carla_to_camvid"], network=["lite0", "vgg16"],
    method=recipes.METHODS,
  )  # fmt: skip
  def test_a_trained_network_is_matched_as_the_method_does(self, path, network, method):
    path = f"configs/segmentation/{path}.py"
    plain, trained = (
      config_lib.resolve(in_process.load_config(path, options))
      for options in (method, f"{network},{method}")
    )
    self.assertEqual(trained.recipe, plain.recipe)
    self.assertEqual(trained.name, f"{plain.name}-{network}")
    self.assertEqual(trained.model.name, f"{network}_pyramid")
    self.assertNotEmpty(trained.model.weights)
    self.assertEqual(trained.data, plain.data)
    self.assertEqual(trained.match, plain.match)
    self.assertTrue(trained.source.augment)
    differing = config_lib.differences(trained, plain)
    of_adaptation = {name for name in differing if name.startswith("adapt.")}
    allowed = ("taps", "steps", "global_batch_size", "warmup_steps", "target_learning_rate")
    self.assertLessEqual(of_adaptation, {f"adapt.{name}" for name in allowed})
    # As many taps, all of the network's.
    taps = trained.adapt.tap_weights
    self.assertLen(taps, len(plain.adapt.tap_weights))
    self.assertLessEqual(set(taps), set(models.MODELS[trained.model.name](2).TAPS))

  def test_synthia_has_its_two_sets_of_classes(self):
    for option, count in (("16", 16), ("13", 13)):
      values = in_process.load_config(
        "configs/segmentation/synthia_to_cityscapes.py", option
      )
      self.assertEqual(config_lib.resolve(values).data.num_classes, count)

  # The default config takes its steps in train_test.py, as a user has it take them.
  @parameterized.parameters(
    *[(path, None) for path in _FILES if path != runtime.DEFAULT_CONFIG],
    ("configs/segmentation/streets_to_camvid.py", "lite0"),
    ("configs/segmentation/streets_to_camvid.py", "vgg16"),
  )
  def test_takes_two_tiny_steps(self, path, options):
    values = in_process.load_config(path, options)
    values.update_from_flattened_dict({**_TINY, **_TINY_STEPS})
    if options:
      values.model.weights = ""  # which are for a width of 1
    if values.model.name == "erfnet":
      values.model.depth = 0.1
      values.adapt.taps = "block03,block05"
    if values.data.source == "gta5" and values.model.name == "erfnet":
      values.adapt.warmup_steps = 1  # of all their warm-ups one: each is a trace more
    folder = self.create_tempdir().full_path
    street_folders.write_all(os.path.join(folder, "data"))
    # Translated images: what they were made of.
    made_of = {"streets_as_camvid": "streets/sim", "gta5_as_cityscapes": "gta5"}
    kind, _, name = values.data.source.partition(":")
    values.data.source = made_of.get(name, kind)
    if values.data.source.startswith("streets/"):
      values.data.source_limit = 6
    config = config_lib.resolve(values)
    results = in_process.execute(
      config, os.path.join(folder, "data"), os.path.join(folder, "r")
    )
    self.assertEqual(list(results["stages"]), ["source_only", "gaussian", "adapted"])
    for scores in results["stages"].values():
      self.assertLen(scores["test"]["iou_per_class"], config.data.num_classes)
