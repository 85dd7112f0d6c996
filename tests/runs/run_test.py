"""Whole runs on small drawn digits: what they write, and what they never read."""

import dataclasses
import glob
import json
import os
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam import data, runtime
from tfdam.data import examples as examples_lib
from tfdam.runs import context, run_folder
from tfdam.runs import run as run_lib
from tfdam.vocabulary import Stage


class StagesTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.root = synthetic.write_all(os.path.join(self.folder, "data"))

  def path(self, name="run"):
    return os.path.join(self.folder, name)

  def assert_same_weights(self, one, other):
    self.assertCountEqual(one, other)
    for name in one:
      self.assertAllEqual(one[name], other[name])

  def test_norms_that_a_network_has_not_are_not_trained(self):
    config = synthetic.small_config(adapt__batch_norm="train")
    with self.assertRaisesRegex(config_lib.UserError, "lenet has no batch norm. Set"):
      in_process.execute(config, self.root, self.path())
    self.assertFalse(os.path.exists(self.path()))

  def test_what_training_started_from_is_not_needed_to_go_on(self):
    config = synthetic.small_config(adapt__steps=0, match__enabled=False)
    in_process.execute(config, self.root, self.path())
    model = dataclasses.replace(config.model, weights="gone.h5")
    config = dataclasses.replace(config, model=model)
    domains = in_process.domains(config, self.root)

    def prepare(name):
      folder = run_folder.RunFolder(self.path(name))
      run_lib.Run(config, domains, folder, tf.distribute.get_strategy()).prepare()

    prepare("run")
    with self.assertRaisesRegex(config_lib.UserError, "gone.h5"):
      prepare("another")

  def test_target_labels_are_never_opened_during_adaptation(self):
    """USPS to MNIST with the target's label files gone: the same weights to the bit."""
    config = synthetic.small_config(
      data__source="usps",
      data__target="mnist",
      adapt__init="matched",
      adapt__drift_anchor="matched",
    )
    in_process.execute(config, self.root, self.path("with"))
    for name in ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
      os.remove(os.path.join(self.root, "mnist", name))
    results = in_process.execute(config, self.root, self.path("without"))
    self.assertEqual(results["stages"], {"source_only": {}, "gaussian": {}, "adapted": {}})
    for stage in Stage:
      self.assert_same_weights(
        in_process.weights(self.path("with"), stage),
        in_process.weights(self.path("without"), stage),
      )

  def test_users_own_classes_and_an_unlabelled_target(self):
    """Three classes of colour images at another size; the target has images alone."""
    for name, labelled in (("render", True), ("photo", False)):
      images, labels = synthetic.digits(60, 24)
      colour = np.repeat(images[..., None], 3, axis=-1)
      folder = os.path.join(self.root, name)
      os.makedirs(folder)
      for split in ("train", "test") if labelled else ("train",):
        arrays = (
          {"images": colour, "labels": labels % 3} if labelled else {"images": colour}
        )
        np.savez(os.path.join(folder, f"{split}.npz"), **arrays)
    config = synthetic.small_config(
      data__source="npz:render", data__target="npz:photo", data__num_classes=3,
      data__channels=3, data__height=32, data__width=32,
    )  # fmt: skip
    results = in_process.execute(config, self.root, self.path())
    self.assertEqual(results["stages"], {"source_only": {}, "gaussian": {}, "adapted": {}})
    self.assertEqual(results["classes"], ["0", "1", "2"])

  def test_a_labelled_target_is_refused(self):
    labelled = data.load("usps", "train", True, config_lib.Data(), self.root)
    with self.assertRaisesRegex(ValueError, "without labels"):
      run_lib.Run(
        synthetic.small_config(), context.Domains(labelled, labelled, {}), None, None
      )

  @parameterized.named_parameters(
    # At 0.01 one of a discriminator's ReLUs may be on the edge: 2e-6 on a CPU with AVX2.
    ("sgd", 1e-6, {
      "adapt__optimizer": "sgd", "adapt__discriminator_units": (500, 500),
      "adapt__global_batch_size": 128, "adapt__target_learning_rate": 0.003,
      "adapt__discriminator_learning_rate": 0.003,
    }),
    # Everything that replicas must agree on: the average, the gate, the batch's marginal.
    # Adam divides by the root of squared gradients: where a gradient is a sum that all but
    # cancels, rounding decides the step. 1e-5 is one in 200 of what ten steps of 2e-4 can
    # move.
    ("best", 1e-5, {
      "adapt__ema_momentum": 0.9, "adapt__gate_accuracy": 0.3, "adapt__augment": True,
      "adapt__information_weight": 0.5, "adapt__spectral_norm": True,
    }),
    # What one gives the other labels with, and images moved.
    ("labels", 1e-5, {
      "adapt__source_label_weight": 1.0, "adapt__self_training_weight": 1.0,
      "adapt__self_training_confidence": 0.2, "adapt__ema_momentum": 0.9,
    }),
    # Centroids of the global batch, which every replica keeps alike.
    ("centroids", 1e-5, {"adapt__centroid_weight": 10.0}),
    # Logits are kept beside the source's taps.
    ("class_wise", 1e-5, {"adapt__class_wise": True}),
  )  # fmt: skip
  def test_one_replica_and_two_agree_after_ten_steps(self, tolerance, fields):
    config = synthetic.small_config(
      source__steps=10,
      source__epsilon=1e-7,
      adapt__steps=10,
      adapt__init="matched",
      **fields,
    )
    in_process.execute(config, self.root, self.path("one"))
    in_process.execute(config, self.root, self.path("two"), synthetic.two_replicas())
    for stage, bound in (("source_only", 1e-6), ("gaussian", 1e-6), ("adapted", tolerance)):
      one, two = (in_process.weights(self.path(name), stage) for name in ("one", "two"))
      self.assertCountEqual(one, two)
      networks = [name for name in one if name.startswith(("model/", "discriminators/"))]
      # Spectral norms keep a vector each, too.
      expected = 20 + 6 * config.adapt.spectral_norm if stage == "adapted" else 8
      self.assertLen(networks, expected)
      for name in networks:
        self.assertAllClose(one[name], two[name], atol=bound, rtol=0)
    # Ten steps that do nothing would agree, too.
    start = in_process.weights(self.path("one"), "gaussian")
    moved = max(np.abs(one[name] - start[name]).max() for name in start if "model/" in name)
    self.assertGreater(moved, 1e-4)

  def whole_and_cut(self, **fields):
    """The same run twice, the second one cut at step 14 of 20: results, weights of each."""
    config = synthetic.small_config(loop__checkpoint_every=7, **fields)
    whole = in_process.execute(config, self.root, self.path("whole"))
    shutil.copytree(self.path("whole"), self.path("cut"))
    # As if killed in step 18: the end's checkpoint and scores are not there.
    shutil.rmtree(os.path.join(self.path("cut"), "checkpoints", "adapted", "00000020"))
    results = json.load(open(os.path.join(self.path("cut"), "results.json")))
    del results["stages"]["adapted"]
    results.pop("last_step", None)
    json.dump(results, open(os.path.join(self.path("cut"), "results.json"), "w"))
    again = in_process.execute(config, self.root, self.path("cut"))
    return [
      (results, in_process.weights(self.path(name)))
      for name, results in (("whole", whole), ("cut", again))
    ]

  def test_centroids_are_in_the_checkpoint_and_resume_bit_exactly(self):
    (_, one), (_, two) = self.whole_and_cut(adapt__centroid_weight=10.0)
    self.assert_same_weights(one, two)
    kept = one["centroids/values/.ATTRIBUTES/VARIABLE_VALUE"]
    self.assertEqual(kept.shape, (2, 10, 500))
    self.assertGreater(kept.max(), 0.0)

  def test_the_average_is_what_is_scored_and_resumes_bit_exactly(self):
    (whole, one), (again, two) = self.whole_and_cut(adapt__ema_momentum=0.9)
    self.assertEqual(whole["stages"], again["stages"])
    self.assertEqual(whole["last_step"], again["last_step"])
    self.assert_same_weights(one, two)
    kernel = "fc3/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    self.assertNotAllClose(one[f"model/{kernel}"], one[f"target/{kernel}"], atol=1e-5)
    plain = synthetic.small_config(loop__checkpoint_every=7)
    last_step = in_process.execute(plain, self.root, self.path("plain"))
    self.assertEqual(last_step["stages"]["adapted"], whole["last_step"])
    self.assertNotIn("last_step", last_step)
    # Keeping an average moves nothing.
    self.assertAllEqual(
      in_process.weights(self.path("plain"))[f"model/{kernel}"], one[f"target/{kernel}"]
    )

  def test_batches_norms_own_moments_move_only_where_asked(self):
    for mode, moves in (("matched", False), ("train", True)):
      config = synthetic.small_config(
        model__name="lenet_bn", adapt__init="matched", adapt__batch_norm=mode
      )
      in_process.execute(config, self.root, self.path(mode))
      name = "model/bn1/moving_mean/.ATTRIBUTES/VARIABLE_VALUE"
      before, after = (
        in_process.weights(self.path(mode), stage)[name]
        for stage in ("gaussian", "adapted")
      )
      self.assertEqual(moves, bool(np.abs(before - after).max() > 1e-6), mode)

  def test_drift_anchored_at_the_matched_network_starts_at_zero(self):
    config = synthetic.small_config(
      adapt__init="matched", adapt__drift_anchor="matched", adapt__steps=1
    )
    in_process.execute(config, self.root, self.path())
    with open(os.path.join(self.path(), "metrics.jsonl")) as file:
      line = next(line for line in map(json.loads, file) if "loss/drift" in line)
    self.assertEqual(line["loss/drift"], 0.0)

  @parameterized.parameters(
    (
      {"adapt__taps": "fc5:1"},
      "Tap 'fc5' is not in lenet.*Did you mean 'fc[34]'.*adapt.taps",
    ),
    ({"model__name": "lennet"}, "Did you mean 'lenet'"),
    ({"match__sites": "conv9"}, "match.sites"),
    ({"match__sites": ","}, "expected 'all' or some of conv1"),
    ({"data__height": 8, "data__width": 8}, "cannot take images of 8x8x1.*data.height"),
    ({"source__init_checkpoint": "/nowhere"}, "neither a run folder"),
    ({"adapt__discriminator": "patch"}, "cannot judge tap 'fc3'"),
  )
  def test_what_does_not_fit_the_network_is_said_before_the_first_step(self, fields, said):
    config = synthetic.small_config(**fields)
    with self.assertRaisesRegex(config_lib.UserError, said):
      in_process.execute(config, self.root, self.path())
    self.assertFalse(os.path.exists(self.path()))

  def test_a_batch_that_replicas_cannot_share_is_refused(self):
    config = synthetic.small_config(adapt__global_batch_size=15)
    mirrored = synthetic.two_replicas()
    with self.assertRaisesRegex(config_lib.UserError, "15, which 2 replicas.*such as 14"):
      in_process.execute(config, self.root, self.path(), mirrored)
    self.assertFalse(os.path.exists(self.path()))

  def test_matching_removes_a_toy_shift(self):
    """A network trained on bright digits reads dim ones again, with no label of theirs."""
    images, labels = synthetic.digits(1_200, 28, seed=7)
    dim, dim_labels = synthetic.digits(1_200, 28, seed=8, gain=0.35, offset=0.3)
    config = synthetic.small_config(
      source__steps=250, source__global_batch_size=64, adapt__steps=0, loop__log_every=50,
      loop__checkpoint_every=1_000,
    )  # fmt: skip
    target = examples_lib.Examples(dim[..., None], None, {})
    domains_ = context.Domains(
      examples_lib.Examples(images[..., None], labels, {}),
      target,
      {"test": examples_lib.Examples(dim[..., None], dim_labels, {})},
    )
    folder = run_folder.RunFolder(self.path())
    run = run_lib.Run(config, domains_, folder, tf.distribute.get_strategy())
    run.prepare()
    folder.claim(config, {}, [], [])
    scores = run.execute()["stages"]
    source_only, matched = (
      scores[s]["test"]["accuracy"] for s in ("source_only", "gaussian")
    )
    # Seen over five seeds: 0.10 to 0.19 before and 0.996 to 0.998 after; the bounds leave
    # room.
    self.assertLess(source_only, 0.6)
    self.assertGreater(matched, 0.8)


