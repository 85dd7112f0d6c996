"""USPS in its two formats."""

import gzip
import os
import shutil

import h5py
import numpy as np
import pytest

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import usps

OPTIONS = config_lib.Data()


def test_text_values_become_grey_levels(tmp_path):
  folder = synthetic.write_usps(tmp_path)
  images, labels = synthetic.digits(150, 16, 3)
  examples = usps.load(folder, "train", True, OPTIONS)
  np.testing.assert_array_equal(examples.images[..., 0], images)
  np.testing.assert_array_equal(examples.labels, labels)


def test_without_labels_their_bytes_are_not_decoded(tmp_path):
  folder = synthetic.write_usps(tmp_path)
  before = usps.load(folder, "train", False, OPTIONS)
  path = os.path.join(folder, "zip.train.gz")
  with gzip.open(path, "rt") as file:
    lines = ["label" + line[line.index(" ") :] for line in file]
  with gzip.open(path, "wt") as file:
    file.writelines(lines)
  after = usps.load(folder, "train", False, OPTIONS)
  assert after.labels is None
  np.testing.assert_array_equal(after.images, before.images)


@pytest.mark.parametrize(
  ("content", "said"),
  [
    ("5.0 " + "0.5 " * 784 + "\n", "28x28 version"),
    ("5.0 " + "0.5 " * 100 + "\n", "101 numbers"),
    ("5.0 " + "a " * 256 + "\n", "no table"),
    ("5.0 " + "200 " * 256 + "\n", "outside the range"),
    ("12.0 " + "0.5 " * 256 + "\n", "label 12; expected 0 to 9"),
    ("", "no images"),
  ],
)
def test_another_layout_is_refused(tmp_path, content, said):
  folder = synthetic.write_usps(tmp_path)
  with gzip.open(os.path.join(folder, "zip.train.gz"), "wt") as file:
    file.write(content)
  with pytest.raises(config_lib.UserError, match=said):
    usps.load(folder, "train", True, OPTIONS)


def test_a_truncated_text_file_is_named(tmp_path):
  path = os.path.join(synthetic.write_usps(tmp_path), "zip.train.gz")
  content = open(path, "rb").read()
  with open(path, "wb") as file:
    file.write(content[:-100])
  with pytest.raises(config_lib.UserError, match="zip.train.gz is truncated"):
    usps.load(os.path.dirname(path), "train", True, OPTIONS)


def test_a_truncated_h5_file_is_named(tmp_path):
  path = tmp_path / "usps.h5"
  with h5py.File(path, "w") as file:
    file["train/data"] = np.zeros((5, 256), np.float32)
    file["train/target"] = np.zeros(5, np.int32)
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])
  with pytest.raises(config_lib.UserError, match="cannot be read as HDF5"):
    usps.load(str(tmp_path), "train", True, OPTIONS)


def test_the_28x28_version_is_refused_in_h5_too(tmp_path):
  with h5py.File(tmp_path / "usps.h5", "w") as file:
    file["train/data"] = np.zeros((5, 784), np.float32)
    file["train/target"] = np.zeros(5, np.int32)
  with pytest.raises(config_lib.UserError, match="another data set"):
    usps.load(str(tmp_path), "train", True, OPTIONS)


@pytest.mark.parametrize("content", ["plain", "labels"])
def test_another_h5_layout_is_named(tmp_path, content):
  with h5py.File(tmp_path / "usps.h5", "w") as file:
    if content == "plain":
      file["train"] = np.zeros((5, 256), np.float32)
    else:
      file["train/data"] = np.zeros((5, 256), np.float32)
      file["train/target"] = np.zeros((5, 1), np.int32)
  said = "cannot be read as HDF5" if content == "plain" else "labels of shape"
  with pytest.raises(config_lib.UserError, match=said):
    usps.load(str(tmp_path), "train", True, OPTIONS)


@pytest.mark.parametrize(("split", "count"), [("train", 7_291), ("test", 2_007)])
def test_both_real_formats_hold_the_same_images(tmp_path, split, count):
  folder = os.path.join(synthetic.real_data("usps"), "usps")
  text = usps.load(folder, split, True, config_lib.Data(require_canonical=True))
  shutil.copy(os.path.join(folder, "usps.h5"), tmp_path)
  h5 = usps.load(str(tmp_path), split, True, config_lib.Data(require_canonical=True))
  assert len(text) == count
  np.testing.assert_array_equal(text.images, h5.images)
  np.testing.assert_array_equal(text.labels, h5.labels)
