"""Whole runs on small drawn scenes."""

import dataclasses
import json
import os
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from export import pipeline
from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam.reporting import evaluation
from tfdam.runs import run_folder
from tfdam.vocabulary import Stage

# Everything that draws at random: crops, mirrors, dropout, light and moves.
_CHANCE = {
  "data__crop_height": 24, "data__crop_width": 32, "data__flip": True,
  "source__augment": True, "adapt__augment": True, "augment__brightness": 0.1,
}  # fmt: skip
# Everything that trains the target network on labels.
_LABELS = {
  "adapt__source_label_weight": 1.0, "adapt__self_training_weight": 1.0,
  "adapt__self_training_confidence": 0.3, "adapt__self_training_mix": True,
  "adapt__ema_momentum": 0.8,
}  # fmt: skip


class ScenesRunTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def path(self, name="run"):
    return os.path.join(self.folder, name)

  def run_config(self, config, name="run", strategy=None):
    domains = in_process.scenes_domains(config)
    return in_process.execute(config, domains, self.path(name), strategy)

  def test_a_run_leaves_scores_of_every_stage_and_a_panel(self):
    results = self.run_config(synthetic.scenes_config(loop__num_panels=3))
    self.assertEqual(results["task"], "segmentation")
    self.assertEqual(results["classes"], ["sky", "ground", "box"])
    self.assertEqual(list(results["stages"]), ["source_only", "gaussian", "adapted"])
    for scores in results["stages"].values():
      self.assertEqual(scores["test"]["num_images"], 8)
      self.assertEqual(scores["transductive"]["num_images"], 20)
      for name in ("miou", "fwiou", "pixel_accuracy", "class_accuracy"):
        self.assertBetween(scores["test"][name], 0.0, 1.0)
      self.assertLen(scores["test"]["iou_per_class"], 3)
    with Image.open(os.path.join(self.path(), "pictures", "panels.png")) as panel:
      # Three scenes of five columns: image, truth and three stages; enlarged, with gutters.
      self.assertBetween(panel.width, 5 * 460, 2400)
      self.assertGreater(panel.height, 3 * 300)

  def test_grey_scenes_have_panels_too(self):
    self.run_config(
      synthetic.scenes_config(
        data__channels=1, loop__num_panels=2, source__steps=1, adapt__steps=0
      )
    )
    with Image.open(os.path.join(self.path(), "pictures", "panels.png")) as panel:
      self.assertEqual(panel.mode, "RGB")

  def test_what_compares_images_is_refused_before_the_first_step(self):
    config = synthetic.scenes_config(
      adapt__objective="joint_mmd", adapt__taps="block05", adapt__warmup_steps=0
    )
    with self.assertRaisesRegex(config_lib.UserError, "'joint_mmd', which compares images"):
      self.run_config(config)
    self.assertFalse(os.path.exists(self.path()))

  def test_a_network_for_images_is_refused_before_the_first_step(self):
    config = synthetic.scenes_config(
      model__name="lenet", model__width=1.0, model__depth=1.0, adapt__taps="fc3"
    )
    with self.assertRaisesRegex(config_lib.UserError, "'lenet', which labels images, but"):
      self.run_config(config)
    self.assertFalse(os.path.exists(self.path()))

  def test_labels_without_a_class_are_refused_before_the_first_step(self):
    config = synthetic.scenes_config()
    domains = in_process.scenes_domains(config)
    nothing = np.full((32, 48), 255, np.uint8)
    source = dataclasses.replace(domains.source, read_label=lambda index: nothing)
    with self.assertRaisesRegex(config_lib.UserError, "No label map of .* has a pixel of"):
      in_process.execute(config, domains._replace(source=source), self.path())

  def test_norms_that_look_at_each_image_belong_to_the_matched_networks(self):
    config = synthetic.scenes_config(
      match__image_moments=1.0, adapt__ema_momentum=0.5, adapt__taps="block05"
    )
    results = self.run_config(config)
    scored = in_process.scenes_domains(config).scored
    images = tf.random.stateless_uniform([2, 32, 48, 3], [0, 0])
    folder = run_folder.RunFolder(self.path())
    plain = dataclasses.replace(config, match=config_lib.Match())
    for stage in Stage:
      # As the exporter restores it, and evaluate does.
      network, _ = pipeline.restore(config, folder, stage)
      again = evaluation.score_splits(network, scored, config)
      self.assertEqual(again, results["stages"][stage])
      without, _ = pipeline.restore(plain, folder, stage)
      logits, others = network(images)["logits"], without(images)["logits"]
      self.assertEqual(np.allclose(logits, others, rtol=1e-3), stage == "source_only")

  def test_norms_that_look_at_each_image_are_refused_where_there_are_none(self):
    config = synthetic.scenes_config(match__image_moments=1.0)
    config = dataclasses.replace(config, model=config_lib.Model("fcn8s", width=0.05))
    with self.assertRaisesRegex(config_lib.UserError, "fcn8s has no batch norms of maps"):
      self.run_config(config)
    self.assertFalse(os.path.exists(self.path()))

  def test_a_run_cut_off_ends_with_the_same_bits(self):
    config = synthetic.scenes_config(
      loop__checkpoint_every=4, match__image_moments=0.7, adapt__taps="block05", **_CHANCE,
      **_LABELS,
    )  # fmt: skip
    whole = self.run_config(config, "whole")
    shutil.copytree(self.path("whole"), self.path("cut"))
    # As if killed in step 9 of source training, and again in step 9 of adaptation.
    results = json.load(open(os.path.join(self.path("cut"), "results.json")))
    results["stages"] = {}
    json.dump(results, open(os.path.join(self.path("cut"), "results.json"), "w"))
    for stage in ("source_only", "adapted"):
      folder = os.path.join(self.path("cut"), "checkpoints", stage)
      shutil.rmtree(os.path.join(folder, "00000010"))
      self.assertNotEmpty(os.listdir(folder))
    shutil.rmtree(os.path.join(self.path("cut"), "checkpoints", "gaussian"))
    again = self.run_config(config, "cut")
    self.assertEqual(whole["stages"], again["stages"])
    for stage in Stage:
      one, two = (in_process.weights(self.path(name), stage) for name in ("whole", "cut"))
      self.assertCountEqual(one, two)
      for variable in one:
        self.assertAllEqual(one[variable], two[variable])

  @parameterized.parameters({"adapt__batch_norm": "train"}, _LABELS)
  def test_one_replica_and_two_agree_after_ten_steps(self, **fields):
    """Batch norms that train: their moments are the whole batch's."""
    config = synthetic.scenes_config(
      source__epsilon=1e-3, adapt__epsilon=1e-3, adapt__taps="block05", **_CHANCE, **fields
    )
    self.run_config(config, "one")
    self.run_config(config, "two", synthetic.two_replicas())
    for stage in Stage:
      one, two = (in_process.weights(self.path(name), stage) for name in ("one", "two"))
      self.assertCountEqual(one, two)
      for name in one:
        if name.startswith("model/"):
          # Weights move by up to 1e-2; moments are sums in another order.
          self.assertAllClose(one[name], two[name], atol=2e-4, rtol=1e-3, msg=name)
    start = in_process.weights(self.path("one"), "gaussian")
    end = in_process.weights(self.path("one"))
    moved = max(np.abs(end[name] - start[name]).max() for name in start)
    self.assertGreater(moved, 1e-4)

  def test_matching_removes_a_toy_shift_of_colours(self):
    config = synthetic.scenes_config(source__steps=200, adapt__steps=0)
    scores = self.run_config(config)["stages"]
    source_only, matched = (scores[s]["test"]["miou"] for s in ("source_only", "gaussian"))
    self.assertGreater(matched, source_only)

  def test_activations_kept_on_disk_change_no_bit(self):
    in_memory = synthetic.scenes_config(adapt__steps=0)
    on_disk = synthetic.scenes_config(adapt__steps=0, match__memory_mb=0)
    self.run_config(in_memory, "memory")
    self.run_config(on_disk, "disk")
    one, two = (
      in_process.weights(self.path(name), "gaussian") for name in ("memory", "disk")
    )
    for variable in one:
      self.assertAllEqual(one[variable], two[variable])
