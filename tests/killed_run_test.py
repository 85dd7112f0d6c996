"""`python -m tfdam.train` killed, told to end, or with a damaged checkpoint: it goes on."""

import glob
import json
import os
import random
import shutil
import signal

import tensorflow as tf

from tests import in_process, programs, synthetic


class KilledRunTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    """Makes `whole`, a run that nothing disturbed."""
    super().setUpClass()
    cls.folder = in_process.class_folder(cls)
    cls.root = synthetic.write_all(os.path.join(cls.folder, "data"))
    cls.whole = os.path.join(cls.folder, "whole")
    code, output = programs.run(cls.whole, cls.root, *programs.SMALL)
    assert code == 0, output

  def path(self, name):
    return os.path.join(self.folder, name)

  def assert_same_run(self, one, other):
    for stage in ("source_only", "gaussian", "adapted"):
      first, second = in_process.weights(one, stage), in_process.weights(other, stage)
      self.assertCountEqual(first, second)
      for name in first:
        self.assertAllEqual(first[name], second[name])
    results = [json.load(open(os.path.join(path, "results.json"))) for path in (one, other)]
    self.assertEqual(results[0]["stages"], results[1]["stages"])
    self.assertEqual(results[0]["alarms"], results[1]["alarms"])
    # The curves are whole and without repeats.
    lines = [open(os.path.join(path, "metrics.jsonl")).read() for path in (one, other)]
    self.assertEqual(*lines)
    self.assertEqual(*(self.points(path) for path in (one, other)))

  def points(self, path):
    """Every (run, name, step) in TensorBoard's files, but for those of pictures."""
    found = []
    for file in glob.glob(os.path.join(path, "summaries", "*", "*tfevents*")):
      run = os.path.basename(os.path.dirname(file))
      for event in tf.compat.v1.train.summary_iterator(file):
        found += [(run, value.tag, event.step) for value in event.summary.value]
    return sorted(point for point in found if point[0] != "panels")

  def test_killed_at_random_steps_ends_bit_identical(self):
    total = programs.lines_written(self.whole)
    self.assertGreater(total, 20)
    rng = random.Random(0)
    # Twice: in the first half (source training) and in the second (adaptation).
    kills = [rng.randrange(1, total // 2), rng.randrange(total // 2, total)]
    for lines in kills:
      code, output = programs.run(
        self.path("killed"),
        self.root,
        *programs.SMALL,
        module="tests.killed",
        before=[lines],
      )
      self.assertEqual(code, -signal.SIGKILL, output)
    code, output = programs.run(self.path("killed"), self.root, *programs.SMALL)
    self.assertEqual(code, 0, output)
    self.assertIn("resumed at step", output, f"kills {kills}")
    self.assert_same_run(self.whole, self.path("killed"))

  def test_sigterm_saves_exits_with_143_and_resumes(self):
    long = [
      *programs.SMALL,
      "--config.source.steps=100000",
      "--config.loop.checkpoint_every=100000",
    ]
    process = programs.start(self.path("run"), self.root, *long)
    programs.wait_for_lines(process, self.path("run"), 3)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=programs.TIMEOUT_S)
    self.assertEqual(process.returncode, 143, output)
    saved = os.listdir(os.path.join(self.path("run"), "checkpoints", "source_only"))
    self.assertLen(saved, 1)
    self.assertGreaterEqual(int(saved[0]), 15)
    process = programs.start(self.path("run"), self.root, *long)
    programs.wait_for_lines(process, self.path("run"), int(saved[0]) // 5 + 3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=programs.TIMEOUT_S)
    self.assertEqual(process.returncode, 130, output)
    self.assertIn(f"resumed at step {int(saved[0])} of 100000", output)

  def test_a_truncated_newest_checkpoint_falls_back_and_ends_the_same(self):
    shutil.copytree(self.whole, self.path("cut"))
    newest = os.path.join(self.path("cut"), "checkpoints", "adapted", "00000060")
    with open(os.path.join(newest, "state.data-00000-of-00001"), "r+b") as file:
      file.truncate(1_000)
    os.remove(os.path.join(self.path("cut"), "results.json"))
    code, output = programs.run(self.path("cut"), self.root, *programs.SMALL)
    self.assertEqual(code, 0, output)
    self.assertIn("00000060 is not whole", output)
    self.assertIn("adapted: resumed at step 40 of 60", output)
    self.assert_same_run(self.whole, self.path("cut"))
