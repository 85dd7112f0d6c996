"""Scores without labels in whole runs: of every stage, the same again, and of no use."""

import json
import math
import os

import numpy as np
import tensorflow as tf

from tests import in_process, synthetic
from tfdam.reporting import label_free, tables
from tfdam.runs import run_folder


def test_discriminators_count_alike_and_other_numbers_not_at_all():
  values = {
    "step": 20, "loss/target": 9.0, "discriminator/fc3/accuracy": 0.5,
    "discriminator/fc4/accuracy": 0.75, "discriminator/fc4/loss": 7.0,
  }  # fmt: skip
  assert label_free.discriminator_accuracy(values) == 0.625
  assert label_free.discriminator_accuracy({"discriminator/fc3/accuracy": None}) is None
  assert label_free.discriminator_accuracy({"loss/target": 9.0}) is None


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
