"""A user's own images, a folder a class."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from tfdam import config as config_lib
from tfdam import memory
from tfdam.data import folder

OPTIONS = config_lib.Data(num_classes=3, height=16, width=16)


@pytest.fixture
def images(tmp_path):
  """Two images a class: "1", "2" and "10", each of one grey level."""
  for split in ("train", "test"):
    for level, name in enumerate(("1", "2", "10")):
      (tmp_path / split / name).mkdir(parents=True)
      for i, kind in enumerate(("png", "jpg")):
        grey = np.full((20 + i, 24, 3), 50 * level + 20, np.uint8)
        Image.fromarray(grey).save(tmp_path / split / name / f"{i}.{kind}")
  return tmp_path


def test_classes_count_in_the_order_of_their_numbers(images):
  assert folder.class_names(str(images), "train") == ["1", "2", "10"]
  examples = folder.load(str(images), "train", True, OPTIONS)
  assert examples.images.shape == (6, 16, 16, 1)
  np.testing.assert_array_equal(examples.labels, [0, 0, 1, 1, 2, 2])
  # JPEG may be a level off.
  np.testing.assert_allclose(
    examples.images.mean((1, 2, 3)), 50 * examples.labels + 20, atol=1
  )


def test_unlabelled_images_lie_in_the_split_itself(tmp_path):
  (tmp_path / "train").mkdir()
  Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "train" / "a.png")
  assert not folder.has_labels(str(tmp_path), "train")
  examples = folder.load(str(tmp_path), "train", False, OPTIONS)
  assert (len(examples), examples.labels) == (1, None)


def test_a_wrong_number_of_classes_names_the_flag(images):
  with pytest.raises(config_lib.UserError, match="3 class folders.*num_classes"):
    folder.load(str(images), "train", True, config_lib.Data(num_classes=10))


def test_splits_must_have_the_same_classes(images):
  (images / "test" / "10").rename(images / "test" / "11")
  with pytest.raises(config_lib.UserError, match="10, 11 only in one"):
    folder.load(str(images), "train", True, OPTIONS)


def test_a_bad_image_stops_with_its_path(images):
  (images / "train" / "2" / "bad.png").write_bytes(b"no picture")
  with pytest.raises(config_lib.UserError, match="bad.png.*on_bad_image=skip"):
    folder.load(str(images), "train", True, OPTIONS)


def test_a_bad_image_can_be_skipped_and_is_counted(images):
  (images / "train" / "2" / "bad.png").write_bytes(b"no picture")
  options = config_lib.Data(num_classes=3, height=16, width=16, on_bad_image="skip")
  examples = folder.load(str(images), "train", True, options)
  assert len(examples) == 6
  assert "1 of 7 images skipped" in examples.notes[0]


@pytest.mark.parametrize(("value", "dtype"), [(1.0, np.float32), (70_000, np.int32)])
def test_values_whose_white_is_unknown_are_refused(images, value, dtype):
  array = np.full((8, 8), value, dtype)
  Image.fromarray(array).save(images / "train" / "2" / "deep.tiff")
  with pytest.raises(config_lib.UserError, match="deep.tiff holds .*8-bit RGB"):
    folder.load(str(images), "train", True, OPTIONS)


def test_hidden_files_are_left_alone_and_a_class_without_images_is_named(images):
  (images / "train" / "2" / "._0.png").write_bytes(b"of another program")
  assert len(folder.load(str(images), "train", True, OPTIONS)) == 6
  for split in ("train", "test"):
    for name in os.listdir(images / split / "2"):
      os.remove(images / split / "2" / name)
  assert len(folder.load(str(images), "test", True, OPTIONS)) == 4
  with pytest.raises(config_lib.UserError, match=r"class folders without an image \(2;"):
    folder.load(str(images), "train", True, OPTIONS)


def test_many_bad_images_stop_even_then(images):
  for i in range(2):
    (images / "train" / "2" / f"bad{i}.png").write_bytes(b"no picture")
  options = config_lib.Data(num_classes=3, height=16, width=16, on_bad_image="skip")
  with pytest.raises(config_lib.UserError, match="2 of 8 images"):
    folder.load(str(images), "train", True, options)


def test_hidden_folders_are_no_classes_and_stray_images_are_named(images):
  (images / "train" / ".cache").mkdir()
  assert folder.class_names(str(images), "train") == ["1", "2", "10"]
  Image.fromarray(np.zeros((8, 8), np.uint8)).save(images / "train" / "stray.png")
  with pytest.raises(config_lib.UserError, match="beside the class folders"):
    folder.load(str(images), "train", True, OPTIONS)


def test_16_bit_images_keep_their_range(tmp_path):
  (tmp_path / "train").mkdir()
  ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
  Image.fromarray(ramp).save(tmp_path / "train" / "a.png")
  examples = folder.load(str(tmp_path), "train", False, OPTIONS)
  np.testing.assert_allclose(examples.images[0, ..., 0].ravel(), np.arange(256), atol=1)


def test_an_empty_split(tmp_path):
  with pytest.raises(config_lib.UserError, match="no images"):
    folder.load(str(tmp_path), "train", False, OPTIONS)


def test_names_need_not_be_utf_8(images):
  os.rename(
    images / "train" / "2" / "0.png", os.fsencode(images / "train" / "2") + b"/\xdf.png"
  )
  assert len(folder.load(str(images), "train", True, OPTIONS)) == 6


def test_images_without_class_folders_are_told_what_is_missing(tmp_path):
  (tmp_path / "train").mkdir()
  Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "train" / "a.png")
  with pytest.raises(config_lib.UserError, match="no class folders.*train/<class>"):
    folder.load(str(tmp_path), "train", True, OPTIONS)


def test_more_than_memory_holds_is_refused_before_a_file_is_decoded(images, monkeypatch):
  monkeypatch.setattr(memory, "available", lambda: 6 * 16 * 16)
  assert len(folder.load(str(images), "train", True, OPTIONS)) == 6
  larger = dataclasses.replace(OPTIONS, height=17)
  with pytest.raises(config_lib.UserError, match="6 images of .* at 17 x 16 take .*height"):
    folder.load(str(images), "train", True, larger)


def test_folders_for_each_camera_are_told_from_class_folders(images, tmp_path):
  with pytest.raises(config_lib.UserError, match="3 class folders.*cameras, say, put the"):
    folder.load(str(images), "train", True, dataclasses.replace(OPTIONS, num_classes=2))
  for name in ("1", "2", "10"):
    path = images / "train" / name
    (path / "front").mkdir()
    for file in path.glob("*.*"):
      file.rename(path / "front" / file.name)
  told = r"in class folders have images \(2 in 1/front, 2 in 10/front, 2 in 2/front\): move"
  for labels in (True, False):
    with pytest.raises(config_lib.UserError, match=told):
      folder.load(str(images), "train", labels, OPTIONS)
