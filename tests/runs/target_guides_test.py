"""Curriculum Domain Adaptation as runs: what they estimate, keep and never read."""

import dataclasses
import filecmp
import json
import os
import shutil
from unittest import mock

import numpy as np
import tensorflow as tf

from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam.data import guides
from tfdam.runs import target_guides
from tfdam.vocabulary import Stage

_METHOD = {
  "adapt__init": "source", "adapt__gan_weight": 0.0, "adapt__drift_weight": 0.0,
  "adapt__source_label_weight": 1.0, "adapt__curriculum_weight": 1.0,
  "adapt__curriculum_superpixels": 20,
}  # fmt: skip
_CHANCE = {
  "data__crop_height": 24, "data__crop_width": 32, "data__flip": True,
  "adapt__ema_momentum": 0.5, "loop__checkpoint_every": 4,
}  # fmt: skip


class TargetGuidesTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def path(self, *parts):
    return os.path.join(self.folder, *parts)

  def run_config(self, name, domains=None, strategy=None, **fields):
    config = synthetic.scenes_config(**{**_METHOD, **fields})
    domains = domains or in_process.scenes_domains(config)
    return in_process.execute(config, domains, self.path(name), strategy)

  def assert_same_bits(self, one, two, stages=(Stage.ADAPTED,)):
    for stage in stages:
      first, second = (in_process.weights(self.path(n), stage) for n in (one, two))
      self.assertCountEqual(first, second)
      for name in first:
        self.assertAllEqual(first[name], second[name])

  def cut(self, name):
    """A copy of run "whole", killed in step 9 of adaptation."""
    shutil.copytree(self.path("whole"), self.path(name))
    with open(self.path(name, "results.json")) as file:
      results = json.load(file)
    results["stages"] = {}
    with open(self.path(name, "results.json"), "w") as file:
      json.dump(results, file)
    shutil.rmtree(self.path(name, "checkpoints", "adapted", "00000010"))

  def test_a_run_without_discriminators_estimates_shares_and_lowers_its_terms(self):
    results = self.run_config("run", adapt__steps=40, loop__log_every=5)
    self.assertIn("adapted", results["stages"])
    self.assertEmpty([n for n in in_process.weights(self.path("run")) if "discrim" in n])
    with open(self.path("run", "metrics.jsonl")) as file:
      lines = [json.loads(line) for line in file]
    values = [line for line in lines if "loss/landmarks" in str(line)]
    self.assertLen(values, 8)
    self.assertIn("loss/label_shares", str(values[0]))
    self.assertNotIn("discriminator/", str(values))
    with np.load(self.path("run", target_guides.FILE)) as arrays:
      self.assertAllClose(arrays["shares"].sum(1), np.ones(20))
      self.assertLessEqual(arrays["classes"].shape[1], 20)

  def test_target_labels_are_never_read(self):
    domains = in_process.scenes_domains(synthetic.scenes_config())
    self.run_config("with", domains)
    nothing = {"test": None, "transductive": None}
    self.run_config("without", domains._replace(scored=nothing))
    self.assert_same_bits("with", "without")

  def test_a_run_cut_off_ends_with_the_same_bits(self):
    whole = self.run_config("whole", **_CHANCE)
    self.cut("cut")
    # What a run has estimated it does not estimate again,
    with mock.patch.object(target_guides, "_estimated", side_effect=AssertionError):
      self.assertEqual(self.run_config("cut", **_CHANCE)["stages"], whole["stages"])
    self.assert_same_bits("whole", "cut")
    # and once more if it is gone.
    self.cut("gone")
    os.remove(self.path("gone", target_guides.FILE))
    self.run_config("gone", **_CHANCE)
    self.assert_same_bits("whole", "gone")
    one, two = (self.path(name, target_guides.FILE) for name in ("whole", "gone"))
    self.assertTrue(filecmp.cmp(one, two, shallow=False))

  def test_one_replica_and_two_agree_after_ten_steps(self):
    fields = {"source__epsilon": 1e-3, "adapt__epsilon": 1e-3, **_CHANCE}
    self.run_config("one", **fields)
    self.run_config("two", strategy=synthetic.two_replicas(), **fields)
    one, two = (in_process.weights(self.path(name)) for name in ("one", "two"))
    for name in one:
      if name.startswith("model/"):
        # Weights move by up to 1e-2; moments are sums in another order.
        self.assertAllClose(one[name], two[name], atol=2e-4, rtol=1e-3, msg=name)

  def test_beside_discriminators_it_is_one_more_term(self):
    results = self.run_config(
      "run", adapt__gan_weight=0.1, adapt__source_label_weight=0.0, adapt__steps=2,
      adapt__curriculum_shares="neighbours", adapt__warmup_steps=1,
    )  # fmt: skip
    self.assertIn("adapted", results["stages"])
    self.assertNotEmpty([n for n in in_process.weights(self.path("run")) if "discrim" in n])

  def test_a_source_whose_superpixels_have_no_labels_is_refused(self):
    config = synthetic.scenes_config(**_METHOD)
    domains = in_process.scenes_domains(config)
    line = np.full((32, 48), 255, np.uint8)
    line[16] = 1
    source = dataclasses.replace(domains.source, read_label=lambda index: line)
    with self.assertRaisesRegex(config_lib.UserError, "No superpixel of .* has labels"):
      self.run_config("run", domains._replace(source=source))


class FileTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    maps = rng.randint(0, 3, (4, 6, 8)).astype(np.uint8)
    self.guides = guides.Guides(
      rng.dirichlet(np.ones(5), 4).astype(np.float32),
      rng.randint(0, 5, (4, 3)).astype(np.uint8), [guides.pack(m) for m in maps], (6, 8),
    )  # fmt: skip
    self.path = os.path.join(self.create_tempdir().full_path, target_guides.FILE)
    self.assertIsNone(target_guides._read(self.path, "key"))
    target_guides._write(self.path, "key", self.guides)

  def test_what_is_written_is_read(self):
    found = target_guides._read(self.path, "key")
    self.assertAllEqual(found.shares, self.guides.shares)
    self.assertAllEqual(found.classes, self.guides.classes)
    self.assertEqual(found.size, (6, 8))
    for i in range(4):
      self.assertAllEqual(found.landmarks(i), self.guides.landmarks(i))

  def test_estimates_of_other_images_or_networks_are_not_taken(self):
    self.assertIsNone(target_guides._read(self.path, "another"))

  def test_a_damaged_file_is_told_and_not_taken(self):
    with open(self.path, "rb") as file:
      content = file.read()
    damaged = [content[: len(content) // 2], b"", b"no archive"]
    middle = len(content) // 3
    damaged.append(
      content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    )
    for bad in damaged:
      with open(self.path, "wb") as file:
        file.write(bad)
      with self.assertLogs(level="WARNING") as said:
        self.assertIsNone(target_guides._read(self.path, "key"))
      self.assertIn("curriculum.npz is damaged", str(said.output))


class FeatureTapTest(tf.test.TestCase):
  def test_it_is_the_last_of_the_chosen_taps_that_is_a_map(self):
    config = synthetic.scenes_config(**{**_METHOD, "adapt__taps": "c,b,a"})
    shapes = {"a": [1, 4, 4, 2], "b": [1, 2, 2, 2], "c": [1, 5], "d": [1, 4, 4, 2]}
    taps = {name: tf.zeros(shape) for name, shape in shapes.items()}
    network = mock.Mock(return_value={"taps": taps})
    self.assertEqual(target_guides.feature_tap(config, network), "b")
    del taps["a"], taps["b"]
    with self.assertRaisesRegex(config_lib.UserError, r"None of adapt.taps \(c,b,a\)"):
      target_guides.feature_tap(config, network)
