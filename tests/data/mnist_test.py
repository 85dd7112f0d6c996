"""MNIST's idx files: whole, and in every way broken."""

import gzip
import os

import numpy as np
import pytest

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import mnist

OPTIONS = config_lib.Data()


@pytest.fixture
def folder(tmp_path):
  return synthetic.write_mnist(tmp_path)


def replace(folder, name, content):
  with gzip.open(os.path.join(folder, name + ".gz"), "wb") as file:
    file.write(content)


def test_reads_images_and_labels(folder):
  examples = mnist.load(folder, "train", True, OPTIONS)
  images, labels = synthetic.digits(200, 28, 1)
  np.testing.assert_array_equal(examples.images[..., 0], images)
  np.testing.assert_array_equal(examples.labels, labels)
  assert examples.notes == ("MNIST train: not the official set but 200 images of 60,000",)


def test_plain_and_gzipped_files_are_the_same(folder):
  zipped = mnist.load(folder, "test", True, OPTIONS)
  for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
    path = os.path.join(folder, name)
    with gzip.open(path + ".gz") as file, open(path, "wb") as plain:
      plain.write(file.read())
    os.remove(path + ".gz")
  plain = mnist.load(folder, "test", True, OPTIONS)
  np.testing.assert_array_equal(plain.images, zipped.images)
  assert plain.digests == zipped.digests


def test_without_labels_the_label_file_is_not_opened(folder):
  os.remove(os.path.join(folder, "train-labels-idx1-ubyte.gz"))
  assert mnist.load(folder, "train", False, OPTIONS).labels is None
  assert not mnist.has_labels(folder, "train")
  assert mnist.has_labels(folder, "test")


def test_a_truncated_gzip_is_named(folder):
  path = os.path.join(folder, "train-images-idx3-ubyte.gz")
  content = open(path, "rb").read()
  with open(path, "wb") as file:
    file.write(content[: len(content) // 2])
  with pytest.raises(config_lib.UserError, match="train-images-idx3-ubyte.gz is truncated"):
    mnist.load(folder, "train", True, OPTIONS)


def test_no_gzip_at_all_is_named(folder):
  path = os.path.join(folder, "train-images-idx3-ubyte.gz")
  with open(path, "wb") as file:
    file.write(b"<html>404</html>")
  with pytest.raises(config_lib.UserError, match="no gzip file"):
    mnist.load(folder, "train", True, OPTIONS)


def test_a_wrong_magic_number_is_named(folder):
  images, _ = synthetic.digits(200, 28, 1)
  replace(
    folder, "train-images-idx3-ubyte", b"\x00\x00\x0d\x03" + synthetic.idx(images)[4:]
  )
  with pytest.raises(config_lib.UserError, match="magic number 3331; expected 2051"):
    mnist.load(folder, "train", True, OPTIONS)


def test_less_data_than_the_header_promises(folder):
  images, _ = synthetic.digits(200, 28, 1)
  replace(folder, "train-images-idx3-ubyte", synthetic.idx(images)[:-1])
  with pytest.raises(config_lib.UserError, match="promises 200 x 28 x 28"):
    mnist.load(folder, "train", True, OPTIONS)


def test_a_label_file_of_another_length(folder):
  replace(folder, "train-labels-idx1-ubyte", synthetic.idx(np.zeros(199)))
  with pytest.raises(config_lib.UserError, match="200 images but 199 labels"):
    mnist.load(folder, "train", True, OPTIONS)


def test_a_label_outside_0_to_9(folder):
  labels = np.zeros(200)
  labels[7] = 10
  replace(folder, "train-labels-idx1-ubyte", synthetic.idx(labels))
  with pytest.raises(config_lib.UserError, match="image 7 has label 10; expected 0 to 9"):
    mnist.load(folder, "train", True, OPTIONS)


def test_an_empty_split(folder):
  replace(folder, "train-images-idx3-ubyte", synthetic.idx(np.zeros((0, 28, 28))))
  replace(folder, "train-labels-idx1-ubyte", synthetic.idx(np.zeros(0)))
  with pytest.raises(config_lib.UserError, match="holds no images"):
    mnist.load(folder, "train", True, OPTIONS)


def test_a_set_that_is_not_official_can_be_refused(folder):
  with pytest.raises(config_lib.UserError, match="require_canonical"):
    mnist.load(folder, "train", True, config_lib.Data(require_canonical=True))


@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("test", 10_000)])
def test_the_real_files_are_the_official_ones(split, count):
  root = synthetic.real_data("mnist")
  options = config_lib.Data(require_canonical=True)
  examples = mnist.load(os.path.join(root, "mnist"), split, True, options)
  assert (len(examples), examples.notes) == (count, ())
