"""Images as users hand them over: what is taken, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfdam
from tfdam import images as images_lib

PIXELS = np.random.RandomState(0).randint(0, 256, (10, 8, 8, 3)).astype(np.uint8)


def wanted(shape=(8, 8, 3), prepares=True, arrays=False):
  return images_lib.Wanted(
    shape, (lambda pixels: pixels / 255.0) if prepares else None, arrays
  )


def read(given, batch_size=4, limit=0, **kwargs):
  images = images_lib.Images(given, "source", wanted(**kwargs))
  return list(images.checked_batches(batch_size, limit))


def values(batches):
  return np.concatenate([batch.numpy() for batch in batches])


@pytest.fixture
def folder(tmp_path):
  for i, pixels in enumerate(PIXELS):
    place = tmp_path / "camera" / f"{i % 2}"
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(place / f"{i:02}.png")
  return tmp_path


def test_arrays_are_fed_as_they_are():
  for given in (PIXELS, PIXELS.astype(np.float64), list(PIXELS), tf.constant(PIXELS)):
    batches = read(given)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert batches[0].dtype == tf.float32
    np.testing.assert_array_equal(values(batches), PIXELS)


def test_arrays_of_pixels_are_prepared_where_the_network_says_how():
  np.testing.assert_allclose(values(read(PIXELS, arrays=True)), PIXELS / 255.0, atol=1e-6)


@pytest.mark.parametrize(
  "wrap",
  [
    lambda d: d,
    lambda d: d.batch(3),
    lambda d: d.map(lambda x: (x, 1)),
    lambda d: d.map(lambda x: {"label": 1, "image": x}).batch(2),
    lambda d: d.map(lambda x: ((x, 2), 1)),
  ],
)
def test_data_sets_of_images_batches_and_pairs_are_taken(wrap):
  found = values(read(wrap(tf.data.Dataset.from_tensor_slices(PIXELS))))
  np.testing.assert_array_equal(found, PIXELS)


def test_an_endless_data_set_is_read_up_to_the_limit():
  endless = tf.data.Dataset.from_tensor_slices(PIXELS).repeat()
  assert len(values(read(endless, limit=25))) == 25


def test_a_folder_is_read_with_the_folders_below_it_and_resized(folder):
  found = values(read(str(folder)))
  order = [*range(0, 10, 2), *range(1, 10, 2)]
  np.testing.assert_allclose(found, PIXELS[order] / 255.0, atol=1e-6)
  assert values(read(folder, shape=(12, 10, 1))).shape == (10, 12, 10, 1)
  # A network that takes any size gets that of the first image.
  assert values(read(folder, shape=(None, None, 3))).shape == (10, 8, 8, 3)


def test_a_data_set_of_tfdam_is_named():
  found = read("streets/sim", batch_size=2, limit=2, shape=(32, 64, 3))
  assert found[0].shape == (2, 32, 64, 3)
  assert float(tf.reduce_min(found[0])) >= 0
  assert float(tf.reduce_max(found[0])) <= 1


def test_a_limit_chooses_by_chance_and_once():
  images = images_lib.Images(PIXELS, "source", wanted())
  chosen = [values(images.checked_batches(4, 5, seed)) for seed in (0, 0, 1)]
  assert all(len(np.unique(c[:, 0, 0, 0] * 256.0 + c[:, 0, 0, 1])) == 5 for c in chosen)
  np.testing.assert_array_equal(chosen[0], chosen[1])
  assert not np.array_equal(chosen[0], chosen[2])


def test_endless_batches_are_a_function_of_the_seed():
  def first(seed, argument="source"):
    images = images_lib.Images(PIXELS, argument, wanted())
    return values(images.endless(4, seed).take(5))

  assert first(0).shape == (20, 8, 8, 3)
  np.testing.assert_array_equal(first(0), first(0))
  assert not np.array_equal(first(0), first(1))
  assert not np.array_equal(first(0), first(0, "target"))


def test_endless_batches_of_a_data_set_have_known_sizes():
  dataset = tf.data.Dataset.from_tensor_slices(PIXELS)
  images = images_lib.Images(dataset, "target", wanted())
  assert images.endless(4, 0).element_spec.shape == (4, 8, 8, 3)
  assert len(list(images.endless(4, 0).take(6))) == 6


BAD = PIXELS.astype(np.float32)
BAD[7, 1, 2, 0] = np.nan


@pytest.mark.parametrize(
  ("given", "words"),
  [
    (PIXELS[:0], "source holds no images"),
    (tf.data.Dataset.from_tensor_slices(PIXELS[:0]), "source holds no images"),
    (PIXELS[0], r"uint8 of shape \(8, 8, 3\); expected images \[N, H, W, C\]"),
    (np.array(["a"]), "<U1 of shape"),
    (None, "object of shape"),
    (tf.data.Dataset.range(3), r"a data set of \(\); expected images"),
    (PIXELS[..., :1], r"shape \(8, 8, 1\).* takes \(8, 8, 3\)"),
    (PIXELS[:, :6], r"shape \(6, 8, 3\).* takes \(8, 8, 3\)"),
    (PIXELS[:, :0], r"shape \(0, 8, 3\)"),
    (PIXELS.transpose(0, 3, 1, 2), r"shape \(3, 8, 8\).* takes \(8, 8, 3\)"),
    (tf.data.Dataset.from_tensor_slices(["a.png"]), r"a data set of \(\); expected images"),
    (iter(PIXELS), "object of shape"),
    ("no/such/folder", "no folder and no data set"),
    ("strets/sim", "Did you mean 'streets/sim'"),
  ],
)
def test_what_no_network_can_take_is_refused_in_one_line(given, words):
  with pytest.raises(tfdam.UserError, match=words) as raised:
    read(given)
  assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize(
  "wrap",
  [
    lambda array: array,
    lambda array: list(array),
    lambda array: tf.data.Dataset.from_tensor_slices(array),
    lambda array: tf.data.Dataset.from_tensor_slices(array).batch(3),
  ],
)
def test_the_first_image_that_is_not_finite_is_named(wrap, value):
  bad = PIXELS.astype(np.float64)
  bad[7, 1, 2, 0] = bad[8, 0, 0, 1] = value
  said = "source has values that are nan or infinite, first in image 7"
  with pytest.raises(tfdam.UserError, match=said):
    read(wrap(bad))


def test_of_an_array_every_image_is_looked_at_before_any_is_used(monkeypatch):
  monkeypatch.setattr(images_lib, "_BLOCK", 2 * PIXELS[0].size)
  with pytest.raises(tfdam.UserError, match="first in image 7"):
    images_lib.Images(BAD, "source", wanted())


def test_of_a_data_set_reading_fails_at_the_image_that_is_not_finite():
  images = images_lib.Images(tf.data.Dataset.from_tensor_slices(BAD), "target", wanted())
  batches = images.checked_batches(4)
  assert len(next(batches)) == 4
  with pytest.raises(tfdam.UserError, match="target .* first in image 7"):
    next(batches)


def of_any_size(*images):
  spec = tf.TensorSpec([None, None, 3])
  return tf.data.Dataset.from_generator(lambda: iter(images), output_signature=spec)


def test_images_of_several_shapes_are_told_apart():
  images = PIXELS.astype(np.float32)
  given = of_any_size(images[0], images[1], images[2][:6])
  said = r"several shapes: \(8, 8, 3\) is the first, and \(6, 8, 3\) is number 2"
  with pytest.raises(tfdam.UserError, match=said):
    read(given, shape=(None, None, 3))
  alike = images_lib.Images(of_any_size(*images), "source", wanted((None, None, 3)))
  assert alike.endless(4, 0).element_spec.shape == (4, 8, 8, 3)


def test_images_that_can_be_read_once_alone_are_refused():
  once = iter(PIXELS[:1].astype(np.float32))
  spec = tf.TensorSpec([8, 8, 3])
  given = tf.data.Dataset.from_generator(lambda: once, output_signature=spec)
  with pytest.raises(tfdam.UserError, match="each time it is read"):
    read(given)


def test_files_want_to_know_how_pixels_are_prepared(folder, tmp_path_factory):
  with pytest.raises(tfdam.UserError, match="expects=tfdam.Expects"):
    read(folder, prepares=False)
  empty = tmp_path_factory.mktemp("empty")
  with pytest.raises(tfdam.UserError, match="holds no images"):
    read(empty)


def test_a_damaged_file_is_named(folder):
  (folder / "camera" / "1" / "05.png").write_bytes(b"no image")
  with pytest.raises(tfdam.UserError, match=r"05\.png"):
    read(folder)
