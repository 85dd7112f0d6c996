"""CARLA: the id is the red channel; the bonnet is ignored."""

import numpy as np
import pytest

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam.data import carla

CLASSES = (
  "building,pole,road=road+road line,pavement=sidewalk,tree=vegetation,sign,fence,"
  "car=vehicle"
)
OPTIONS = config_lib.Data(classes=CLASSES, num_classes=0)
NAMES = tuple(config_lib.parse_classes(CLASSES))


def test_the_red_channel_becomes_the_classes(tmp_path):
  folder = street_folders.write_carla(tmp_path, count=2)
  scenes = carla.load(folder, "train", True, OPTIONS)
  _, drawn = street_folders.scene(400, 60, 80)
  label = scenes.read_label(0)
  for drawn_name, name in (("road", "road"), ("vegetation", "tree"), ("pole", "pole"),
                           ("traffic sign", "sign"), ("car", "car")):  # fmt: skip
    where = drawn == street_folders.NAMES.index(drawn_name)
    where[48:] = False
    assert where.any()
    assert set(label[where]) == {NAMES.index(name)}
  assert set(label[drawn == street_folders.NAMES.index("sky")]) == {255}


def test_vehicles_from_row_480_of_600_downwards_are_the_bonnet(tmp_path):
  folder = street_folders.write_carla(tmp_path, count=1)
  stored = np.zeros((60, 80, 3), np.uint8)
  stored[..., 0] = 7
  stored[40:56, 10:20, 0] = 10
  street_folders.save(stored, folder, "CameraSeg", "02_00_000.png")
  label = carla.load(folder, "train", True, OPTIONS).read_label(0)
  road, car = NAMES.index("road"), NAMES.index("car")
  np.testing.assert_array_equal(
    label[:, 15], [road] * 40 + [car] * 8 + [255] * 8 + [road] * 4
  )


def test_test_is_the_last_fifth_and_says_so(tmp_path):
  folder = street_folders.write_carla(tmp_path, count=10)
  assert len(carla.load(folder, "train", True, OPTIONS)) == 10
  test = carla.load(folder, "test", True, OPTIONS)
  assert [name[-7:] for name in test.names] == ["008.png", "009.png"]
  assert "no held-out score" in test.notes[0]


def test_a_grey_label_is_refused(tmp_path):
  folder = street_folders.write_carla(tmp_path, count=1)
  street_folders.save(np.zeros((60, 80), np.uint8), folder, "CameraSeg", "02_00_000.png")
  scenes = carla.load(folder, "train", True, OPTIONS)
  with pytest.raises(config_lib.UserError, match=r"02_00_000\.png has one channel"):
    scenes.read_label(0)


def test_real_frames_hold_the_classes_and_no_bonnet():
  folder = f"{synthetic.real_data('carla')}/carla"
  scenes = carla.load(folder, "train", True, OPTIONS)
  assert len(scenes) == 50
  counts = scenes.label_counts(len(NAMES), max_images=10)
  assert (counts > 0).all()
  for i in (0, 25, 49):
    assert scenes.read_image(i).shape == (600, 800, 3)
    assert not (scenes.read_label(i)[480:] == NAMES.index("car")).any()
