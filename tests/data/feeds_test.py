"""Scenes as batches: crops, mirrors and light as functions of seed and step."""

import concurrent.futures
import dataclasses
import threading

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import feeds, pairs
from tfdam.data import scenes as scenes_lib


def coordinates(count=20, height=16, width=24):
  """Scenes whose red is the row, green the column; the label is both, folded together."""
  rows, columns = np.mgrid[:height, :width]
  image = np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8)
  label = ((rows + columns) % 3).astype(np.uint8)
  return scenes_lib.Scenes(
    [str(i) for i in range(count)], lambda i: image, lambda i: label, ("a", "b", "c"), {}
  )


def config(**overrides):
  return synthetic.scenes_config(data__height=16, data__width=24, **overrides)


def labelled(scenes, options, start=0, count=3, **more):
  batches = pairs.labelled_batches(scenes, options, start, **more).take(count)
  return [{name: value.numpy() for name, value in batch.items()} for batch in batches]


class FeedsTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_crops_and_mirrors_move_image_and_label_together(self, flip):
    options = config(data__crop_height=8, data__crop_width=10, data__flip=flip)
    for batch in labelled(coordinates(), options):
      self.assertEqual(batch["image"].shape, (4, 8, 10, 3))
      place = np.rint(255 * batch["image"]).astype(int)
      np.testing.assert_array_equal(
        (place[..., 0] + place[..., 1]) % 3, batch["label"].astype(int)
      )

  def test_crops_come_from_everywhere_and_half_are_mirrored(self):
    options = config(
      data__crop_height=8, data__crop_width=10, data__flip=True,
      source__global_batch_size=20,
    )  # fmt: skip
    images = np.concatenate(
      [b["image"] for b in labelled(coordinates(), options, count=20)]
    )
    place = np.rint(255 * images).astype(int)
    self.assertEqual(set(place[:, 0, 0, 0]), set(range(16 - 8 + 1)))
    leftmost = np.minimum(place[:, 0, 0, 1], place[:, 0, -1, 1])
    self.assertEqual(set(leftmost), set(range(24 - 10 + 1)))
    # 400 fair coins: five standard deviations are 0.125.
    self.assertNear(np.mean(place[:, 0, 0, 1] > place[:, 0, -1, 1]), 0.5, 0.125)

  def test_whole_images_come_through_untouched(self):
    image = coordinates().read_image(0)
    for batch in labelled(coordinates(), config()):
      for found in batch["image"]:
        self.assertAllClose(found, image / 255.0, atol=1e-7)

  def test_a_step_is_the_same_wherever_one_starts_and_however_it_is_shared(self):
    options = config(
      data__crop_height=8, data__crop_width=12, data__flip=True, source__augment=True,
      augment__brightness=0.2, augment__contrast=0.3, augment__saturation=0.3,
    )  # fmt: skip
    scenes = synthetic.scenes(30, 16, 24)
    (whole,) = labelled(scenes, options, start=7, count=1, num_noise=5)
    again = labelled(scenes, options, start=5, count=3, num_noise=5)[2]
    shares = [
      labelled(scenes, options, 7, 1, num_noise=5, share=pairs.Share(i, 2))[0]
      for i in range(2)
    ]
    for name in ("image", "label", "noise"):
      np.testing.assert_array_equal(whole[name], again[name])
      np.testing.assert_array_equal(
        whole[name], np.concatenate([share[name] for share in shares])
      )
    self.assertGreaterEqual(whole["noise"].min(), 0.0)
    self.assertLess(whole["noise"].max(), 1.0)

  def test_changes_leave_images_in_range_and_labels_among_the_classes(self):
    options = config(
      source__augment=True, augment__scale=0.5, augment__rotation=20.0,
      augment__brightness=0.5, augment__contrast=0.9,
    )  # fmt: skip
    for batch in labelled(synthetic.scenes(8, 16, 24), options):
      self.assertAllInRange(batch["image"], 0.0, 1.0)
      self.assertLessEqual(set(np.unique(batch["label"])), {0, 1, 2, scenes_lib.IGNORED})

  def test_domains_see_different_views_and_the_target_no_labels(self):
    options = config(data__crop_height=8, data__crop_width=8)
    target = coordinates().without_labels()
    batch = next(iter(pairs.domain_batches(coordinates(), target, options)))
    self.assertCountEqual(batch, ["source", "target"])
    self.assertNotAllEqual(batch["source"], batch["target"])

  def test_a_damaged_file_is_named_by_its_own_error(self):
    def broken(i):
      raise config_lib.UserError(f"image {i} is cut short")

    scenes = dataclasses.replace(coordinates(), read_image=broken)
    with pytest.raises(config_lib.UserError, match="image .* is cut short"):
      with feeds.failures_explained():
        labelled(scenes, config())

  def test_other_failures_of_tensorflow_pass_through(self):
    with pytest.raises(tf.errors.InvalidArgumentError), feeds.failures_explained():
      tf.debugging.assert_equal(1, 2)

  def test_each_of_two_feeds_in_one_process_ends_in_its_own_error(self):
    both_read = threading.Barrier(2, timeout=60)

    def end_of(read_image):
      scenes = dataclasses.replace(coordinates(), read_image=read_image)
      try:
        with feeds.failures_explained():
          iterator = iter(pairs.labelled_batches(scenes, config()))
          both_read.wait()
          try:
            next(iterator)
          finally:
            both_read.wait()
          tf.debugging.assert_equal(1, 2)
      except (config_lib.UserError, tf.errors.OpError) as error:
        return error

    def cut(name):
      def read(i):
        raise config_lib.UserError(f"{name} is cut short")

      return read

    whole = coordinates().read_image
    for one, other in ((cut("a"), cut("b")), (cut("a"), whole)):
      with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(end_of, (one, other)))
      self.assertIsInstance(ends[0], config_lib.UserError)
      self.assertEqual(str(ends[0]), "a is cut short")
    self.assertIsInstance(ends[1], tf.errors.InvalidArgumentError)

  def test_a_batch_that_nobody_waited_for_is_not_blamed(self):
    def broken(i):
      raise config_lib.UserError("read ahead")

    scenes = dataclasses.replace(coordinates(), read_image=broken)

    def fail_otherwise():
      iterator = iter(pairs.labelled_batches(scenes, config()))
      with self.assertRaises(tf.errors.OpError):
        next(iterator)
      tf.debugging.assert_equal(1, 2)

    with pytest.raises(tf.errors.InvalidArgumentError), feeds.failures_explained():
      fail_otherwise()

  def test_no_thread_outlives_its_batch(self):
    for _ in range(3):
      for images in pairs.ordered_batches(coordinates(), 8, config().data):
        self.assertLen(images.shape, 4)
    left = [t.name for t in threading.enumerate() if t.name.startswith("scenes")]
    self.assertEqual(left, [])
