"""A user's own arrays."""

import numpy as np
import pytest
from PIL import Image

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import npz

OPTIONS = config_lib.Data()


def save(folder, **arrays):
  np.savez(folder / "train.npz", **arrays)
  return str(folder)


def test_reads_grey_and_colour_images(tmp_path):
  images, labels = synthetic.digits(20, 28)
  grey = npz.load(save(tmp_path, images=images, labels=labels), "train", True, OPTIONS)
  assert grey.images.shape == (20, 28, 28, 1)
  colour = np.repeat(images[..., np.newaxis], 3, -1)
  loaded = npz.load(save(tmp_path, images=colour, labels=labels), "train", True, OPTIONS)
  np.testing.assert_array_equal(loaded.images, colour)
  np.testing.assert_array_equal(loaded.labels, labels)


def test_an_unlabelled_target_leaves_labels_out(tmp_path):
  folder = save(tmp_path, images=synthetic.digits(20, 28)[0])
  assert not npz.has_labels(folder, "train")
  assert npz.load(folder, "train", False, OPTIONS).labels is None
  with pytest.raises(config_lib.UserError, match="expected an array 'labels'"):
    npz.load(folder, "train", True, OPTIONS)


@pytest.mark.parametrize(
  ("arrays", "said"),
  [
    ({"images": np.array([{}], object)}, "array of Python objects"),
    ({"images": np.zeros((2, 8, 8), np.float32)}, "expected uint8"),
    ({"images": np.zeros((2, 8, 8, 4), np.uint8)}, "C 1 or 3"),
    ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.zeros(2)}, "expected integers"),
    ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.array([0, 10])}, "label 10"),
    (
      {"images": np.zeros((2, 8, 8), np.uint8), "labels": np.zeros(3, int)},
      "2 images but 3",
    ),
    ({"images": np.zeros((0, 8, 8), np.uint8), "labels": np.zeros(0, int)}, "no images"),
    ({"images": np.zeros((2, 0, 8), np.uint8)}, "expected uint8"),
    ({"images": np.array(7, np.uint8)}, "expected uint8"),
    ({"images": np.zeros((2, 8, 8), np.uint8), "labels": np.zeros((2, 1), int)}, "shape"),
  ],
)
def test_another_layout_is_refused(tmp_path, arrays, said):
  with pytest.raises(config_lib.UserError, match=said):
    npz.load(save(tmp_path, **arrays), "train", "labels" in arrays, OPTIONS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"<html>"])
def test_no_npz_file_at_all(tmp_path, content):
  (tmp_path / "train.npz").write_bytes(content)
  # has_labels too: a damaged file must not count as an unlabelled one.
  for read in (lambda *a: npz.load(*a, False, OPTIONS), npz.has_labels):
    with pytest.raises(config_lib.UserError, match="train.npz cannot be read"):
      read(str(tmp_path), "train")


def test_a_single_array_is_no_npz(tmp_path):
  with open(tmp_path / "train.npz", "wb") as file:
    np.save(file, np.zeros(3))
  with pytest.raises(config_lib.UserError, match=r"single array \(.npy\)"):
    npz.load(str(tmp_path), "train", False, OPTIONS)


def test_larger_images_are_averaged_as_pillow_does(tmp_path):
  images = np.random.RandomState(0).randint(0, 256, (2, 112, 56, 3), np.uint8)
  loaded = npz.load(save(tmp_path, images=images), "train", False, OPTIONS)
  assert loaded.images.shape == (2, 28, 28, 3)
  for found, image in zip(loaded.images, images):
    smaller = Image.fromarray(image).resize((28, 28), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, smaller)
  grey = npz.load(save(tmp_path, images=images[..., 0]), "train", False, OPTIONS)
  assert grey.images.shape == (2, 28, 28, 1)
