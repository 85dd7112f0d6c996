"""Activations that wait at a site, in memory and on disk."""

import glob
import os
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam.matching import waiting


def batches(count=6):
  return [tf.fill([2, 64, 64, 4], float(i)) for i in range(count)]  # 128 KiB each


def spilled():
  pattern = os.path.join(tempfile.gettempdir(), "tfdam-activations-*", "*.npz")
  return glob.glob(pattern)


class WaitingStatesTest(tf.test.TestCase, parameterized.TestCase):
  # All in memory, some, none.
  @parameterized.parameters((10, 0), (0, 6))
  def test_every_state_is_changed_once_a_pass_in_order(self, limit_mb, num_files):
    seen = []

    def change(state):
      seen.append(float(tf.reduce_max(state["output"])))
      return {"output": state["output"] + 10.0, "input": tf.cast(state["output"], "half")}

    with waiting.WaitingStates(batches(), limit_mb) as states:
      states.update(change)
      self.assertLen(spilled(), num_files)
      states.update(change)
      states.update(lambda state: seen.append(state["input"].dtype) or state)
    self.assertEqual(seen[:12], [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15])
    self.assertEqual(seen[12:], [tf.float16] * 6)
    self.assertEmpty(spilled())

  def test_what_is_beyond_the_bound_waits_on_disk_bit_for_bit(self):
    rng = np.random.RandomState(0)
    images = [tf.constant(rng.normal(size=(2, 64, 64, 4)), tf.float32) for _ in range(12)]

    def walk(limit_mb):
      found = []
      with waiting.WaitingStates(images, limit_mb) as states:
        for _ in range(3):
          states.update(lambda state: {"output": state["output"] * 1.1})
        states.update(lambda state: found.append(state["output"].numpy()) or state)
      return np.stack(found)

    np.testing.assert_array_equal(walk(0), walk(100))
    np.testing.assert_array_equal(walk(1), walk(100))  # 2 of 12 fit into 1 MiB

  def test_the_batch_in_work_has_its_part_of_the_budget(self):
    # 2 MiB: 0.8 of it less four states of 128 KiB leaves room for eight of twelve.
    with waiting.WaitingStates(batches(12), 2) as states:
      states.update(lambda state: state)
      self.assertLen(spilled(), 4)

  def test_bfloat16_survives_the_disk(self):
    value = tf.cast(tf.constant([[1.0, 1.0078125, 3.0e38]]), tf.bfloat16)
    with waiting.WaitingStates([value], 0) as states:
      states.update(lambda state: state)
      found = []
      states.update(lambda state: found.append(state["output"]) or state)
    self.assertEqual(found[0].dtype, tf.bfloat16)
    self.assertAllEqual(tf.cast(found[0], tf.float32), tf.cast(value, tf.float32))

  def test_images_are_read_one_by_one_at_the_first_pass(self):
    read = []

    def images():
      for i, batch in enumerate(batches(3)):
        read.append(i)
        yield batch

    with waiting.WaitingStates(images(), 10) as states:
      self.assertEmpty(read)
      states.update(lambda state: self.assertLen(read, int(state["output"][0, 0, 0, 0]) + 1)
                    or state)  # fmt: skip
