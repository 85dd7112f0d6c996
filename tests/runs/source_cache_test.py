"""Source networks that runs share."""

import errno
import os
import shutil
import threading
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from tests import in_process, synthetic
from tfdam.runs import checkpoints, source_cache


def key(**fields):
  return source_cache.key(synthetic.small_config(**fields), {"file": "md5"}, 9, ["CPU:0"])


class SourceCacheTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.root = synthetic.write_all(os.path.join(self.folder, "data"))
    self.cache = os.path.join(self.folder, "cache")

  def execute(self, name, **fields):
    config = synthetic.small_config(
      **{"source__cache": self.cache, "source__steps": 10, "adapt__steps": 5, **fields}
    )
    path = os.path.join(self.folder, name)
    in_process.execute(config, self.root, path)
    return path

  def entries(self):
    names = os.listdir(os.path.join(self.cache, "source"))
    return [name for name in names if not name.endswith(".lock")]

  def assert_trained_alike(self, one, other):
    for stage in os.listdir(os.path.join(one, "checkpoints")):
      first, second = in_process.weights(one, stage), in_process.weights(other, stage)
      for name in first:
        self.assertAllEqual(first[name], second[name])

  def test_a_second_method_takes_the_source_and_ends_with_the_same_bits(self):
    first = self.execute("first")
    with self.assertLogs(level="INFO") as logs:
      second = self.execute("second", adapt__gan_weight=0.2)
    self.assertTrue(any("taken from" in line for line in logs.output))
    self.assertLen(self.entries(), 1)
    one, two = (in_process.weights(path, "source_only") for path in (first, second))
    for name in one:
      self.assertAllEqual(one[name], two[name])
    self.assert_trained_alike(first, self.execute("third"))

  def test_another_training_has_another_entry(self):
    self.execute("first", adapt__steps=0, match__enabled=False)
    self.execute("second", adapt__steps=0, match__enabled=False, seed=1)
    self.assertLen(self.entries(), 2)

  @parameterized.parameters(
    {"seed": 1}, {"source__learning_rate": 2e-3}, {"model__name": "lenet_bn"},
    {"data__source": "svhn"}, {"source__augment": True},
  )  # fmt: skip
  def test_what_decides_weights_is_in_the_key(self, **fields):
    self.assertNotEqual(key(), key(**fields))

  def test_other_data_and_other_devices_are_in_the_key(self):
    config = synthetic.small_config()
    keys = {
      source_cache.key(config, {"file": digest}, count, devices)
      for digest in ("one", "two")
      for count in (9, 8)  # damaged ones may be left out
      for devices in (["CPU:0"], ["CPU:0", "CPU:1"])
    }
    self.assertLen(keys, 8)

  def test_what_decides_no_weight_is_in_no_key(self):
    self.assertEqual(key(), key(data__cache_mb=1, data__require_canonical=True))
    self.assertEqual(key(), key(adapt__gan_weight=0.2, adapt__steps=3))
    self.assertNotEqual(key(), key(data__source_limit=5))

  def test_a_source_in_the_targets_look_is_shared_with_its_like_alone(self):
    fields = {
      "data__channels": 1, "source__steps": 2, "adapt__steps": 0, "match__enabled": False,
      "data__source_style": "fourier", "data__fourier_share": 0.1,
    }  # fmt: skip
    unlike = (
      {}, {"data__fourier_share": 0.2}, {"data__target": "svhn"},
      {"data__target_limit": 100}, {"data__target_skew": "odd"},
      {"data__source_style": "lab", "data__fourier_share": 0.01},
      {"data__source_style": "none", "data__fourier_share": 0.01},
    )  # fmt: skip
    for i, changed in enumerate(unlike):
      self.execute(str(i), **{**fields, **changed})
      self.assertLen(self.entries(), i + 1)
    with self.assertLogs(level="INFO") as logs:
      again = self.execute("again", **fields, adapt__gan_weight=0.2)
    self.assertTrue(any("taken from" in line for line in logs.output))
    self.assert_trained_alike(os.path.join(self.folder, "0"), again)
    self.assertLen(self.entries(), len(unlike))

  def test_a_file_of_weights_counts_by_its_content(self):
    """And by its path from where the user stands, as Bazel starts programs elsewhere."""

    here = {"BUILD_WORKING_DIRECTORY": self.folder}
    for name, content in (("a.h5", b"one"), ("b.h5", b"one"), ("c.h5", b"two")):
      with open(os.path.join(self.folder, name), "wb") as file:
        file.write(content)
    with mock.patch.dict(os.environ, here):
      self.assertEqual(key(model__weights="a.h5"), key(model__weights="b.h5"))
      self.assertNotEqual(key(model__weights="a.h5"), key(model__weights="c.h5"))

  def test_off_shares_nothing(self):
    self.execute("first", adapt__steps=0, source__cache="off")
    self.assertFalse(os.path.exists(self.cache))

  def test_a_damaged_entry_is_trained_again(self):
    first = self.execute("first", adapt__steps=0)
    place = os.path.join(self.cache, "source", self.entries()[0])
    os.remove(os.path.join(place, "state.index"))
    os.makedirs(f"{place}.4711.partial")  # left by a run that was killed
    second = self.execute("second", adapt__steps=0)
    self.assert_trained_alike(first, second)
    self.assertLen(self.entries(), 1)
    self.assertIsNone(checkpoints.find_damage(place))

  def test_whatever_stands_in_an_entry_no_run_ends_on_it(self):
    stage = os.path.join(self.folder, "stage")
    checkpoints.Checkpoints(stage, {"x": tf.Variable(7.0)}).save(10, {"total": 10})
    whole = os.path.join(stage, "00000010")
    cache, taken = os.path.join(self.cache, "source"), os.path.join(self.folder, "taken")
    place = os.path.join(cache, "key")
    info = os.path.join(place, "checkpoint.json")
    refused = PermissionError(errno.EACCES, "Permission denied")
    for content in ("", "[" * 100_000, '{"step": [], "sha256": {}}', os.mkfifo):
      shutil.copytree(whole, place)
      os.remove(info)
      if callable(content):
        content(info)
      else:
        with open(info, "w") as file:
          file.write(content)
      with source_cache.shared(cache, "key", taken):
        self.assertFalse(os.path.exists(taken))
        self.assertFalse(os.path.exists(place))
    shutil.copytree(whole, place)
    with mock.patch.object(checkpoints, "find_damage", side_effect=refused):
      with source_cache.shared(cache, "key", taken):
        self.assertFalse(os.path.exists(taken))
    self.assertTrue(os.path.exists(place))  # another user's
    with source_cache.shared(cache, "key", taken):
      self.assertEqual(checkpoints.steps(taken), [10])

  def test_an_unwritable_cache_is_left_alone(self):
    with open(self.cache, "w"):
      pass  # a file where the folder should be
    self.assertTrue(os.path.isdir(self.execute("first", adapt__steps=0)))

  def test_of_two_that_start_at_once_the_second_waits_and_takes(self):
    cache, name = os.path.join(self.cache, "source"), "key"
    os.makedirs(cache)
    stages = [os.path.join(self.folder, n, "source_only") for n in ("one", "two")]
    variable = tf.Variable(7.0)
    inside, done = threading.Event(), threading.Event()
    order = []

    def second():
      inside.wait()
      with source_cache.shared(cache, name, stages[1]):
        order.append("second")
      done.set()

    thread = threading.Thread(target=second)
    thread.start()
    with source_cache.shared(cache, name, stages[0]):
      inside.set()
      self.assertFalse(done.wait(timeout=0.5), "the second did not wait")
      order.append("first")
      checkpoints.Checkpoints(stages[0], {"v": variable}).save(4, {"total": 4})
    thread.join(timeout=600)
    self.assertEqual(order, ["first", "second"])
    self.assertEqual(checkpoints.steps(stages[1]), [4])

  def test_what_was_begun_under_another_key_is_not_shared(self):
    """Code or devices may have changed since."""
    cache = os.path.join(self.cache, "source")
    stage = os.path.join(self.folder, "stage")
    saver = checkpoints.Checkpoints(stage, {"v": tf.Variable(1.0)})
    with source_cache.shared(cache, "old", stage):
      saver.save(2, {"total": 4})
    with source_cache.shared(cache, "new", stage):
      saver.save(4, {"total": 4})
    self.assertEqual(self.entries(), [])

  def test_an_unfinished_training_is_not_shared(self):
    cache = os.path.join(self.cache, "source")
    stage = os.path.join(self.folder, "stage")
    with source_cache.shared(cache, "key", stage):
      checkpoints.Checkpoints(stage, {"v": tf.Variable(1.0)}).save(2, {"total": 4})
    self.assertEqual(self.entries(), [])
