"""Checkpoints: whole or absent."""

import os

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.training import checkpoints


class CheckpointsTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, "stage")
    self.value = tf.Variable(0.0)
    self.checkpoints = checkpoints.Checkpoints(self.folder, {"value": self.value}, keep=2)

  def save(self, *steps):
    for step in steps:
      self.value.assign(step)
      self.checkpoints.save(step, {"note": f"step {step}"})

  def data_file(self, step):
    return os.path.join(self.folder, f"{step:08d}", "state.data-00000-of-00001")

  def test_restores_the_newest_and_keeps_two(self):
    self.save(10, 20, 30)
    self.assertEqual(checkpoints.steps(self.folder), [20, 30])
    self.value.assign(-1)
    info = self.checkpoints.restore()
    self.assertEqual((info["step"], info["note"], float(self.value)), (30, "step 30", 30.0))

  def test_without_a_checkpoint_nothing_is_restored(self):
    self.assertIsNone(self.checkpoints.restore())

  def test_falls_back_from_a_truncated_one_and_says_so(self):
    self.save(10, 20)
    with open(self.data_file(20), "r+b") as file:
      file.truncate(2)
    with self.assertLogs(level="WARNING") as logged:
      self.assertEqual(self.checkpoints.restore()["step"], 10)
    self.assertEqual(float(self.value), 10.0)
    self.assertIn("00000020 is not whole", logged.output[0])

  def test_one_changed_bit_is_noticed(self):
    self.save(10, 20)
    content = bytearray(open(self.data_file(20), "rb").read())
    content[-1] ^= 1
    with open(self.data_file(20), "wb") as file:
      file.write(content)
    self.assertEqual(self.checkpoints.restore()["step"], 10)

  def test_a_missing_file_and_a_missing_info_are_noticed(self):
    self.save(10, 20)
    os.remove(self.data_file(20))
    self.assertEqual(self.checkpoints.restore()["step"], 10)
    os.remove(os.path.join(self.folder, "00000010", "checkpoint.json"))
    self.assertIsNone(self.checkpoints.restore())

  def test_what_a_kill_left_behind_is_neither_read_nor_in_the_way(self):
    self.save(10)
    partial = os.path.join(self.folder, "00000020.partial")
    os.makedirs(partial)
    with open(os.path.join(partial, "state.index"), "w") as file:
      file.write("half")
    self.assertEqual(self.checkpoints.restore()["step"], 10)
    self.save(20)
    self.assertEqual(self.checkpoints.restore()["step"], 20)

  def test_saving_below_damaged_ones_removes_them_and_keeps_itself(self):
    self.save(10, 20, 30)
    for step in (20, 30):
      os.remove(self.data_file(step))
    self.checkpoints.keep = 1
    self.save(15)
    self.assertEqual(checkpoints.steps(self.folder), [15])

  def test_a_damaged_one_is_replaced(self):
    self.save(10, 20)
    os.remove(self.data_file(20))
    self.save(20)
    self.assertEqual(self.checkpoints.restore()["step"], 20)

  def test_another_network_is_refused(self):
    model = tf.keras.Sequential([tf.keras.layers.Dense(3)], name="mine")
    model.build([None, 2])
    checkpoints.Checkpoints(self.folder, {"model": model}).save(5, {})
    wider = tf.keras.Sequential([tf.keras.layers.Dense(4)], name="wider")
    wider.build([None, 2])
    deeper = tf.keras.Sequential([tf.keras.layers.Dense(3), tf.keras.layers.Dense(3)])
    deeper.build([None, 2])
    place = checkpoints.newest(self.folder)
    for other, words in (
      (wider, r"also has .*bias \[3\] and 1 more and it lacks variables \[2, 4\] and 1"),
      (deeper, r"here: it lacks variables \[3\] and 1 more. Set --config.model.name"),
    ):
      with self.assertRaisesRegex(config_lib.UserError, words):
        checkpoints.restore_model(other, place, "wide")
    # What it holds besides is another network's, also where the rest would fit.
    checkpoints.Checkpoints(self.folder, {"model": deeper}).save(6, {})
    with self.assertRaisesRegex(config_lib.UserError, r"it also has .* \[3\] and 1 more"):
      checkpoints.restore_model(model, checkpoints.newest(self.folder), "mine")
    checkpoints.restore_model(model, place, "mine")
    renamed = tf.keras.Model()
    renamed.inner = model
    with self.assertRaisesRegex(config_lib.UserError, "its variables have other names"):
      checkpoints.restore_model(renamed, place, "renamed")

  def test_a_network_that_is_not_finite_is_not_saved(self):
    layer = tf.keras.layers.Dense(2)
    model = tf.keras.Sequential([tf.keras.Input([3]), layer])
    stage = checkpoints.Checkpoints(self.folder, {"model": model})
    stage.save(10, {})
    layer.bias.assign([0.0, float("nan")])
    with self.assertRaisesRegex(config_lib.UserError, "bias.* not finite at step 20"):
      stage.save(20, {})
    self.assertEqual(checkpoints.steps(self.folder), [10])
