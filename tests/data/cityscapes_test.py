"""Cityscapes: label ids, cities as folders, val as test."""

import os

import numpy as np
import pytest

from tests import street_folders
from tfdam import config as config_lib
from tfdam.data import cityscapes

OPTIONS = config_lib.Data(classes=",".join(street_folders.NAMES), num_classes=0)


def test_label_ids_become_the_19_classes(tmp_path):
  folder = street_folders.write_cityscapes(tmp_path)
  train = cityscapes.load(folder, "train", True, OPTIONS)
  test = cityscapes.load(folder, "test", True, OPTIONS)
  assert (len(train), len(test)) == (6, 4)
  assert train.names[0].endswith(
    "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
  )
  # Sorted by city: aachen drew the even ones.
  for scenes, seeds in ((train, (0, 2, 4, 1, 3, 5)), (test, (6, 7, 8, 9))):
    for i, seed in enumerate(seeds):
      image, label = street_folders.scene(200 + seed)
      np.testing.assert_array_equal(scenes.read_image(i), image)
      np.testing.assert_array_equal(scenes.read_label(i), label)
  assert "official val split" in test.notes[-1]
  assert "6 images of 2,975" in train.notes[0]


def test_void_is_ignored(tmp_path):
  folder = street_folders.write_cityscapes(tmp_path)
  stored = np.arange(34, dtype=np.uint8).repeat(3)[np.newaxis].repeat(2, 0)
  image = np.zeros((2, 102, 3), np.uint8)
  stem = "train/aachen/aachen_000000_000019"
  street_folders.save(image, folder, f"leftImg8bit/{stem}_leftImg8bit.png")
  street_folders.save(stored, folder, f"gtFine/{stem}_gtFine_labelIds.png")
  label = cityscapes.load(folder, "train", True, OPTIONS).read_label(0)[0, ::3]
  assert sorted(label[label != 255]) == list(range(19))
  assert [i for i in range(34) if label[i] == 255] == [
    0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30
  ]  # fmt: skip


def test_train_ids_are_not_taken_for_label_ids(tmp_path):
  """255, their void, is no label id."""
  folder = street_folders.write_cityscapes(tmp_path)
  stored = np.full((48, 96), 255, np.uint8)
  path = "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
  street_folders.save(stored, folder, path)
  scenes = cityscapes.load(folder, "train", True, OPTIONS)
  with pytest.raises(config_lib.UserError, match="labelIds.png.*id 255.*not train ids"):
    scenes.read_label(0)


def test_a_missing_label_names_the_file_that_belongs_there(tmp_path):
  folder = street_folders.write_cityscapes(tmp_path)
  path = f"{folder}/gtFine/val/lindau/lindau_000007_000019_gtFine_labelIds.png"
  os.remove(path)
  with pytest.raises(config_lib.UserError, match="has no label") as caught:
    cityscapes.load(folder, "test", True, OPTIONS)
  assert path in str(caught.value)


def test_labels_are_there_where_their_folder_is(tmp_path):
  folder = street_folders.write_cityscapes(tmp_path)
  assert cityscapes.has_labels(folder, "test")
  os.rename(f"{folder}/gtFine/val", f"{folder}/gtFine/away")
  assert not cityscapes.has_labels(folder, "test")
  assert cityscapes.has_labels(folder, "train")


def test_a_missing_split_is_named(tmp_path):
  with pytest.raises(config_lib.UserError, match=r"no test images.*leftImg8bit/val/CITY"):
    cityscapes.load(str(tmp_path), "test", True, OPTIONS)
