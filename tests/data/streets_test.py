"""Procedural street scenes: the same everywhere, labelled exactly, like streets."""

import dataclasses
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from tests import synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import scenes, streets

_SIM, _PHOTO = "streets/sim", "streets/photo"
_OPTIONS = config_lib.Data(
  source=_SIM, target=_PHOTO, height=64, width=112, channels=3,
  classes=",".join(streets.CLASSES),
)  # fmt: skip


def load(name, split="train", **changes):
  options = dataclasses.replace(_OPTIONS, **changes)
  return data.load(name, split, True, options, "/no/such/folder")


@pytest.fixture(scope="module")
def many():
  """40 label maps of the training split."""
  loaded = load(_SIM)
  return np.stack([loaded.read_label(i) for i in range(40)])


@pytest.mark.parametrize("name", [_SIM, _PHOTO])
@pytest.mark.parametrize(
  ("height", "width"), [(64, 64), (96, 128), (128, 224), (180, 240), (256, 512), (67, 133)]
)
def test_images_and_labels_have_the_size_that_was_asked_for(name, height, width):
  loaded = load(name, height=height, width=width)
  image, label = loaded.read_image(3), loaded.read_label(3)
  assert (image.dtype, image.shape) == (np.uint8, (height, width, 3))
  assert (label.dtype, label.shape) == (np.uint8, (height, width))
  assert label.max() < 11
  assert len(np.unique(label)) >= 5


@pytest.mark.parametrize("name", [_SIM, _PHOTO])
def test_images_do_not_depend_on_the_order_in_which_they_are_read(name):
  order = [5, 2, 9, 2, 5, 0]
  first = {i: load(name).read_image(i).tobytes() for i in range(10)}
  again = load(name)
  for i in order:
    assert again.read_image(i).tobytes() == first[i]


def test_another_process_draws_the_same_bytes():
  code = (
    "import zlib; from tests.data import streets_test as t;"
    "print([zlib.crc32(t.load(n).read_image(7)) for n in (t._SIM, t._PHOTO)])"
  )
  here = [zlib.crc32(load(name).read_image(7)) for name in (_SIM, _PHOTO)]
  there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert there.stdout.strip() == str(here), there.stderr


def test_both_renderings_show_the_same_streets():
  for split in ("train", "test"):
    sim, photo = load(_SIM, split), load(_PHOTO, split)
    for i in (0, 11):
      np.testing.assert_array_equal(sim.read_label(i), photo.read_label(i))
      assert (sim.read_image(i) != photo.read_image(i)).mean() > 0.8


def test_splits_and_images_differ():
  maps = [
    load(_SIM, s).read_label(i).tobytes() for s in ("train", "test") for i in range(8)
  ]
  assert len(set(maps)) == 16
  assert (len(load(_SIM, "train")), len(load(_SIM, "test"))) == (3000, 300)


def test_an_image_that_is_not_there_is_refused():
  loaded = load(_PHOTO, "test")
  for index in (-1, 300):
    with pytest.raises(IndexError, match="300 images"):
      loaded.read_image(index)


def test_class_frequencies_are_those_of_streets(many):
  """Around CamVid's: 17.5, 24.2, 1.0, 33.0, 4.7, 10.1, 1.2, 1.2, 6.1, 0.7, 0.3 %.

  Bounds: wide enough for the deviation of a mean over 40 scenes (about a sixth of itself
  for large classes, a third for small ones) and for lines that fill whole pixels.
  """
  share = 100 * np.bincount(many.ravel(), minlength=11) / many.size
  bounds = {
    "sky": (11, 25), "building": (15, 33), "pole": (0.5, 4), "road": (24, 40),
    "pavement": (2.5, 9), "tree": (6, 19), "sign": (0.4, 4), "fence": (0.5, 5),
    "car": (3, 12), "pedestrian": (0.2, 2.5), "bicyclist": (0.1, 2),
  }  # fmt: skip
  assert tuple(bounds) == streets.CLASSES
  for name, found in zip(streets.CLASSES, share):
    low, high = bounds[name]
    assert low < found < high, f"{name}: {found:.2f} %"


