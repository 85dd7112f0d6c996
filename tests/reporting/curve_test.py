"""The curve of scores over steps: what it says, and that it changes nothing."""

import json
import os
from unittest import mock

import numpy as np
import tensorflow as tf
from absl import logging

from tests import in_process, synthetic
from tfdam.reporting import curve


class CurveTest(tf.test.TestCase):
  """Runs with a curve beside the same runs without one."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = in_process.class_folder(cls)
    cls.root = synthetic.write_all(os.path.join(cls.folder, "data"))
    # 7 is no multiple of log_every: windows end where the curve has a point.
    cls.scored = cls.execute("scored", loop__score_every=7, adapt__ema_momentum=0.9)

  @classmethod
  def path(cls, name):
    return os.path.join(cls.folder, name)

  @classmethod
  def execute(cls, name, **fields):
    return in_process.execute(synthetic.small_config(**fields), cls.root, cls.path(name))

  def lines(self, name, phase="curve"):
    with open(os.path.join(self.path(name), "metrics.jsonl")) as file:
      return [line for line in map(json.loads, file) if line["phase"] == phase]

  def assert_same_weights(self, one, other):
    for stage in ("source_only", "gaussian", "adapted"):
      first, second = (in_process.weights(self.path(name), stage) for name in (one, other))
      self.assertCountEqual(first, second)
      for name in first:
        self.assertAllEqual(first[name], second[name])

  def test_the_average_is_scored_from_the_start_to_the_end(self):
    lines = self.lines("scored")
    self.assertEqual([line["step"] for line in lines], [0, 7, 14, 20])
    stages = self.scored["stages"]
    # Adaptation starts at the source network, and ends with what is scored.
    for line, stage in ((lines[0], "source_only"), (lines[-1], "adapted")):
      expected = stages[stage]["test"]["accuracy"]
      self.assertEqual(line["metric/test_accuracy"], expected)

  def test_a_run_with_a_curve_ends_with_the_same_bits(self):
    plain = self.execute("plain", adapt__ema_momentum=0.9)
    self.assert_same_weights("scored", "plain")
    for name in ("stages", "last_step"):
      self.assertEqual(self.scored[name], plain[name])
    self.assertEqual(self.lines("plain"), [])

  def test_terms_that_use_the_average_themselves_are_not_disturbed(self):
    fields = {
      "adapt__self_training_weight": 1.0, "adapt__ema_momentum": 0.9, "adapt__steps": 6,
      "adapt__self_training_confidence": 0.2,
    }  # fmt: skip
    self.execute("taught", **fields)
    self.execute("taught_scored", loop__score_every=2, **fields)
    self.assert_same_weights("taught", "taught_scored")

  def test_scoring_draws_nothing_at_random(self):
    draws = []
    call = curve.Curve.__call__

    def watched(self, step):
      tf.random.set_seed(5)
      np.random.seed(5)
      call(self, step)
      draws.append((float(tf.random.uniform([])), np.random.uniform()))

    with mock.patch.object(curve.Curve, "__call__", watched):
      self.execute("draws", loop__score_every=10, adapt__steps=10)
    tf.random.set_seed(5)
    np.random.seed(5)
    untouched = (float(tf.random.uniform([])), np.random.uniform())
    self.assertEqual(draws, [untouched, untouched])

  def test_a_killed_run_has_each_point_once(self):
    call = curve.Curve.__call__
    fields = {"loop__score_every": 5, "loop__watch_every": 5}
    self.execute("whole", **fields)
    # Before the point at 10, where a checkpoint is due, too; after the others.
    for kill, after in ((0, True), (10, False), (15, True)):

      def killed(self, step, kill=kill, after=after):
        if step != kill or after:
          call(self, step)
        if step == kill:
          raise KeyboardInterrupt

      with mock.patch.object(curve.Curve, "__call__", killed):
        with self.assertRaises(KeyboardInterrupt):
          self.execute("killed", **fields)
    for _ in range(2):  # a finished run adds none either
      self.execute("killed", **fields)
      self.assertEqual(self.lines("killed"), self.lines("whole"))
      self.assertEqual(self.lines("killed", "watch"), self.lines("whole", "watch"))

  def test_scenes_have_a_curve_of_their_mean_iou(self):
    config = synthetic.scenes_config(loop__score_every=5)
    domains = in_process.scenes_domains(config)
    results = in_process.execute(config, domains, self.path("scenes"))
    lines = self.lines("scenes")
    self.assertEqual([line["step"] for line in lines], [0, 5, 10])
    self.assertEqual(
      lines[-1]["metric/test_miou"], results["stages"]["adapted"]["test"]["miou"]
    )

  def test_a_target_without_test_labels_has_no_curve_and_is_told(self):
    config = synthetic.small_config(loop__score_every=5, adapt__steps=5)
    domains = in_process.domains(config, self.root)._replace(
      scored={"test": None, "transductive": None}
    )
    with mock.patch.object(logging, "warning") as warning:
      in_process.execute(config, domains, self.path("unlabelled"))
    said = [call.args[0] % call.args[1:] for call in warning.call_args_list]
    self.assertIn(
      "loop.score_every is 5, but usps has no test labels: there is no curve.", said
    )
    self.assertEqual(self.lines("unlabelled"), [])
