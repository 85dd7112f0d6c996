"""GTA5: palettes, ids and colours give the same labels; its splits."""

import os

import numpy as np
import pytest
import scipy.io

from tests import street_folders
from tfdam import config as config_lib
from tfdam.data import gta5

OPTIONS = config_lib.Data(classes=",".join(street_folders.NAMES), num_classes=0)


@pytest.mark.parametrize("labels", ["palette", "ids", "colours"])
def test_all_19_classes_are_read_from_each_kind_of_label(tmp_path, labels):
  folder = street_folders.write_gta5(tmp_path, count=3, labels=labels)
  scenes = gta5.load(folder, "train", True, OPTIONS)
  assert scenes.class_names == street_folders.NAMES
  for i in range(3):
    image, label = street_folders.scene(i + 1)
    np.testing.assert_array_equal(scenes.read_image(i), image)
    np.testing.assert_array_equal(scenes.read_label(i), label)
  assert scenes.names[0].endswith("images/00001.png")
  assert "not the official set but 3 images of 24,966" in scenes.notes[0]


def test_a_palette_that_a_tool_has_sorted_anew_is_read_by_its_colours(tmp_path):
  folder = street_folders.write_gta5(tmp_path, count=1)
  _, label = street_folders.scene(1)
  colours = np.array([*street_folders.CLASSES.values()])
  order = np.random.RandomState(0).permutation(19)
  stored = np.argsort(order)[label].astype(np.uint8)
  path = street_folders.save(stored, folder, "labels/00001.png", palette=colours[order])
  scenes = gta5.load(folder, "train", True, OPTIONS)
  np.testing.assert_array_equal(scenes.read_label(0), label, err_msg=path)


def test_a_grey_palette_holds_ids(tmp_path):
  folder = street_folders.write_gta5(tmp_path, count=1)
  _, label = street_folders.scene(1)
  stored = street_folders.native(label, street_folders.CITYSCAPES_IDS)
  greys = np.arange(256).repeat(3).reshape(-1, 3)
  street_folders.save(stored, folder, "labels/00001.png", palette=greys)
  scenes = gta5.load(folder, "train", True, OPTIONS)
  np.testing.assert_array_equal(scenes.read_label(0), label)


def test_licence_plates_are_told_from_cars_where_the_file_tells(tmp_path):
  """By index 34 they are void; by colour they are part of the car."""
  folder = street_folders.write_gta5(tmp_path, count=2)
  stored = np.full((48, 96), 26, np.uint8)
  stored[20:22] = 34
  palette = np.zeros((256, 3), np.uint8)
  palette[[26, 34]] = street_folders.CLASSES["car"]
  street_folders.save(stored, folder, "labels/00001.png", palette=palette)
  street_folders.save(palette[stored], folder, "labels/00002.png")
  scenes = gta5.load(folder, "train", True, OPTIONS)
  car = street_folders.NAMES.index("car")
  assert set(scenes.read_label(0)[20]) == {255}
  assert set(scenes.read_label(0)[0]) == set(scenes.read_label(1)[20]) == {car}


def test_an_unknown_colour_or_id_is_named_with_its_file(tmp_path):
  folder = street_folders.write_gta5(tmp_path, count=2, labels="colours")
  pixels = np.full((48, 96, 3), (128, 64, 128), np.uint8)
  pixels[5, 6] = (1, 2, 3)
  street_folders.save(pixels, folder, "labels/00001.png")
  street_folders.save(np.full((48, 96), 77, np.uint8), folder, "labels/00002.png")
  scenes = gta5.load(folder, "train", True, OPTIONS)
  with pytest.raises(config_lib.UserError, match=r"00001\.png.*row 5, column 6.*1,2,3"):
    scenes.read_label(0)
  with pytest.raises(config_lib.UserError, match=r"00002\.png.*row 0, column 0 has id 77"):
    scenes.read_label(1)


def test_a_label_of_nearly_the_same_shape_is_resized_and_counted(tmp_path):
  folder = street_folders.write_gta5(tmp_path, count=2, labels="ids")
  halves = np.full((47, 95), 7, np.uint8)
  halves[:, :48] = 23
  street_folders.save(halves, folder, "labels", "00002.png")
  scenes = gta5.load(folder, "train", True, OPTIONS)
  label = scenes.read_label(1)
  assert label.shape == (48, 96)
  sky, road = (street_folders.NAMES.index(name) for name in ("sky", "road"))
  assert set(label[:, 0]) == {sky}
  assert set(label[:, -1]) == {road}
  assert np.mean(label == sky) == pytest.approx(48 / 95, abs=1 / 96)  # a column
  assert "1 of 2 labels have another size" in scenes.notes[-1]
  assert "00002.png" in scenes.notes[-1]


def test_a_label_of_another_shape_is_refused(tmp_path):
  folder = street_folders.write_gta5(tmp_path, count=2)
  street_folders.save(np.zeros((96, 48), np.uint8), folder, "labels", "00002.png")
  with pytest.raises(config_lib.UserError, match="00002.png is 48 x 96.*is 96 x 48"):
    gta5.load(folder, "train", True, OPTIONS)


def test_without_split_mat_all_images_train_and_test_says_so(tmp_path):
  folder = street_folders.write_gta5(tmp_path, count=20)
  assert len(gta5.load(folder, "train", True, OPTIONS)) == 20
  test = gta5.load(folder, "test", True, OPTIONS)
  assert [os.path.basename(name) for name in test.names] == ["00019.png", "00020.png"]
  assert "no held-out score" in test.notes[-1]


def write_split(folder, train, test):
  column = {"trainIds": train, "valIds": [1], "testIds": test}
  values = {name: np.array(ids)[:, np.newaxis] for name, ids in column.items()}
  scipy.io.savemat(os.path.join(folder, "split.mat"), values)


def test_split_mat_gives_the_official_splits(tmp_path):
  folder = street_folders.write_gta5(tmp_path)
  write_split(folder, train=[4, 2, 6], test=[3])
  train = gta5.load(folder, "train", True, OPTIONS)
  test = gta5.load(folder, "test", True, OPTIONS)
  assert [name[-9:-4] for name in train.names] == ["00002", "00004", "00006"]
  assert [name[-9:-4] for name in test.names] == ["00003"]
  assert "3 images of 12,403" in train.notes[0]
  assert "trainIds" in train.notes[1]
  np.testing.assert_array_equal(test.read_label(0), street_folders.scene(3)[1])


def test_split_mat_with_absent_images_or_no_splits_is_named(tmp_path):
  folder = street_folders.write_gta5(tmp_path)
  write_split(folder, train=[4, 777], test=[3])
  with pytest.raises(config_lib.UserError, match=r"split\.mat lists 1 train.*00777\.png"):
    gta5.load(folder, "train", True, OPTIONS)
  scipy.io.savemat(os.path.join(folder, "split.mat"), {"other": [1]})
  with pytest.raises(config_lib.UserError, match=r"split\.mat cannot be read.*trainIds"):
    gta5.load(folder, "train", True, OPTIONS)


def test_the_official_set_can_be_required(tmp_path):
  folder = street_folders.write_gta5(tmp_path)
  options = config_lib.Data(classes="road", num_classes=0, require_canonical=True)
  with pytest.raises(config_lib.UserError, match="6 images of 24,966.*require_canonical"):
    gta5.load(folder, "train", True, options)
