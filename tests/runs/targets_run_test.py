"""Whole runs with several targets."""

import dataclasses
import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam.data import scenes as scenes_lib
from tfdam.data import unions
from tfdam.matching import gaussian
from tfdam.runs import context, run_folder

_NAMES = ("bright", "dark")


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

  def assert_same_weights(self, name, other):
    found, wanted = (in_process.weights(self.path(n)) for n in (name, other))
    self.assertEqual(found.keys(), wanted.keys())
    for variable in wanted:
      np.testing.assert_array_equal(found[variable], wanted[variable], variable)

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
      in_process.execute(
        options, domains(options)._replace(target=labelled), self.path()
      )

  def test_a_stopped_run_ends_with_the_same_bits(self):
    self.execute(config())
    first = config(adapt__steps=10, loop__checkpoint_every=5)
    stopped = self.path("again")
    domain = domains(first)
    read = domain.target.read_image

    def failing(i, calls=[]):  # noqa: B006
      calls.append(i)
      if len(calls) > 20 + 20 + 7 * 4:
        raise config_lib.UserError("stopped")
      return read(i)

    target = dataclasses.replace(domain.target, read_image=failing)
    with self.assertRaisesRegex(config_lib.UserError, "stopped"):
      in_process.execute(first, domain._replace(target=target), stopped)
    self.execute(first, "again")
    self.assert_same_weights("again", "run")

  def test_one_replica_equals_two(self):
    options = config(adapt__optimizer="sgd", adapt__target_learning_rate=1e-2)
    self.execute(options, "one")
    self.execute(options, "two", synthetic.two_replicas())
    one, two = (in_process.weights(self.path(name)) for name in ("one", "two"))
    for name in one:
      if name.startswith("model/"):
        # Sums in another order, over ten steps of both players.
        self.assertAllClose(one[name], two[name], rtol=1e-3, atol=1e-5, msg=name)
