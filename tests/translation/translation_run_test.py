"""Whole translations: resumed, on two replicas, refused; and the data sets they write."""

import filecmp
import json
import os
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import scenes as scenes_lib
from tfdam.reporting import drawing
from tfdam.runs import context, run_folder
from tfdam.translation import translation_run, written_set

_SMALL = {
  "translation__steps": 6, "translation__blocks": 1, "translation__channels": 2,
  "translation__discriminator_channels": 2, "translation__discriminator_layers": 1,
  "translation__global_batch_size": 2, "translation__pool_size": 4, "loop__log_every": 1,
  "loop__checkpoint_every": 3,
}  # fmt: skip


def digits_config(**fields):
  return synthetic.small_config(**{**_SMALL, **fields})


def scenes_config(**fields):
  return synthetic.scenes_config(**{**_SMALL, **fields})


def make(config, domains, path, strategy=None):
  """A run that is ready to execute."""
  folder = run_folder.RunFolder(path)
  folder.check(config)
  run = translation_run.TranslationRun(
    config, domains, folder, strategy or tf.distribute.get_strategy()
  )
  run.prepare()
  folder.claim(config, {}, [], [])
  return run


def scenes_domains(config):
  splits = [synthetic.scenes(6, seed=1), synthetic.scenes(5, seed=2, gain=0.6)]
  at_size = [scenes_lib.at_size(split, config.data).without_labels() for split in splits]
  return context.Domains(*at_size, scored={})


class TranslationRunTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.root = synthetic.write_all(os.path.join(self.folder, "data"))

  def path(self, name):
    return os.path.join(self.folder, name)

  def digits_domains(self, config):
    splits = [
      data.load_training(role, False, config.data, self.root, config.seed)
      for role in ("source", "target")
    ]
    return context.Domains(*splits, scored={})

  def execute(self, config, name, strategy=None):
    """Runs a translation; its weights, optimisers and pools at the end."""
    domains = scenes_domains(config)
    if config.task == "classification":
      domains = self.digits_domains(config)
    run = make(config, domains, self.path(name), strategy)
    run.execute()
    run.context.folder._lock.close()
    return in_process.weights(self.path(name), "translation")

  @parameterized.parameters(digits_config, scenes_config)
  def test_a_cut_run_ends_with_the_same_bits(self, make_config):
    config = make_config(loop__num_panels=2, loop__watch_every=3)
    whole = self.execute(config, "whole")
    shutil.copytree(self.path("whole"), self.path("cut"))
    shutil.rmtree(os.path.join(self.path("cut"), "checkpoints", "translation", "00000006"))
    cut = self.execute(config, "cut")
    self.assertCountEqual(whole, cut)
    for name in whole:
      self.assertAllEqual(whole[name], cut[name])
    # The pools are in it: they have been filled.
    pool = whole["pools/target/images/.ATTRIBUTES/VARIABLE_VALUE"]
    self.assertGreater(np.abs(pool).max(), 0.0)
    lines = [
      open(os.path.join(self.path(name), "metrics.jsonl")).read()
      for name in ("whole", "cut")
    ]
    self.assertEqual(*lines)
    with Image.open(os.path.join(self.path("cut"), "pictures", "panels.png")) as picture:
      self.assertGreater(picture.width, picture.height)

  def test_one_replica_and_two_agree(self):
    # Adam divides by the root of squared gradients: where a gradient all but cancels,
    # rounding decides the step. This is a hundredth of what six steps can move.
    config = scenes_config(translation__epsilon=1e-3)
    one = self.execute(config, "one")
    two = self.execute(config, "two", synthetic.two_replicas())
    names = [n for n in one if n.startswith(("model/", "to_source/", "discriminators/"))]
    self.assertGreater(len(names), 20)
    for name in names:
      self.assertAllClose(one[name], two[name], atol=1e-5)
    for domain in ("source", "target"):
      name = f"pools/{domain}/images/.ATTRIBUTES/VARIABLE_VALUE"
      self.assertAllClose(one[name], two[name], atol=1e-3)

  def test_a_trained_network_keeps_its_labels_through_translation(self):
    config = scenes_config()
    in_process.execute(
      synthetic.scenes_config(adapt__steps=0, match__enabled=False),
      in_process.scenes_domains(config),
      self.path("trained"),
    )
    fields = {
      "translation__semantic_weight": 1.0,
      "translation__semantic_run": self.path("trained"),
    }
    self.execute(scenes_config(**fields), "cycada")
    line = open(os.path.join(self.path("cycada"), "metrics.jsonl")).readline()
    self.assertGreater(json.loads(line)["loss/semantic"], 0.0)
    other = scenes_config(**fields, data__width=40)
    with self.assertRaisesRegex(config_lib.UserError, r"for images of \(32, 48, 3\)"):
      make(other, scenes_domains(other), self.path("other"))
    none = scenes_config(**{**fields, "translation__semantic_run": self.path("cycada")})
    with self.assertRaisesRegex(config_lib.UserError, "no network of stage source_only"):
      make(none, scenes_domains(none), self.path("none"))

  @parameterized.parameters(
    ({"translation__discriminator_layers": 4}, "Images are 32x48.*sides of 48"),
    ({"translation__pool_size": 100_000, "data__height": 4096, "data__width": 4096,
      "translation__global_batch_size": 1000}, "pools' 100,000 images.*pool_size"),
  )  # fmt: skip
  def test_what_cannot_be_is_refused_before_the_first_step(self, fields, message):
    config = scenes_config(**fields)
    with self.assertRaisesRegex(config_lib.UserError, message):
      make(config, context.Domains(None, None, {}), self.path("run"))
    self.assertFalse(os.path.exists(self.path("run")))

  @parameterized.parameters(
    ({"translation.semantic_weight": 1.0}, "Set translation.semantic_run"),
    ({"translation.semantic_run": "runs/a"}, "semantic_weight is 0"),
  )
  def test_a_network_that_labels_and_its_weight_go_together(self, fields, message):
    values = config_lib.default()
    values.update_from_flattened_dict(fields)
    with self.assertRaisesRegex(config_lib.UserError, message):
      config_lib.resolve(values)


class WrittenSetTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.root = synthetic.write_all(os.path.join(self.folder, "data"))

  def run_of(self, config):
    domains = context.Domains(None, None, {})
    return make(config, domains, os.path.join(self.folder, f"run of {config.task}"))

  def test_scenes_come_back_with_their_labels(self):
    config = scenes_config()
    splits = {
      name: scenes_lib.at_size(synthetic.scenes(count, seed=seed), config.data)
      for name, count, seed in (("train", 11, 1), ("test", 3, 2))
    }
    path = os.path.join(self.root, "translated")
    run = self.run_of(config)
    run.write(path, splits)
    name = written_set.named(path, self.root, config)
    self.assertEqual(name, "scenes:translated")
    generator = run.players.generators["target"]
    for split, original in splits.items():
      read = data.load(name, split, True, config.data, self.root)
      self.assertLen(read, len(original))
      self.assertEqual(read.class_names, original.class_names)
      for i in range(len(read)):
        self.assertAllEqual(read.read_label(i), original.read_label(i))
      image = tf.constant(original.read_image(2)[None] / 127.5 - 1.0, tf.float32)
      expected = written_set.to_pixels(generator(image))[0]
      # A batch of eight may round otherwise than one image alone.
      self.assertAllClose(read.read_image(2).astype(int), expected.astype(int), atol=1)

  def test_digits_come_back_in_a_folder_a_class(self):
    config = digits_config(data__source="usps", data__target="mnist")
    splits = written_set.load_splits(config, self.root)
    path = os.path.join(self.root, "usps_as_mnist")
    self.run_of(config).write(path, splits)
    self.assertEqual(written_set.named(path, self.root, config), "folder:usps_as_mnist")
    read = data.load("folder:usps_as_mnist", "test", True, config.data, self.root)
    self.assertEqual(read.images.shape, (50, 28, 28, 1))
    self.assertAllEqual(np.bincount(read.labels), np.bincount(splits["test"].labels))

  def test_a_stopped_writing_goes_on_and_ends_with_the_same_bytes(self):
    config = scenes_config()
    splits = {"train": scenes_lib.at_size(synthetic.scenes(19, seed=1), config.data)}
    run = self.run_of(config)
    whole, cut = (os.path.join(self.root, name) for name in ("whole", "cut"))
    run.write(whole, splits)
    saved = []

    def save_or_die(picture, path):
      if len(saved) == 23:  # the label of the twelfth image is there, the image is not
        raise KeyboardInterrupt
      saved.append(path)
      save(picture, path)

    save, drawing.save = drawing.save, save_or_die
    try:
      with self.assertRaises(KeyboardInterrupt):
        run.write(cut, splits)
    finally:
      drawing.save = save
    self.assertFalse(json.load(open(os.path.join(cut, written_set.ORIGIN)))["is_whole"])
    self.assertFalse(os.path.exists(os.path.join(cut, "dataset.yaml")))
    run.write(cut, splits)
    self.assert_same_files(filecmp.dircmp(whole, cut))

  def assert_same_files(self, found):
    different = found.left_only + found.right_only + found.diff_files + found.funny_files
    self.assertEmpty(different)
    for inner in found.subdirs.values():
      self.assert_same_files(inner)

  def test_a_folder_of_something_else_is_left_alone(self):
    config = scenes_config()
    splits = {"train": scenes_lib.at_size(synthetic.scenes(3, seed=1), config.data)}
    run = self.run_of(config)
    path = os.path.join(self.root, "translated")
    os.makedirs(path)
    open(os.path.join(path, "mine.txt"), "w").close()
    with self.assertRaisesRegex(config_lib.UserError, "no translated data set"):
      run.write(path, splits)
    self.assertEqual(os.listdir(path), ["mine.txt"])
    os.remove(os.path.join(path, "mine.txt"))
    run.write(path, splits)
    generator = run.players.generators["target"]
    generator.set_weights([0.5 * weights for weights in generator.get_weights()])
    with self.assertRaisesRegex(config_lib.UserError, "another translation .generator"):
      run.write(path, splits)
    others = {"train": scenes_lib.at_size(synthetic.scenes(4, seed=2), config.data)}
    with self.assertRaisesRegex(config_lib.UserError, 'images: .*"train": 3.* there'):
      run.write(path, others)

  def test_a_source_without_labels_makes_no_labelled_set(self):
    images = np.zeros([4, 28, 28], np.uint8)
    os.makedirs(os.path.join(self.root, "bare"))
    np.savez(os.path.join(self.root, "bare", "train.npz"), images=images)
    config = digits_config(data__source="npz:bare")
    with self.assertRaisesRegex(config_lib.UserError, "no training labels"):
      written_set.load_splits(config, self.root)
