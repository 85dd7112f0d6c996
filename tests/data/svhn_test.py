"""SVHN's MATLAB files."""

import os

import numpy as np
import pytest
import scipy.io

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import svhn

OPTIONS = config_lib.Data()


def test_reads_images_in_order_and_ten_as_zero(tmp_path):
  folder = synthetic.write_svhn(tmp_path)
  images, labels = synthetic.digits(60, 32, 5)
  examples = svhn.load(folder, "train", True, OPTIONS)
  np.testing.assert_array_equal(examples.images, np.repeat(images[..., np.newaxis], 3, -1))
  np.testing.assert_array_equal(examples.labels, labels)


def test_without_labels_y_may_be_missing(tmp_path):
  scipy.io.savemat(tmp_path / "train_32x32.mat", {"X": np.zeros((32, 32, 3, 4), np.uint8)})
  assert svhn.load(str(tmp_path), "train", False, OPTIONS).labels is None


@pytest.mark.parametrize(
  ("content", "said"),
  [
    ({"X": np.zeros((32, 32, 3, 4), np.float32), "y": np.ones((4, 1))}, "expected uint8"),
    ({"X": np.zeros((4, 32, 32, 3), np.uint8), "y": np.ones((4, 1))}, r"\(32, 32, 3, N\)"),
    (
      {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.full((4, 1), 11)},
      "expected 1 to 10",
    ),
    (
      {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((3, 1))},
      "4 images but 3 labels",
    ),
    ({"images": np.zeros(3)}, "X and y"),
  ],
)
def test_another_layout_is_refused(tmp_path, content, said):
  scipy.io.savemat(tmp_path / "train_32x32.mat", content)
  with pytest.raises(config_lib.UserError, match=said):
    svhn.load(str(tmp_path), "train", True, OPTIONS)


def test_a_truncated_file_is_named(tmp_path):
  folder = synthetic.write_svhn(tmp_path)
  path = os.path.join(folder, "train_32x32.mat")
  content = open(path, "rb").read()
  with open(path, "wb") as file:
    file.write(content[: len(content) // 2])
  with pytest.raises(
    config_lib.UserError, match="train_32x32.mat claims 184,376 bytes.*truncated"
  ):
    svhn.load(folder, "train", True, OPTIONS)


def test_a_real_subset_says_that_it_is_one():
  root = synthetic.real_data("svhn")
  examples = svhn.load(os.path.join(root, "svhn"), "train", True, OPTIONS)
  if len(examples) == svhn.INFO.sizes["train"]:
    assert examples.notes == ()
  else:
    assert f"{len(examples):,} images of 73,257" in examples.notes[0]
