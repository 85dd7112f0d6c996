"""Scenes: what a run makes of a split of images and label maps."""

import numpy as np

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import scenes as scenes_lib

OPTIONS = config_lib.Data(height=16, width=20, classes="sky,ground,box", num_classes=3)


def test_scenes_are_resized_with_labels_that_stay_labels():
  scenes = scenes_lib.at_size(synthetic.scenes(3, 32, 40), OPTIONS)
  assert scenes.read_image(1).shape == (16, 20, 3)
  label = scenes.read_label(1)
  assert label.shape == (16, 20)
  assert set(np.unique(label)) <= {0, 1, 2, scenes_lib.IGNORED}


def test_labels_to_score_on_keep_their_size():
  scenes = scenes_lib.at_size(synthetic.scenes(3, 32, 40), OPTIONS, labels_too=False)
  assert scenes.read_image(0).shape == (16, 20, 3)
  assert scenes.read_label(0).shape == (32, 40)


def test_what_fits_is_read_once_and_what_does_not_every_time():
  counts = {"kept": 0, "read again": 0}
  drawn = synthetic.scenes(3, 32, 40)

  def counted(name):
    def read(i):
      counts[name] += 1
      return drawn.read_image(i)

    return read

  for name, limit in (("kept", 1), ("read again", 0)):
    options = config_lib.Data(height=16, width=20, cache_mb=limit)
    scenes = scenes_lib.Scenes(drawn.names, counted(name), None, (), {})
    scenes = scenes_lib.at_size(scenes, options)
    first, _, again = (scenes.read_image(i) for i in (0, 1, 0))
    np.testing.assert_array_equal(first, again)
  assert counts == {"kept": 2, "read again": 3}


def test_labels_at_their_own_size_are_kept_as_far_as_they_fit():
  reads = []
  drawn = synthetic.scenes(3, 1024, 1024)  # a label map is 1 MiB

  def read(i):
    reads.append(i)
    return drawn.read_label(i)

  scenes = scenes_lib.Scenes(drawn.names, drawn.read_image, read, (), {})
  options = config_lib.Data(height=16, width=20, cache_mb=2)
  scored = scenes_lib.at_size(scenes, options, labels_too=False)
  for i in (0, 1, 2, 0, 1, 2):
    np.testing.assert_array_equal(scored.read_label(i), drawn.read_label(i))
  # The images take a part of the two MiB: one map fits into what is left.
  assert reads == [0, 1, 2, 1, 2]


def test_a_choice_of_scenes_keeps_image_and_label_together():
  drawn = synthetic.scenes(6)
  chosen = drawn.take(np.array([4, 1])).take([1])
  assert chosen.names == ["scene 1"]
  np.testing.assert_array_equal(chosen.read_image(0), drawn.read_image(1))
  np.testing.assert_array_equal(chosen.read_label(0), drawn.read_label(1))


def test_without_labels_none_can_be_read():
  scenes = synthetic.scenes(2).without_labels()
  assert not scenes.has_labels
  assert scenes.label_counts(3) is None


def test_pixels_are_counted_by_class_without_ignored_ones():
  drawn = synthetic.scenes(4, 32, 48)
  every = np.concatenate([drawn.read_label(i).ravel() for i in range(4)])
  expected = [np.count_nonzero(every == k) for k in range(3)]
  np.testing.assert_array_equal(drawn.label_counts(3), expected)
  # Two of four, evenly spread: the first and the last.
  some = np.concatenate([drawn.read_label(i).ravel() for i in (0, 3)])
  expected = [np.count_nonzero(some == k) for k in range(3)]
  np.testing.assert_array_equal(drawn.label_counts(3, max_images=2), expected)
