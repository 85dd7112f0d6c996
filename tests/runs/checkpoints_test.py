"""Checkpoints: whole or absent."""

import errno
import json
import os
import shutil
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from tfdam import config as config_lib
from tfdam import files
from tfdam.runs import checkpoints


class CheckpointsTest(tf.test.TestCase, parameterized.TestCase):
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

  @parameterized.parameters(
    (lambda info: {**info, "step": "20"}, "Expected `int`, got `str`"),
    (lambda info: {**info, "step": 19}, "is of step 19"),
    (lambda info: {**info, "seconds": []}, "Expected `float`, got `array`"),
    (lambda info: {**info, "total": None}, "Expected `int`, got `null`"),
    (lambda info: {"step": 20}, "missing required field `sha256`"),
    (lambda info: {**info, "sha256": [1]}, "Expected `object`, got `array`"),
    (lambda info: {**info, "sha256": {}}, "names no state.index"),
    (lambda info: {**info, "sha256": {**info["sha256"], "a\0\ud800": ""}}, "is missing"),
    (lambda info: None, "Expected `object`, got `null`"),
  )
  def test_what_its_info_cannot_say_is_noticed(self, change, said):
    self.save(10, 20)
    path = os.path.join(self.folder, "00000020", "checkpoint.json")
    info = change(json.load(open(path)))
    with open(path, "w") as file:
      json.dump(info, file)
    with self.assertLogs(level="WARNING") as logged:
      self.assertEqual(self.checkpoints.restore()["step"], 10)
    self.assertIn(said, logged.output[0])

  @parameterized.parameters(
    b"",
    b"{",
    b"\xff",
    b"[" * 100_000,
    b'{"step": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
  )
  def test_an_info_that_is_no_json_is_noticed(self, content):
    self.save(10, 20)
    with open(os.path.join(self.folder, "00000020", "checkpoint.json"), "wb") as file:
      file.write(content)
    self.assertEqual(self.checkpoints.restore()["step"], 10)

  @parameterized.parameters("checkpoint.json", "state.index", "")
  def test_what_stands_in_its_place_is_noticed_and_gives_way(self, name):
    self.save(10)
    place = os.path.join(self.folder, "00000020", name).rstrip("/")
    for make in (os.mkdir, os.mkfifo, lambda path: os.symlink(path, path)):
      self.save(20)
      (shutil.rmtree if os.path.isdir(place) else os.remove)(place)
      make(place)
      self.assertEqual(self.checkpoints.restore()["step"], 10)
    self.save(20)
    self.assertEqual(self.checkpoints.restore()["step"], 20)

  def test_what_may_not_be_read_is_not_taken_for_damaged(self):
    self.save(10, 20)
    refused = PermissionError(errno.EACCES, "Permission denied", "x")
    with mock.patch.object(files, "digest", side_effect=refused):
      with self.assertRaises(PermissionError):
        self.checkpoints.restore()
    with mock.patch.object(os, "listdir", side_effect=refused):
      with self.assertRaisesRegex(config_lib.UserError, "stage cannot be listed"):
        self.checkpoints.restore()

  def test_a_save_that_fails_leaves_nothing_and_what_was_there(self):
    self.save(10)
    full = OSError(errno.ENOSPC, "No space left on device")
    for owner, name in ((tf.train.Checkpoint, "write"), (checkpoints, "_write_info")):
      with mock.patch.object(owner, name, side_effect=full):
        with self.assertRaises(OSError):
          self.save(20)
      self.assertEqual(os.listdir(self.folder), ["00000010"])
    self.assertEqual(self.checkpoints.restore()["step"], 10)

  def test_one_of_another_run_is_refused(self):
    self.save(10)
    other = checkpoints.Checkpoints(
      self.folder, {"value": self.value, "more": tf.Variable(1.0)}
    )
    with self.assertRaisesRegex(config_lib.UserError, "does not hold what this run trains"):
      other.restore()

  def test_damage_that_its_digests_do_not_show_is_told(self):
    model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
    model.build([None, 2])
    stage = checkpoints.Checkpoints(self.folder, {"model": model})
    stage.save(5, {})
    place = checkpoints.newest(self.folder)
    index = os.path.join(place, "state.index")
    whole = open(index, "rb").read()
    for content in (b"", whole[: len(whole) // 2], whole[:-60] + b"x" * 60):
      with open(index, "wb") as file:
        file.write(content)
      info = checkpoints.read_info(place)
      digests = {**info["sha256"], "state.index": files.digest(index)}
      checkpoints._write_info(place, {**info, "sha256": digests})
      for read in (
        stage.restore,
        lambda: checkpoints.restore_model(model, place, "dense"),
      ):
        with self.assertRaisesRegex(config_lib.UserError, "does not hold"):
          read()

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
      (deeper, r"here: it lacks variables \[3\] and 1 more. Set model.name"),
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
