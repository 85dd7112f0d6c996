"""Colours of classes: customary where known, distinguishable everywhere."""

import numpy as np
import pytest

from tfdam.metrics import palette

_CAMVID = (
  "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
  "pedestrian", "bicyclist",
)  # fmt: skip
_CITYSCAPES = (
  "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light",
  "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus",
  "train", "motorcycle", "bicycle",
)  # fmt: skip


def closest(colours):
  """The smallest distance in CIELAB between two colours, black included."""
  points = palette.lab(np.concatenate([colours, [palette.IGNORED]]))
  distances = np.linalg.norm(points[:, None] - points, axis=-1)
  return distances[np.triu_indices(len(points), 1)].min()


def test_street_classes_have_the_colours_of_cityscapes():
  found = dict(zip(_CITYSCAPES, palette.colours(_CITYSCAPES).tolist()))
  assert found["road"] == [128, 64, 128]
  assert found["sky"] == [70, 130, 180]
  assert found["car"] == [0, 0, 142]
  assert found["person"] == [220, 20, 60]
  assert found["vegetation"] == [107, 142, 35]
  camvid = dict(zip(_CAMVID, palette.colours(_CAMVID).tolist()))
  for name, other in (("tree", "vegetation"), ("pedestrian", "person"), ("sky", "sky")):
    assert camvid[name] == found[other]


def test_spelling_of_a_known_name_does_not_matter():
  spelled = palette.colours(["Traffic_Sign", "traffic-light", " SKY "])
  np.testing.assert_array_equal(
    spelled, palette.colours(["traffic sign", "traffic light", "sky"])
  )


def test_unknown_classes_take_the_next_free_colour_by_position():
  alone = palette.colours(["cow", "barn", "silo"])
  np.testing.assert_array_equal(alone, palette.colours(["a", "b", "c"]))
  mixed = palette.colours(["cow", "road", "barn", "sky", "silo"])
  np.testing.assert_array_equal(mixed[[0, 2, 4]], alone)
  np.testing.assert_array_equal(palette.colours(["cow", "barn"]), alone[:2])


def test_a_free_colour_that_resembles_a_known_class_is_passed_over():
  """The third free colour is a red close to the rider's."""
  third = palette.colours(["a", "b", "c"])[2]
  assert closest(np.array([third, [255, 0, 0]])) < 20
  found = palette.colours(["a", "b", "c", "rider"])
  assert found[2].tolist() != third.tolist()
  assert closest(found) >= 20


def test_the_second_name_for_one_thing_takes_a_free_colour():
  found = palette.colours(["traffic sign", "sign"])
  assert found[0].tolist() == [220, 220, 0]
  assert found[1].tolist() == palette.colours(["a"])[0].tolist()


def test_32_unknown_classes_are_well_told_apart():
  """In CIELAB 2.3 is just noticeable; ten times that is told apart in a thin legend."""
  assert closest(palette.colours([str(i) for i in range(32)])) > 23


@pytest.mark.parametrize("count", [0, 1, 55, 255])
def test_no_two_classes_share_a_colour(count):
  names = [*_CITYSCAPES, *(str(i) for i in range(255))][:count]
  found = palette.colours(names)
  assert found.shape == (count, 3)
  assert found.dtype == np.uint8
  assert len({tuple(c) for c in found.tolist()} | {palette.IGNORED}) == count + 1


def test_lab_of_primaries():
  """Published values of sRGB under D65, to their printed digits."""
  expected = [[100, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18]]
  found = palette.lab([[255, 255, 255], [255, 0, 0], [0, 255, 0]])
  np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_a_label_map_is_painted_and_ignored_pixels_are_black(dtype):
  table = palette.colours(["road", "sky"])
  labels = np.array([[0, 1], [255, 2]]).astype(dtype)
  painted = palette.colourise(labels, table)
  assert painted.dtype == np.uint8
  assert painted.tolist() == [[[128, 64, 128], [70, 130, 180]], [[0, 0, 0], [0, 0, 0]]]
  if dtype == np.int64:
    assert palette.colourise(np.array([[-1]]), table).tolist() == [[[0, 0, 0]]]


def test_there_are_colours_for_any_number_of_classes():
  found = palette.colours([str(i) for i in range(1000)])
  assert found.shape == (1000, 3)
  assert len(np.unique(found[:500], axis=0)) == 500
