"""Whole runs with several targets."""

import dataclasses
import json
import os
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from export import pipeline
from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam.data import pairs, unions
from tfdam.data import scenes as scenes_lib
from tfdam.matching import gaussian
from tfdam.reporting import evaluation
from tfdam.runs import context, loading, run_folder
from tfdam.training import per_target as per_target_lib

_NAMES = ("bright", "dark")
# Adaptation also learns the source's labels, through the source's norms.
_LABELS = {"adapt__source_label_weight": 1.0, "adapt__source_norms": True}


def _united(splits, config):
  found = unions.united(dict(zip(_NAMES, splits)), config.data)
  return scenes_lib.at_size(found, config.data, labels_too=False)


def domains(config):
  """A target that is brighter than the source, and a darker one; as many images of each."""
  gains = (1.3, 0.5)
  source = scenes_lib.at_size(synthetic.scenes(24, seed=1), config.data)
  target = _united([synthetic.scenes(10, seed=2, gain=gain) for gain in gains], config)
  test = _united([synthetic.scenes(4, seed=3, gain=gain) for gain in gains], config)
  return context.Domains(
    source, target.without_labels(), {"test": test, "transductive": target}
  )


def config(**overrides):
  return synthetic.scenes_config(data__target="+".join(_NAMES), **overrides)


class TargetsRunTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def path(self, name="run"):
    return os.path.join(self.folder, name)

  def execute(self, options, name="run", strategy=None):
    return in_process.execute(options, domains(options), self.path(name), strategy)

  def test_every_stage_is_scored_on_each_target_and_on_all(self):
    results = self.execute(config(loop__report=True, loop__watch_every=5))
    self.assertEqual(list(results["stages"]), ["source_only", "gaussian", "adapted"])
    for scores in results["stages"].values():
      self.assertEqual(scores["test"]["num_images"], 8)
      self.assertEqual(list(scores["test"]["parts"]), list(_NAMES))
      for part in scores["transductive"]["parts"].values():
        self.assertEqual(part["num_images"], 10)
        self.assertLen(part["iou_per_class"], 3)
    # What a run folder says of itself is checked where it is read.
    read = run_folder.RunFolder(self.path()).read_json("results.json")
    self.assertEqual(read["stages"], results["stages"])
    with open(self.path("run/report.html")) as file:
      self.assertIn("mIoU, dark", file.read())

  def test_moments_of_the_union_are_those_of_the_targets_merged_by_share(self):
    rng = np.random.RandomState(0)
    bright, dark = rng.normal(3.0, 2.0, (70, 4, 5)), rng.normal(-1.0, 0.5, (20, 4, 5))
    merged = gaussian.merge(gaussian.moments(bright), gaussian.moments(dark))
    union = gaussian.moments(np.concatenate([bright, dark]))
    # Both float64, summed in another order.
    self.assertAllClose(merged.mean, union.mean, rtol=1e-12)
    self.assertAllClose(merged.variance, union.variance, rtol=1e-12)

  def test_a_batch_that_targets_cannot_share_is_refused_before_the_first_step(self):
    options = config(adapt__global_batch_size=5)
    with self.assertRaisesRegex(
      config_lib.UserError, r"is 5, but .*\(bright, dark\).*multiple of 2, such as 4 or 6"
    ):
      self.execute(options)
    self.assertFalse(os.path.exists(self.path()))
    options = config(adapt__global_batch_size=2)
    with self.assertRaisesRegex(config_lib.UserError, "of 2 replicas.*multiple of 4"):
      self.execute(options, strategy=synthetic.two_replicas())

  def test_a_target_with_labels_is_refused(self):
    options = config()
    labelled = domains(options).scored["transductive"]
    with self.assertRaisesRegex(ValueError, "must come without labels"):
      in_process.execute(options, domains(options)._replace(target=labelled), self.path())

  @parameterized.parameters((False, {}), (True, {}), (True, _LABELS))
  def test_a_run_cut_off_ends_with_the_same_bits(self, per_target, labels):
    options = config(
      adapt__per_target=per_target, adapt__ema_momentum=0.5, adapt__taps="block05", **labels
    )
    whole = self.execute(options, "whole")
    shutil.copytree(self.path("whole"), self.path("cut"))
    results = json.load(open(self.path("cut/results.json")))
    results["stages"] = {}
    json.dump(results, open(self.path("cut/results.json"), "w"))
    # As if killed in step 9 of adaptation, and its matched network were lost.
    shutil.rmtree(self.path("cut/checkpoints/adapted/00000010"))
    self.assertNotEmpty(os.listdir(self.path("cut/checkpoints/adapted")))
    shutil.rmtree(self.path("cut/checkpoints/gaussian"))
    self.assertEqual(whole["stages"], self.execute(options, "cut")["stages"])
    for stage in ("gaussian", "adapted"):
      one, two = (in_process.weights(self.path(n), stage) for n in ("whole", "cut"))
      self.assertCountEqual(one, two)
      for name in one:
        np.testing.assert_array_equal(one[name], two[name], name)
    if per_target:
      self.check_networks(options, whole)

  def check_networks(self, options, results):
    """Each target's network gives the target's scores, and they are several networks."""
    folder = run_folder.RunFolder(self.path("whole"))
    found = domains(options)
    for stage in ("gaussian", "adapted"):
      every = loading.load_network(options, folder, stage).network
      again = evaluation.score_splits(every, found.scored, options)
      self.assertEqual(again, results["stages"][stage])
      alone = {}
      for name in _NAMES:
        network, _ = pipeline.restore(options, folder, stage, name)
        split = {"test": unions.part(found.scored["test"], name)}
        scores = evaluation.score_splits(network, split, options)["test"]
        self.assertEqual(scores, results["stages"][stage]["test"]["parts"][name])
        alone[name] = network.get_weights()
      unlike = [not np.array_equal(a, b) for a, b in zip(*alone.values())]
      # Scale and shift of each norm, and nothing else.
      self.assertEqual(sum(unlike), 2 * len(per_target_lib.norms_of(network)))

  @parameterized.parameters((False, {}), (True, {}), (True, _LABELS))
  def test_one_replica_and_two_agree(self, per_target, labels):
    options = config(
      adapt__per_target=per_target, source__epsilon=1e-3, adapt__epsilon=1e-3,
      adapt__taps="block05", source__steps=2, **labels,
    )  # fmt: skip
    self.execute(options, "one")
    self.execute(options, "two", synthetic.two_replicas())
    one, two = (in_process.weights(self.path(name)) for name in ("one", "two"))
    self.assertCountEqual(one, two)
    for name in one:
      if name.startswith("model"):
        # Weights move by up to 1e-2; moments are sums in another order.
        self.assertAllClose(one[name], two[name], atol=2e-4, rtol=1e-3, msg=name)

  def test_each_targets_own_norms_match_it_better_than_one_networks(self):
    """Brighter and darker: no shared scale and shift can fit both."""
    distance = {}
    for per_target in (False, True):
      options = config(adapt__per_target=per_target, adapt__steps=0, source__steps=5)
      name = f"per_target_{per_target}"
      self.execute(options, name)
      folder, found = run_folder.RunFolder(self.path(name)), domains(options)
      source = loading.load_network(options, folder, "source_only").network
      wanted = self.taps(source, found.source, options)
      for target in _NAMES:
        network = loading.load_network(options, folder, "gaussian", target).network
        taps = self.taps(network, unions.part(found.target, target), options)
        # Of the first downsampler, a norm whose input is the image's.
        distance[per_target, target] = np.abs(taps - wanted).mean() / wanted.std()
    for target in _NAMES:
      self.assertLess(distance[True, target], 0.5 * distance[False, target], target)

  def test_source_images_never_pass_the_targets_norms(self):
    """With the labels alone, no loss has a gradient for what target images pass."""
    options = config(**_LABELS, adapt__gan_weight=0.0, adapt__drift_weight=0.0)
    whole = domains(options)
    one = whole._replace(target=dataclasses.replace(whole.target, parts=None))
    in_process.execute(options, one, self.path())
    folder = run_folder.RunFolder(self.path())
    source, matched, adapted = (
      loading.load_network(options, folder, stage).network
      for stage in ("source_only", "gaussian", "adapted")
    )
    norms = [per_target_lib.norms_of(each) for each in (source, matched, adapted)]
    moved = [
      max(float(abs(a - b).max()) for a, b in zip(one.get_weights(), other.get_weights()))
      for first, second in zip(norms, norms[1:])
      for one, other in zip(first, second)
    ]
    half = len(norms[0])
    self.assertGreater(min(moved[:half]), 0.0)  # by matching
    self.assertEqual(max(moved[half:]), 0.0)  # by the labels
    kernels = [
      [each.numpy() for each in network.trainable_variables if "kernel" in each.name]
      for network in (matched, adapted)
    ]
    self.assertFalse(any(map(np.array_equal, *kernels)))

  def taps(self, network, split, options):
    """The mean of each channel of the first tap."""
    (images,) = pairs.ordered_batches(split, len(split), options.data)
    return network(images)["taps"]["block01"].numpy().mean((0, 1, 2))

  def test_what_has_no_norms_for_each_target_is_refused_before_the_first_step(self):
    cases = (
      (config(adapt__per_target=True, match__sites="block06"), "matches batch norms alone"),
      (synthetic.scenes_config(adapt__per_target=True), "usps is one target"),
      (config(**_LABELS, match__sites="block06"), "source_norms is True, which matches"),
    )
    for options, said in cases:
      found = domains(options)
      if "one target" in said:
        whole = dataclasses.replace(found.target, parts=None)
        found = found._replace(target=whole)
      with self.assertRaisesRegex(config_lib.UserError, said):
        in_process.execute(options, found, self.path())
    self.assertFalse(os.path.exists(self.path()))
