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
  with pytest.raises(config_lib.UserError, match=r"02_00_000\.png has one channel"):
    carla.load(folder, "train", True, OPTIONS)


# The ids of street_folders.NAMES since 0.9.10 and since 0.9.14.
IDS_0_9_10 = (7, 8, 1, 11, 2, 5, 18, 12, 9, 22, 13, 4, 4, 10, 10, 10, 10, 10, 10)
IDS_0_9_14 = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)


def renumbered(folder, ids, count=2):
  """Writes labels anew with other ids, without a bonnet."""
  for i in range(count):
    _, drawn = street_folders.scene(400 + i, 60, 80)
    stored = np.zeros((60, 80, 3), np.uint8)
    stored[..., 0] = street_folders.native(drawn, ids)
    street_folders.save(stored, folder, "CameraSeg", f"02_00_{i:03d}.png")


@pytest.mark.parametrize(
  ("ids", "version", "road"),
  [(street_folders.CARLA_IDS, "0.8", 7), (IDS_0_9_10, "0.9.10", 7),
   (IDS_0_9_14, "0.9.14", 1)],
)  # fmt: skip
def test_a_numbering_is_recognised_and_said(tmp_path, ids, version, road):
  folder = street_folders.write_carla(tmp_path, count=2)
  renumbered(folder, ids)
  classes = "road,sidewalk,building,sign,vehicle=vehicle+car"
  scenes = carla.load(folder, "train", True, config_lib.Data(classes=classes))
  (note,) = scenes.notes
  assert f"ids of version {version}, recognised from 2 labels (road is {road};" in note
  assert "data.carla_version" in note
  _, drawn = street_folders.scene(400, 60, 80)
  label = scenes.read_label(0)
  for drawn_name in ("road", "sidewalk", "building", "car"):
    # From row 48 on, vehicles of the first version are the bonnet.
    where = (drawn == street_folders.NAMES.index(drawn_name))[:48]
    name = {"car": "vehicle"}.get(drawn_name, drawn_name)
    assert set(label[:48][where]) == {scenes.class_names.index(name)}
  chosen = config_lib.Data(classes=classes, carla_version=version)
  scenes = carla.load(folder, "train", True, chosen)
  assert not scenes.notes
  np.testing.assert_array_equal(scenes.read_label(0), label)


@pytest.mark.parametrize(
  ("below", "above", "said"),
  [
    (9, 9, "the ids 9, and .* 0 pixels have id 7, .* and 0 id 1"),
    (7, 24, "the ids 7, 24, and"),  # road of the old, an id of the new
    (128, 70, "the ids 70, 128, and .*'colours' if"),  # CityScapesPalette
  ],
)
def test_a_numbering_that_cannot_be_told_is_no_guess(tmp_path, below, above, said):
  folder = street_folders.write_carla(tmp_path, count=1)
  stored = np.full((60, 80, 3), below, np.uint8)
  stored[:20] = above
  street_folders.save(stored, folder, "CameraSeg", "02_00_000.png")
  with pytest.raises(config_lib.UserError, match=said) as caught:
    carla.load(folder, "train", True, OPTIONS)
  assert "Set data.carla_version=0.8|0.9.10|0.9.14" in str(caught.value)


def test_an_id_of_another_numbering_names_the_field(tmp_path):
  folder = street_folders.write_carla(tmp_path, count=1)
  renumbered(folder, IDS_0_9_14, count=1)
  options = config_lib.Data(classes=CLASSES, carla_version="0.8")
  scenes = carla.load(folder, "train", True, options)
  with pytest.raises(config_lib.UserError, match="0-12.*of CARLA 0.8 .*carla_version"):
    scenes.read_label(0)


def test_classes_that_a_numbering_lacks_are_refused_for_it(tmp_path):
  folder = street_folders.write_carla(tmp_path, count=1)
  options = config_lib.Data(classes="road,sky")
  with pytest.raises(config_lib.UserError, match="CARLA 0.8 has no class 'sky'"):
    carla.load(folder, "train", True, options)
  # Without labels nothing tells: another file may have it.
  assert len(carla.load(folder, "train", False, options)) == 1
  with pytest.raises(config_lib.UserError, match="CARLA has no class 'sheep'"):
    carla.load(folder, "train", False, config_lib.Data(classes="road,sheep"))


def test_a_label_that_is_skipped_takes_no_part(tmp_path):
  folder = street_folders.write_carla(tmp_path, count=3)
  with open(f"{folder}/CameraSeg/02_00_001.png", "wb") as file:
    file.write(b"no PNG")
  options = config_lib.Data(classes=CLASSES, on_bad_image="skip")
  (note,) = carla.load(folder, "train", True, options).notes
  assert "recognised from 2 labels" in note


def test_real_frames_hold_the_classes_and_no_bonnet():
  folder = f"{synthetic.real_data('carla')}/carla"
  scenes = carla.load(folder, "train", True, OPTIONS)
  assert "ids of version 0.8, recognised from 32 labels" in scenes.notes[0]
  assert len(scenes) == 50
  counts = scenes.label_counts(len(NAMES), max_images=10)
  assert (counts > 0).all()
  for i in (0, 25, 49):
    assert scenes.read_image(i).shape == (600, 800, 3)
    assert not (scenes.read_label(i)[480:] == NAMES.index("car")).any()
