"""Pictures with every orientation, and with odd metadata, as training reads them."""

import io
import os
import tracemalloc
import warnings

import numpy as np
import pytest
from PIL import Image

from tests import pictures
from tfdam import config as config_lib
from tfdam.data import folder, image_files, metadata

ORIENTATIONS = {**pictures.ORIENTATIONS, **pictures.OTHER_ORIENTATIONS}


def as_scene(file, tmp_path):
  """Pixels of a scene, whose header must agree with them."""
  path = str(tmp_path / "picture")
  with open(path, "wb") as opened:
    opened.write(file)
  pixels, header = image_files.read_image(path), image_files.image_header(path)
  assert (header.height, header.width) == pixels.shape[:2]
  return pixels


def of_class_folder(file, tmp_path):
  """Pixels of a class folder's image, which is resized to the size that it has."""
  os.makedirs(tmp_path / "train", exist_ok=True)
  (tmp_path / "train" / "picture.png").write_bytes(file)
  height, width = as_scene(file, tmp_path).shape[:2]
  options = config_lib.Data(height=height, width=width, channels=3)
  return folder.load(str(tmp_path), "train", False, options).images[0]


@pytest.fixture(params=[as_scene, of_class_folder])
def read(request, tmp_path):
  def pixels(file):
    with warnings.catch_warnings():
      warnings.simplefilter("error")
      return request.param(file, tmp_path)

  return pixels


def plain(name):
  """The file with the same pixels and no metadata."""
  return pictures.jpeg() if name.startswith("jpeg") else pictures.png()


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_picture_is_turned_as_its_exif_says_and_nothing_else(read, name):
  file, orientation = ORIENTATIONS[name]
  wanted = pictures.turned(read(plain(name)), orientation)
  np.testing.assert_array_equal(read(file), wanted)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_header_says_whether_a_picture_is_turned(tmp_path, name):
  """A picture with a label is refused by it."""
  file, orientation = ORIENTATIONS[name]
  (tmp_path / "picture").write_bytes(file)
  header = image_files.image_header(str(tmp_path / "picture"))
  assert header.turned == (orientation != 1)


@pytest.mark.parametrize("name", pictures.ODD)
def test_intact_pixels_are_used_whatever_stands_beside_them(read, name):
  tracemalloc.start()
  found = read(pictures.ODD[name])
  assert tracemalloc.get_traced_memory()[1] < pictures.BOMB / 2
  tracemalloc.stop()
  np.testing.assert_array_equal(found, read(plain(name)))


@pytest.mark.parametrize("name", [name for name in pictures.ODD if "png" in name])
def test_labels_too_are_read_whatever_stands_beside_them(tmp_path, name):
  path = str(tmp_path / "label.png")
  (tmp_path / "label.png").write_bytes(pictures.ODD[name])
  np.testing.assert_array_equal(image_files.read_colours(path), pictures.PIXELS)
  assert image_files.label_header(path) == image_files.Header(*pictures.PIXELS.shape[:2])


@pytest.mark.parametrize("name", pictures.DAMAGED)
def test_damaged_pixels_are_refused(tmp_path, name):
  (tmp_path / "a.png").write_bytes(pictures.DAMAGED[name])
  with pytest.raises(image_files.BadImage, match=r"a\.png cannot be decoded"):
    image_files.read_image(str(tmp_path / "a.png"))


def test_what_is_left_of_a_large_png_is_bounded_by_its_claims(tmp_path):
  """A file that has holes in it, of 2 GiB, takes no memory for them."""
  with open(tmp_path / "a.png", "wb") as file:
    file.write(pictures.png()[:33] + (2**31 - 1).to_bytes(4, "big") + b"IDAT")
    file.truncate(2**31 + 100)
  tracemalloc.start()
  with pytest.raises(image_files.BadImage, match="chunk IDAT claims 2147483647 bytes"):
    image_files.read_image(str(tmp_path / "a.png"))
  assert tracemalloc.get_traced_memory()[1] < 10e6
  tracemalloc.stop()


@pytest.mark.parametrize("make", [
  lambda path: os.mkfifo(path), lambda path: os.mkdir(path),
  lambda path: os.symlink("/dev/zero", path),
])  # fmt: skip
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path, make):
  os.mkdir(tmp_path / "train")
  path = str(tmp_path / "train" / "a.png")
  make(path)
  for read in (
    image_files.read_image, image_files.image_header, image_files.read_stored
  ):  # fmt: skip
    with pytest.raises(image_files.BadImage, match=r"a\.png is a .*expected a file"):
      read(path)
  options = config_lib.Data(height=8, width=8)
  with pytest.raises(config_lib.UserError):
    folder.load(str(tmp_path), "train", False, options)


def test_metadata_is_gone_from_what_pillow_gets():
  file = pictures.png(before=pictures.chunk(b"tEXt", b"a\0b"))
  kept, _ = metadata.without_metadata(io.BytesIO(file))
  assert kept.read() == pictures.png()
  with Image.open(io.BytesIO(file)) as image:
    assert image.info == {"a": "b"}  # else this test proves nothing
