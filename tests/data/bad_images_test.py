"""Scenes that cannot be decoded, left out before anything is trained."""

import dataclasses

import numpy as np
import pytest

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import bad_images, image_files


def damaged(count, at, what="image"):
  """Drawn scenes, some of whose images or labels cannot be read."""
  scenes = synthetic.scenes(count, 8, 8)
  good = getattr(scenes, f"read_{what}")

  def read(i):
    if i in at:
      raise image_files.BadImage(f"scene {i} is cut short")
    return good(i)

  return dataclasses.replace(scenes, **{f"read_{what}": read})


@pytest.mark.parametrize("what", ["image", "label"])
def test_a_scene_with_a_damaged_file_is_left_out_and_said(what):
  kept = bad_images.left_out(damaged(5, {3}, what), "camvid/train")
  assert kept.names == [f"scene {i}" for i in (0, 1, 2, 4)]
  assert kept.notes == ("camvid/train: 1 of 5 scenes skipped",)
  whole = synthetic.scenes(5, 8, 8)
  np.testing.assert_array_equal(kept.read_image(3), whole.read_image(4))
  np.testing.assert_array_equal(kept.read_label(3), whole.read_label(4))


def test_whole_sets_stay_as_they_are():
  scenes = synthetic.scenes(3, 8, 8)
  assert bad_images.left_out(scenes, "x") is scenes


def test_more_than_one_in_a_hundred_is_too_many():
  assert len(bad_images.left_out(damaged(200, {7, 9}), "x")) == 198
  with pytest.raises(config_lib.UserError, match="3 of 200 scenes of x .* scene 199"):
    bad_images.left_out(damaged(200, {7, 9, 199}), "x")


def test_other_mistakes_are_not_skipped():
  def read(i):
    raise config_lib.UserError("id 99 is not in the map")

  scenes = dataclasses.replace(synthetic.scenes(3, 8, 8), read_label=read)
  with pytest.raises(config_lib.UserError, match="id 99"):
    bad_images.left_out(scenes, "x")