def test_class_frequencies_hold_at_other_sizes(many):
  """What is seen is decided by the world, not by the number of pixels.

  Means over 12 scenes at two resolutions; 1 % of the picture is what lines, which are at
  least a pixel wide, take more of a small one.
  """
  small, large = load(_SIM), load(_SIM, height=256, width=448)
  shares = []
  for loaded in (small, large):
    maps = np.stack([loaded.read_label(i) for i in range(12)])
    shares.append(np.bincount(maps.ravel(), minlength=11) / maps.size)
  np.testing.assert_allclose(shares[0], shares[1], atol=0.01)


def test_every_scene_has_a_road_below_a_sky(many):
  rows = np.arange(many.shape[1])[:, np.newaxis]
  for label in many:
    sky, road = label == 0, label == 3
    assert road.mean() > 0.08
    # The nearest rows are road for the most part, the uppermost never.
    assert road[-4:].mean() > 0.3
    assert not road[: many.shape[1] // 3].any()
    if sky.any():
      assert (rows * sky).sum() / sky.sum() < (rows * road).sum() / road.sum()


def test_renderings_differ_as_a_drawing_from_a_photograph():
  sim, photo = load(_SIM), load(_PHOTO)
  pictures = {
    name: np.stack([loaded.read_image(i) for i in range(20)]).astype(float)
    for name, loaded in (("sim", sim), ("photo", photo))
  }
  chroma = {n: (p.max(-1) - p.min(-1)).mean() for n, p in pictures.items()}
  brightness = {n: p.mean((1, 2, 3)).std() for n, p in pictures.items()}
  # A flat drawing has the same value in most neighbours; a photograph has noise.
  flat = {n: (np.diff(p, axis=2) == 0).mean() for n, p in pictures.items()}
  assert chroma["sim"] > 2 * chroma["photo"]
  assert brightness["photo"] > 1.3 * brightness["sim"]
  assert flat["sim"] > 0.7
  assert flat["photo"] < 0.3
  # Still a picture of the same thing: bright sky, darker road.
  for i in range(20):
    label = sim.read_label(i)
    for picture in pictures.values():
      if (label == 0).mean() > 0.05:
        assert picture[i][label == 0].mean() > picture[i][label == 3].mean()


def test_the_photograph_is_about_as_bright_and_as_colourful_as_a_real_one():
  """Means over 40 images each; real frames of one day and town vary by less than 25 %."""
  root = synthetic.real_data("camvid")
  folder = f"{root}/camvid/train"
  names = sorted(os.listdir(folder))[::9][:40]
  real = [np.asarray(Image.open(f"{folder}/{n}").convert("RGB"), float) for n in names]
  loaded = load(_PHOTO, height=180, width=240)
  drawn = [loaded.read_image(i).astype(float) for i in range(40)]
  for measure in (
    lambda p: p.mean(),
    lambda p: p.std(),
    lambda p: (p.max(-1) - p.min(-1)).mean(),
  ):
    ratio = np.mean([measure(p) for p in drawn]) / np.mean([measure(p) for p in real])
    assert 0.6 < ratio < 1.7


def test_classes_are_those_that_the_run_shares():
  every = load(_SIM).read_label(4)
  some = load(_PHOTO, classes="way=road+pavement,car=vehicle+car")
  expected = np.full_like(every, scenes.IGNORED)
  expected[(every == 3) | (every == 4)] = 0
  expected[every == 8] = 1
  np.testing.assert_array_equal(some.read_label(4), expected)
  assert some.class_names == ("way", "car")
  assert load(_SIM).class_names == streets.CLASSES


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"classes": "road,bulding"}, "Did you mean 'building'.*data.classes"),
    ({"classes": "road,water=lake+sea"}, "no class 'water'.*bicyclist, building"),
    ({"channels": 1}, "channels=3"),
    ({"height": 16}, "data.height is 16; expected 32 to 4096"),
    ({"width": 8192}, "data.width is 8192"),
  ],
)
def test_what_cannot_be_drawn_is_said(changes, said):
  with pytest.raises(config_lib.UserError, match=said):
    load(_SIM, **changes)


def test_labels_are_given_only_where_asked_for():
  loaded = data.load(_SIM, "train", False, _OPTIONS, "/no/such/folder")
  assert loaded.read_label is None
  assert loaded.digests
  assert streets.SIM.has_labels("/no/such/folder", "test")


def test_no_file_is_needed(tmp_path):
  data.check_files(_OPTIONS, str(tmp_path))
  with pytest.raises(config_lib.UserError, match="USPS") as caught:
    data.check_files(config_lib.Data(source=_SIM, target="usps"), str(tmp_path))
  assert "streets" not in str(caught.value)
