"""Native ids and colours become the classes that a run's domains share, by name."""

import numpy as np
import pytest

from tfdam import config as config_lib
from tfdam.data import labels, scenes

NATIVE = {0: "sky", 1: "road", 2: "road line", 7: "car", 11: "void"}


def options(classes):
  return config_lib.Data(classes=classes, num_classes=0)


def test_ids_go_to_the_place_of_their_class_and_the_rest_is_ignored():
  table = labels.class_table(NATIVE, options("car,street=road+road line"), "toy")
  assert table.dtype == np.uint8
  assert len(table) == 256
  wanted = {0: 255, 1: 1, 2: 1, 7: 0, 11: 255}
  assert {i: int(table[i]) for i in NATIVE} == wanted
  assert set(table[[i for i in range(256) if i not in NATIVE]]) == {labels.UNKNOWN}
  ids = np.array([[1, 2], [7, 11]], np.uint8)
  found = labels.from_ids(ids, table, "a.png", "")
  np.testing.assert_array_equal(found, [[1, 1], [0, scenes.IGNORED]])
  assert found.dtype == np.uint8


def test_ids_above_255_have_their_place():
  table = labels.class_table({300: "sky", 26001: "car"}, options("car,sky"), "toy")
  ids = np.array([[300, 26001]], np.uint16)
  np.testing.assert_array_equal(labels.from_ids(ids, table, "a.png", ""), [[1, 0]])


def test_a_class_that_the_set_lacks_is_named_with_what_it_has():
  with pytest.raises(config_lib.UserError) as caught:
    labels.class_table(NATIVE, options("sky,road=raod+lane"), "toy")
  for part in ("toy has no class 'road'", "raod, lane", "car, road, road line, sky, void",
               "Did you mean 'road'", "data.classes"):  # fmt: skip
    assert part in str(caught.value)


def test_names_of_other_sets_are_no_mistake():
  table = labels.class_table(NATIVE, options("car=car+vehicle+automobile"), "toy")
  assert table[7] == 0


def test_no_classes_are_asked_for_with_what_the_set_has():
  with pytest.raises(config_lib.UserError, match=r"(?s)empty.*toy has: car, road.*classes"):
    labels.class_table(NATIVE, options(""), "toy")


def test_more_classes_than_a_label_map_holds():
  many = {i: f"c{i}" for i in range(300)}
  with pytest.raises(config_lib.UserError, match="300 classes; expected at most 254"):
    labels.class_table(many, options(",".join(many.values())), "toy")


@pytest.mark.parametrize(
  ("dtype", "bad"), [(np.uint8, 9), (np.uint16, 9), (np.uint16, 999)]
)
def test_an_unknown_id_is_named_with_file_and_pixel(dtype, bad):
  table = labels.class_table(NATIVE, options("car,sky"), "toy")
  ids = np.zeros((4, 5), dtype)
  ids[2, 3] = ids[3, 0] = bad
  with pytest.raises(config_lib.UserError) as caught:
    labels.from_ids(ids, table, "dir/a.png", "Mend it.")
  assert str(caught.value) == (
    f"dir/a.png: the pixel in row 2, column 3 has id {bad}; expected one of 0-2, 7, 11."
    " Mend it."
  )


def test_colours_go_the_same_way():
  table = labels.class_table({0: "sky", 1: "road", 2: "void"}, options("road,sky"), "toy")
  colours = {(70, 130, 180): 0, (128, 64, 128): 1, (0, 0, 0): 2}
  read = labels.ColourTable(colours, table)
  pixels = np.array([[*colours], [*colours]], np.uint8)
  np.testing.assert_array_equal(read(pixels, "a.png", ""), [[1, 0, 255]] * 2)


def test_an_unknown_colour_is_named_with_file_pixel_and_the_closest():
  table = labels.class_table({0: "sky", 1: "road"}, options("road,sky"), "toy")
  read = labels.ColourTable({(70, 130, 180): 0, (128, 64, 128): 1}, table)
  pixels = np.full((3, 4, 3), (70, 130, 180), np.uint8)
  pixels[1, 2] = (128, 64, 127)
  with pytest.raises(config_lib.UserError) as caught:
    read(pixels, "dir/a.png", "Mend it.")
  for part in ("dir/a.png", "row 1, column 2", "colour 128,64,127", "closest is 128,64,128",
               "Mend it."):  # fmt: skip
    assert part in str(caught.value)


def test_a_colour_is_not_mistaken_for_one_with_other_channels_swapped():
  """All three channels count, each with its own weight."""
  read = labels.ColourTable({(1, 2, 3): 0}, np.zeros(256, np.uint8))
  for swapped in ((3, 2, 1), (2, 1, 3), (1, 3, 2)):
    with pytest.raises(config_lib.UserError):
      read(np.full((1, 1, 3), swapped, np.uint8), "a.png", "")