class FinishedRunTest(tf.test.TestCase):
  """What one run leaves, and what others may do with it."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = in_process.class_folder(cls)
    cls.root = synthetic.write_all(os.path.join(folder, "data"))
    cls.path = os.path.join(folder, "run")
    cls.config = synthetic.small_config(loop__watch_every=10)
    cls.results = in_process.execute(cls.config, cls.root, cls.path)

  def taking_source_from(self, path):
    """A run without source training of its own."""
    return synthetic.small_config(
      source__steps=0, source__init_checkpoint=path, adapt__steps=5
    )

  def test_a_run_leaves_results_of_every_stage(self):
    self.assertEqual(list(self.results["stages"]), ["source_only", "gaussian", "adapted"])
    for scores in self.results["stages"].values():
      self.assertEqual(scores["test"]["num_images"], 50)
      self.assertEqual(scores["transductive"]["num_images"], 150)
      self.assertBetween(scores["test"]["accuracy"], 0.0, 1.0)
      self.assertLen(scores["test"]["per_class_accuracy"], 10)
      # Enough to score some classes alone.
      images = scores["test"]["per_class_images"]
      self.assertEqual(sum(images), 50)
      right = np.array(scores["test"]["per_class_accuracy"]) @ np.array(images)
      self.assertAlmostEqual(right / 50, scores["test"]["accuracy"])
    timing = self.results["timing"]
    self.assertGreater(timing["source_steps_per_s"], 0)
    self.assertGreater(timing["adapt_steps_per_s"], 0)
    self.assertGreater(timing["seconds"], 0)

  def test_tensorboard_gets_losses_accuracies_and_scores(self):
    tags = {}
    for stage in ("source_only", "gaussian", "adapted"):
      files = glob.glob(os.path.join(self.path, "summaries", stage, "events*"))
      events = (e for path in files for e in tf.compat.v1.train.summary_iterator(path))
      tags[stage] = {value.tag for event in events for value in event.summary.value}
    scores = {"metric/test_accuracy", "metric/transductive_accuracy"}
    self.assertEqual(tags["gaussian"], scores)
    self.assertEqual(
      tags["source_only"],
      {"loss/cross_entropy", "loss/l2", "metric/train_accuracy", *scores},
    )
    self.assertEqual(
      tags["adapted"],
      {
        "loss/target", "loss/alignment", "loss/drift", "loss/discriminator",
        "discriminator/fc3/loss", "discriminator/fc3/accuracy",
        "discriminator/fc4/loss", "discriminator/fc4/accuracy", *scores,
        "watch/marginal_distance", "watch/classes_predicted",
        *(
          f"watch/{tap}/{name}"
          for tap in ("conv1", "conv2", "fc3", "fc4")
          for name in ("dead_channels", "source_dead_channels")
        ),
      },
    )  # fmt: skip

  def test_a_finished_run_returns_its_results_again(self):
    again = in_process.execute(self.config, self.root, self.path)
    self.assertEqual(self.results["stages"], again["stages"])

  def test_without_steps_the_source_comes_from_another_run(self):
    second = os.path.join(self.create_tempdir().full_path, "second")
    results = in_process.execute(self.taking_source_from(self.path), self.root, second)
    self.assertIn("adapted", results["stages"])
    ours, taken = (in_process.weights(path, "source_only") for path in (self.path, second))
    for name in ours:
      if name.startswith("model/"):
        self.assertAllEqual(ours[name], taken[name])

  def test_an_unfinished_or_damaged_source_run_is_refused(self):
    folder = self.create_tempdir().full_path
    first, second = (os.path.join(folder, name) for name in ("first", "second"))
    shutil.copytree(self.path, first)
    place = os.path.join(first, "checkpoints", "source_only", "00000020")
    os.remove(os.path.join(place, "state.index"))
    with self.assertRaisesRegex(config_lib.UserError, "not whole: state.index is missing"):
      in_process.execute(self.taking_source_from(place), self.root, second)
    with self.assertRaisesRegex(config_lib.UserError, "stands at step 10 of 20"):
      in_process.execute(self.taking_source_from(first), self.root, second)


class RuntimeTest(tf.test.TestCase):
  def test_two_logical_devices_make_a_mirrored_strategy(self):
    strategy = runtime.start(config_lib.Runtime(num_replicas=2), 0)
    self.assertIsInstance(strategy, tf.distribute.MirroredStrategy)
    self.assertEqual(strategy.num_replicas_in_sync, 2)
    self.assertEqual(run_lib.devices(strategy), ["CPU:0", "CPU:1"])

  def test_no_strategy_with_two_devices_is_refused(self):
    with self.assertRaisesRegex(config_lib.UserError, "runtime.strategy"):
      runtime.start(config_lib.Runtime(num_replicas=2, strategy="none"), 0)
