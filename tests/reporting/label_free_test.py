"""Scores without labels in whole runs: of every stage, the same again, and of no use."""

import json
import math
import os
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from tests import in_process, synthetic
from tfdam.data import examples
from tfdam.reporting import label_free, tables
from tfdam.runs import context, run_folder


def test_discriminators_count_alike_and_other_numbers_not_at_all():
  values = {
    "step": 20, "loss/target": 9.0, "discriminator/fc3/accuracy": 0.5,
    "discriminator/fc4/accuracy": 0.75, "discriminator/fc4/loss": 7.0,
  }  # fmt: skip
  assert label_free.discriminator_accuracy(values) == 0.625
  assert label_free.discriminator_accuracy({"discriminator/fc3/accuracy": None}) is None
  assert label_free.discriminator_accuracy({"loss/target": 9.0}) is None


FOUND = {"marginal_distance": 0.5, "label_shares": [0.9, 0.1, 0.0]}
SOURCE = [0.4, 0.2, 0.4]


def test_the_classes_that_stray_most_are_named_with_their_shares():
  alarm = label_free.skew_alarm(FOUND, SOURCE, ("car", "road", "sky"), 0.25)
  assert alarm["step"] == 0
  assert "are 0.50 from the source's in total variation" in alarm["what"]
  assert "Much too often: 'car' (90%, source 40%)" in alarm["what"]
  assert "much too seldom: 'sky' (0%, source 40%)" in alarm["what"]
  assert "loop.alarm_marginal 0.25" in alarm["what"]


@pytest.mark.parametrize(("found", "bound"), [
  (FOUND, 0.5), ({**FOUND, "marginal_distance": None}, 0.0), ({}, 0.0),
  ({**FOUND, "label_shares": [None] * 3}, 0.25),
])  # fmt: skip
def test_within_the_bound_or_without_numbers_there_is_no_alarm(found, bound):
  assert label_free.skew_alarm(found, SOURCE, ("car", "road", "sky"), bound) is None


