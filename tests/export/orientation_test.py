"""Pictures with every orientation, with odd metadata, as a SavedModel decodes them."""

import io

import numpy as np
import pytest
import tensorflow as tf

from export import orientation, to_saved_model
from tests import pictures
from tfdam.data import image_files, metadata

_FILE = [tf.TensorSpec([], tf.string)]


@tf.function(input_signature=_FILE, autograph=False)
def of(encoded):
  return orientation.of(encoded)


@tf.function(input_signature=_FILE, autograph=False)
def pixels(encoded):
  return to_saved_model._pixels(encoded, 3)


def as_training(file, tmp_path):
  (tmp_path / "a").write_bytes(file)
  return image_files.read_image(str(tmp_path / "a"))


@pytest.mark.parametrize("name", pictures.ORIENTATIONS)
def test_the_saved_model_turns_pictures_as_training_does(tmp_path, name):
  file, expected = pictures.ORIENTATIONS[name]
  assert of(tf.constant(file)).numpy() == expected
  found = pixels(tf.constant(file)).numpy()
  np.testing.assert_array_equal(found, as_training(file, tmp_path))


@pytest.mark.parametrize("name", pictures.ODD)
def test_the_saved_model_uses_intact_pixels_whatever_stands_beside_them(tmp_path, name):
  found = pixels(tf.constant(pictures.ODD[name])).numpy()
  np.testing.assert_array_equal(found, as_training(pictures.ODD[name], tmp_path))


@pytest.mark.parametrize("name", pictures.DAMAGED)
def test_the_saved_model_refuses_damaged_pixels(name):
  with pytest.raises(tf.errors.InvalidArgumentError):
    pixels(tf.constant(pictures.DAMAGED[name]))


@pytest.mark.parametrize("name", ["webp 1", "webp 6", "tiff 6"])
def test_the_saved_model_refuses_formats_whose_orientation_it_does_not_read(name):
  said = "is a WebP file; expected PNG or JPEG" if "webp" in name else "Unknown image file"
  with pytest.raises(tf.errors.InvalidArgumentError, match=said):
    pixels(tf.constant(pictures.OTHER_ORIENTATIONS[name][0]))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_both_readers_of_the_orientation_agree_on_damaged_files(kind):
  """Bytes of the first hundred, where all that they look at stands, are others."""
  rng = np.random.RandomState(0)
  seen = set()
  for i in range(300):
    exif = pictures.exif(6, order="<>"[i % 2], before=(1,) * (i % 3))
    if kind == "png":
      file = pictures.png(
        pictures.chunk(b"gAMA", b"\0" * 4) + pictures.chunk(b"eXIf", exif)
      )
    else:
      file = pictures.jpeg(pictures.segment(0xFE, b"Exif") + pictures.app1(exif))
    damaged = bytearray(file)
    for place in rng.randint(8 if kind == "png" else 2, 100, size=2):
      damaged[place] = rng.choice([0, 1, 3, 6, 8, 255, rng.randint(256)])
    try:
      _, data = metadata.without_metadata(io.BytesIO(bytes(damaged)))
    except (SyntaxError, OSError):
      continue  # no reader shows its pixels
    expected = metadata._of_exif(data)
    assert of(tf.constant(bytes(damaged))).numpy() == expected, damaged[:120].hex()
    seen.add(expected)
  assert {1, 6} <= seen
