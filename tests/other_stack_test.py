"""A run of one stack is scored, exported and gone on with by the other.

Needs TFDAM_OTHER_PYTHON: the Python of an environment that holds the other stack. .ci/run
sets it.
"""

import json
import os
import shutil
import unittest

import tensorflow as tf

from tests import in_process, programs, synthetic
from tfdam import stack

OTHER = os.environ.get("TFDAM_OTHER_PYTHON", "")
# Every kind of variable that a player has: spectral norms, a moving average, Adam's slots.
_RUN = (
  *programs.SMALL,
  "--config.adapt.spectral_norm=True",
  "--config.adapt.ema_momentum=0.9",
)


@unittest.skipUnless(OTHER, "needs the other stack: set TFDAM_OTHER_PYTHON to its Python")
class OtherStackTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = in_process.class_folder(cls)
    cls.root = synthetic.write_all(os.path.join(cls.folder, "data"))
    cls.theirs, cls.ours = (os.path.join(cls.folder, n) for n in ("theirs", "ours"))
    for workdir, python in ((cls.theirs, {"python": OTHER}), (cls.ours, {})):
      code, output = programs.run(workdir, cls.root, *_RUN, **python)
      assert code == 0, output

  def read(self, workdir, name):
    with open(os.path.join(workdir, name)) as file:
      return json.load(file)

  def test_they_are_two_stacks(self):
    names = [
      self.read(d, "run.json")["sessions"][0]["stack"] for d in (self.theirs, self.ours)
    ]
    self.assertEqual(names[1], stack.installed())
    self.assertCountEqual(names, stack.STACKS)

  def test_a_run_is_scored_alike_by_both(self):
    code, output = programs.run(self.theirs, self.root, module="tfdam.evaluate")
    self.assertEqual(code, 0, output)
    there = self.read(self.theirs, "results.json")["stages"]
    here = self.read(self.theirs, "evaluation.json")["stages"]
    for stage, scores in there.items():
      # An image of 60 whose two best classes are a rounding apart may change sides.
      self.assertAllClose(
        here[stage]["test"]["accuracy"], scores["test"]["accuracy"], atol=1.01 / 60
      )

  def test_a_run_is_exported_by_the_other_with_every_gate(self):
    code, output = programs.run(self.theirs, self.root, module="export.run")
    self.assertEqual(code, 0, output)
    tool = self.read(os.path.join(self.theirs, "export"), "export.json")["tool"]
    self.assertEqual(tool["tensorflow"], tf.__version__)

  def test_training_goes_on_under_either_and_says_that_bits_may_differ(self):
    for name, begun, python in (
      ("theirs", self.theirs, {}),
      ("ours", self.ours, {"python": OTHER}),
    ):
      whole = in_process.weights(begun)
      workdir = os.path.join(self.folder, f"{name}_goes_on")
      shutil.copytree(begun, workdir)
      # As a kill would have left it, twenty steps before the end.
      os.remove(os.path.join(workdir, "results.json"))
      adapted = os.path.join(workdir, "checkpoints", "adapted")
      shutil.rmtree(os.path.join(adapted, max(os.listdir(adapted))))
      code, output = programs.run(workdir, self.root, *_RUN, **python)
      self.assertEqual(code, 0, output)
      self.assertIn("adapted: resumed at step 40", output)
      self.assertIn("results are the same up to rounding", output)
      sessions = self.read(workdir, "run.json")["sessions"]
      self.assertCountEqual([s["stack"] for s in sessions], stack.STACKS)
      # The target's own variables: wrappers' go by other names on each stack.
      gone_on = {
        n: v for n, v in in_process.weights(workdir).items() if n.startswith("model/")
      }
      self.assertLen(gone_on, 8)
      for variable, value in gone_on.items():
        # Twenty steps of Adam, which divides rounding by rounding where gradients cancel.
        self.assertAllClose(value, whole[variable], atol=5e-3, msg=variable)

  def test_source_networks_are_not_shared_between_stacks(self):
    """Their bits differ: the cache's key has TensorFlow's version."""
    cache = os.path.join(self.folder, "cache")
    for name, python in (("first", {}), ("second", {"python": OTHER})):
      flags = [*_RUN, f"--config.source.cache={cache}", "--config.adapt.steps=0"]
      code, output = programs.run(
        os.path.join(self.folder, name), self.root, *flags, **python
      )
      self.assertEqual(code, 0, output)
    kept = [n for n in os.listdir(os.path.join(cache, "source")) if "." not in n]
    self.assertLen(kept, 2)