class SkewTest(tf.test.TestCase):
  """A source network that reads all digits, and targets of all classes or of two."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = in_process.class_folder(cls)
    images, labels = synthetic.digits(600, 28, seed=7)
    cls.source = examples.Examples(images[..., None], labels, {})
    images, labels = synthetic.digits(300, 28, seed=8)
    cls.even = examples.Examples(images[..., None], labels, {})
    # Ones and sevens alone: 0.8 from ten classes as often.
    cls.skewed = cls.even.take(np.flatnonzero(np.isin(labels, (1, 7))))

  def execute(self, name, target, **fields):
    config = synthetic.small_config(
      source__steps=150, source__global_batch_size=64, adapt__steps=0, loop__log_every=50,
      loop__checkpoint_every=1_000, **fields,
    )  # fmt: skip
    domains = context.Domains(self.source, target.without_labels(), {"test": target})
    with mock.patch.object(logging, "warning") as warning:
      results = in_process.execute(config, domains, os.path.join(self.folder, name))
    said = [call.args[0] % call.args[1:] for call in warning.call_args_list]
    return results, [line for line in said if "total variation" in line]

  def test_a_skewed_target_is_warned_of_once_and_kept_as_an_alarm(self):
    results, (warning,) = self.execute("skewed", self.skewed)
    (alarm,) = results["alarms"]
    self.assertEqual(alarm["step"], 0)
    # The source network is nearly right on the target, so that predictions are labels.
    accuracy = results["stages"]["source_only"]["test"]["accuracy"]
    self.assertGreater(accuracy, 0.9)
    found = results["label_free"]["source_only"]["marginal_distance"]
    self.assertAlmostEqual(found, 0.8, delta=0.1 + 1 - accuracy)
    self.assertRegex(alarm["what"], "Much too often: '[17]'")
    self.assertStartsWith(warning, alarm["what"])
    self.assertIn("a weak source network", warning)
    self.assertIn("--config.loop.alarm_marginal", warning)
    # Started again, it has the alarm once, and says nothing.
    again, said = self.execute("skewed", self.skewed)
    self.assertEqual(again["alarms"], [alarm])
    self.assertEqual(said, [])

  def test_a_target_of_the_same_labels_is_not(self):
    results, said = self.execute("even", self.even)
    self.assertEqual((results["alarms"], said), ([], []))

  def test_the_bound_and_a_run_that_matches_nothing_keep_silent(self):
    for name, fields in (
      ("bound", {"loop__alarm_marginal": 1.0}), ("alone", {"match__enabled": False})
    ):  # fmt: skip
      results, said = self.execute(name, self.skewed, **fields)
      self.assertEqual((results["alarms"], said), ([], []))


class LabelFreeRunTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = in_process.class_folder(cls)
    cls.root = synthetic.write_all(os.path.join(cls.folder, "data"))
    cls.path = os.path.join(cls.folder, "run")
    # Fewer than a look would see, so that the choice counts.
    cls.config = synthetic.small_config(loop__watch_images=60)
    cls.results = in_process.execute(cls.config, cls.root, cls.path)

  def test_every_stage_has_finite_numbers(self):
    self.assertEqual(list(self.results["label_free"]), list(self.results["stages"]))
    for stage, found in self.results["label_free"].items():
      names = ["entropy", "marginal_entropy", "information", "marginal_distance"]
      names += ["discriminator_accuracy"] if stage == "adapted" else []
      self.assertCountEqual(found, [*names, "label_shares"])
      for name in names:
        self.assertTrue(math.isfinite(found[name]), name)
      self.assertBetween(found["information"], 0.0, found["marginal_entropy"])
      self.assertBetween(found["marginal_entropy"], 0.0, math.log(10) + 1e-6)
      # Shares of 60 images.
      counts = 60 * np.array(found["label_shares"])
      self.assertAllClose(counts, counts.round(), atol=1e-9)
      self.assertAllClose(counts.sum(), 60)

  def test_the_prior_is_the_sources_labels(self):
    # 200 images, every label as often.
    self.assertAllClose(self.results["source_label_shares"], [0.1] * 10)
    for found in self.results["label_free"].values():
      shares = np.array(found["label_shares"])
      distance = np.abs(shares - 0.1).sum() / 2
      self.assertAlmostEqual(found["marginal_distance"], distance)

  def test_discriminator_accuracy_is_that_of_the_last_lines(self):
    with open(os.path.join(self.path, "metrics.jsonl")) as file:
      lines = [line for line in map(json.loads, file) if "loss/discriminator" in line]
    last = lines[-1]
    self.assertEqual(last["step"], 20)
    expected = np.mean([last[f"discriminator/{tap}/accuracy"] for tap in ("fc3", "fc4")])
    found = self.results["label_free"]["adapted"]["discriminator_accuracy"]
    self.assertAlmostEqual(found, expected)

  def test_a_finished_run_of_an_earlier_version_gets_them_when_started_again(self):
    path = os.path.join(self.path, "results.json")
    before = json.load(open(path))
    earlier = {k: v for k, v in before.items() if "label" not in k or k == "unlabelled"}
    self.assertNotIn("label_free", earlier)
    json.dump(earlier, open(path, "w"))
    # An earlier version's file is read.
    self.assertTrue(run_folder.RunFolder(self.path).read_json("results.json"))
    again = in_process.execute(self.config, self.root, self.path)
    for name in ("label_free", "source_label_shares", "stages"):
      self.assertEqual(again[name], before[name])

  def test_labels_of_the_target_change_nothing(self):
    domains = in_process.domains(self.config, self.root)._replace(
      scored={"test": None, "transductive": None}
    )
    path = os.path.join(self.folder, "unlabelled")
    results = in_process.execute(self.config, domains, path)
    self.assertEqual(results["label_free"], self.results["label_free"])
    self.assertNotIn("unlabelled", results)  # unwatched
    tables.print_unlabelled(results)

  def test_pixels_are_samples_and_joint_adaptation_has_no_discriminators(self):
    config = synthetic.scenes_config(adapt__steps=2, source__steps=2)
    path = os.path.join(self.folder, "scenes")
    results = in_process.execute(config, in_process.scenes_domains(config), path)
    for found in results["label_free"].values():
      self.assertLen(found["label_shares"], 3)
      self.assertTrue(math.isfinite(found["information"]))
    config = synthetic.small_config(
      adapt__objective="joint_mmd", adapt__taps="fc3,fc4", source__steps=1, adapt__steps=1
    )
    results = in_process.execute(config, self.root, os.path.join(self.folder, "joint"))
    self.assertIsNone(results["label_free"]["adapted"]["discriminator_accuracy"])
