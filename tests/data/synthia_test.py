"""SYNTHIA: 16-bit labels whose first channel is the class."""

import os

import numpy as np
import pytest

from tests import street_folders
from tfdam import config as config_lib
from tfdam.data import synthia

CLASSES = ",".join(street_folders.NAMES).replace("person", "person=person+pedestrian")
OPTIONS = config_lib.Data(classes=CLASSES, num_classes=0)


def test_classes_are_read_from_the_first_of_16_bit_channels(tmp_path):
  folder = street_folders.write_synthia(tmp_path, count=3)
  scenes = synthia.load(folder, "train", True, OPTIONS)
  for i in range(3):
    image, label = street_folders.scene(100 + i)
    np.testing.assert_array_equal(scenes.read_image(i), image)
    np.testing.assert_array_equal(scenes.read_label(i), label)


def test_its_name_for_persons_must_be_given(tmp_path):
  folder = street_folders.write_synthia(tmp_path, count=1)
  options = config_lib.Data(classes="road,person", num_classes=0)
  with pytest.raises(config_lib.UserError, match=r"no class 'person'.*pedestrian"):
    synthia.load(folder, "train", True, options)


def test_void_and_what_is_not_chosen_are_ignored(tmp_path):
  folder = street_folders.write_synthia(tmp_path, count=1)
  stored = np.zeros((48, 96, 3), np.uint16)
  stored[:10, :, 0] = 3
  stored[10:20, :, 0] = 22
  path = os.path.join(folder, "GT", "LABELS", "0000000.png")
  street_folders.write_png(stored, path, depth=16)
  label = synthia.load(folder, "train", True, OPTIONS).read_label(0)
  assert [set(label[row]) for row in (0, 10, 20)] == [{0}, {255}, {255}]


@pytest.mark.parametrize("depth", [8, 16])
def test_labels_converted_to_one_channel_are_read(tmp_path, depth):
  folder = street_folders.write_synthia(tmp_path, count=1)
  _, label = street_folders.scene(100)
  stored = street_folders.native(label, street_folders.SYNTHIA_IDS)
  path = os.path.join(folder, "GT", "LABELS", "0000000.png")
  street_folders.write_png(stored, path, depth=depth)
  scenes = synthia.load(folder, "train", True, OPTIONS)
  np.testing.assert_array_equal(scenes.read_label(0), label)


def test_labels_cut_to_8_bits_are_refused(tmp_path):
  """A tool that knows 8 bits alone keeps the upper ones, which are zero."""
  folder = street_folders.write_synthia(tmp_path, count=1)
  path = os.path.join(folder, "GT", "LABELS", "0000000.png")
  street_folders.save(np.zeros((48, 96, 3), np.uint8), path)
  scenes = synthia.load(folder, "train", True, OPTIONS)
  with pytest.raises(config_lib.UserError, match=r"0000000\.png.*8 bits; expected 16"):
    scenes.read_label(0)


def test_an_id_above_8_bits_is_not_taken_for_its_lower_ones(tmp_path):
  folder = street_folders.write_synthia(tmp_path, count=1)
  stored = np.full((48, 96, 3), 3, np.uint16)
  stored[7, 8, 0] = 256 + 3
  path = os.path.join(folder, "GT", "LABELS", "0000000.png")
  street_folders.write_png(stored, path, depth=16)
  scenes = synthia.load(folder, "train", True, OPTIONS)
  with pytest.raises(config_lib.UserError, match=r"row 7, column 8 has id 259"):
    scenes.read_label(0)


def test_test_is_the_last_tenth_and_says_so(tmp_path):
  folder = street_folders.write_synthia(tmp_path, count=20)
  assert len(synthia.load(folder, "train", False, OPTIONS)) == 20
  test = synthia.load(folder, "test", True, OPTIONS)
  assert [name[-11:] for name in test.names] == ["0000018.png", "0000019.png"]
  assert "no held-out score" in test.notes[-1]
