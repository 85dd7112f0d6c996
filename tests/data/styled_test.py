"""A source's training split in the target's look: which pairs, what is read, what it is."""

import dataclasses
import os

import numpy as np
import pytest

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import array_transforms, styled, styles

STYLES = list(styles.STYLES)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp("data")
  street_folders.write_camvid(root, train=5, test=2)
  for name in ("photos", "arrays"):
    (root / name).mkdir()
  images = np.random.RandomState(0).randint(0, 256, (4, 30, 40, 3)).astype(np.uint8)
  np.savez(root / "arrays" / "train.npz", images=images)
  for i, one in enumerate(images):
    street_folders.save(one, str(root), "photos", "train", f"{i}.png")
  return synthetic.write_all(root)


def digits(**fields):
  fields = {"source": "mnist", "target": "usps", "fourier_share": 0.1, **fields}
  return config_lib.Data(**fields)


def streets(**fields):
  return config_lib.Data(**{
    "source": "streets/sim", "target": "camvid", "classes": "road,sky", "num_classes": 0,
    "channels": 3, "height": 48, "width": 64, "source_limit": 7, "fourier_share": 0.1,
    **fields,
  })  # fmt: skip


def load(options, root, seed=0, target=None, labels=True):
  return data.load_training("source", labels, options, root, seed, target)


def pairs_of(count, num_targets, seed):
  seed = config_lib.derive_seed(seed, "source style")
  return np.resize(np.random.RandomState(seed).permutation(num_targets), count)


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize(
  ("source", "target", "channels"),
  [("mnist", "usps", 1), ("usps", "mnist", 1), ("svhn", "mnist", 1), ("mnist", "svhn", 3)],
)
def test_each_digit_is_styled_as_one_of_the_target_at_the_networks_size(
  root, name, source, target, channels
):
  options = digits(source=source, target=target, channels=channels, source_style=name)
  stored = load(dataclasses.replace(options, source_style="none"), root)
  like = data.load_training("target", False, options, root, 0)
  found = load(options, root)
  np.testing.assert_array_equal(found.labels, stored.labels)
  chosen = like.images[pairs_of(len(stored), len(like), 0)]
  own, other = (
    array_transforms.as_network_sees(images, 28, 28, channels)
    for images in (stored.images, chosen)
  )
  np.testing.assert_array_equal(found.images, styles.STYLES[name](own, other, options))
  assert np.abs(found.images.astype(int) - own).max() > 10


def test_blocks_change_nothing(root, monkeypatch):
  whole = load(digits(source_style="fourier"), root)
  monkeypatch.setattr(styled, "_AT_ONCE", 28 * 28 * 7)
  np.testing.assert_array_equal(
    load(digits(source_style="fourier"), root).images, whole.images
  )


def test_every_target_image_has_its_turn_and_the_seed_decides_when():
  pairing = styled._pairing(200, 150, seed=3)
  assert np.bincount(pairing, minlength=150).tolist().count(2) == 50
  np.testing.assert_array_equal(pairing[:50], pairing[150:])
  np.testing.assert_array_equal(pairing, styled._pairing(200, 150, seed=3))
  assert not np.array_equal(pairing, styled._pairing(200, 150, seed=4))
  assert len(set(styled._pairing(40, 150, seed=3))) == 40


@pytest.mark.parametrize("options", [digits, streets])
def test_without_a_style_nothing_changes_and_the_target_is_not_read(
  root, options, monkeypatch
):
  monkeypatch.setattr(styled, "training", lambda *_: pytest.fail("no style is wanted"))
  found = load(options(), root)
  assert "style" not in found.digests
  target = data.load_training("target", False, options(source_style="lab"), root, 0)
  assert "style" not in target.digests


@pytest.mark.parametrize("name", STYLES)
def test_scenes_are_styled_when_they_are_read_and_once(root, name):
  options = streets(source_style=name)
  target = data.load_training("target", False, options, root, 0)
  reads = []

  def counted(i):
    reads.append(i)
    return target.read_image(i)

  watched = dataclasses.replace(target, read_image=counted)
  found = load(options, root, target=watched)
  assert not reads
  stored = load(streets(), root)
  order = pairs_of(7, 5, 0)
  for i in (6, 0, 6):
    wanted = styles.STYLES[name](stored.read_image(i), target.read_image(order[i]), options)
    np.testing.assert_array_equal(found.read_image(i), wanted)
    np.testing.assert_array_equal(found.read_label(i), stored.read_label(i))
  assert reads == [order[6], order[0]]
  # Where memory is short, each time.
  again = load(dataclasses.replace(options, cache_mb=0), root, target=watched)
  reads.clear()
  np.testing.assert_array_equal(again.read_image(6), again.read_image(6))
  np.testing.assert_array_equal(again.read_image(6), found.read_image(6))
  assert reads == [order[6]] * 3


@pytest.mark.parametrize("target", ["folder:photos", "npz:arrays"])
def test_scenes_take_the_look_of_your_own_images(root, target):
  options = streets(source_style="lab", target=target)
  found, stored = load(options, root), load(streets(), root)
  like = data.load_training("target", False, options, root, 0)
  other = array_transforms.as_network_sees(like.images, 48, 64, 3)
  for i, j in enumerate(pairs_of(7, 4, 0)):
    wanted = styles.lab(stored.read_image(i), other[j])
    np.testing.assert_array_equal(found.read_image(i), wanted)


def test_your_own_images_take_the_look_of_scenes(root):
  options = streets(source="folder:photos", source_style="lab", source_limit=0)
  found = load(options, root, labels=False)
  assert found.images.shape == (4, 48, 64, 3)
  like = data.load_training("target", False, options, root, 0)
  stored = load(dataclasses.replace(options, source_style="none"), root, labels=False)
  for i, j in enumerate(pairs_of(4, 5, 0)):
    wanted = styles.lab(stored.images[i], like.read_image(int(j)))
    np.testing.assert_array_equal(found.images[i], wanted)


def test_target_labels_are_not_opened(tmp_path):
  root = synthetic.write_all(tmp_path)
  options = digits(source="usps", target="mnist", source_style="lab")
  before = load(options, root)
  (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
  np.testing.assert_array_equal(load(options, root).images, before.images)


def test_labels_of_a_target_of_scenes_are_not_opened(tmp_path):
  folder = street_folders.write_camvid(tmp_path, train=5, test=2)
  options = streets(source_style="fourier")
  before = load(options, str(tmp_path)).read_image(0)
  for name in os.listdir(f"{folder}/trainannot"):
    os.remove(f"{folder}/trainannot/{name}")
  os.rmdir(f"{folder}/trainannot")
  np.testing.assert_array_equal(load(options, str(tmp_path)).read_image(0), before)


def test_what_decides_the_look_is_in_the_digests(root):
  first = digits(source_style="fourier")
  others = [
    digits(source_style="lab"), digits(source_style="fourier", fourier_share=0.2),
    digits(source_style="fourier", target="svhn"),
    digits(source_style="fourier", height=32),
    digits(source_style="fourier", target_limit=30),
    digits(source_style="fourier", target_skew="odd"),
  ]  # fmt: skip
  found = {load(options, root).digests["style"] for options in [first, *others]}
  found.add(load(first, root, seed=1).digests["style"])
  assert len(found) == 8
  again = load(first, root)
  assert again.digests["style"] == load(first, root).digests["style"]
  files = load(digits(), root).digests
  assert {name: again.digests[name] for name in files} == files


def test_other_target_images_are_another_look(tmp_path):
  digests = []
  for gain in (1.0, 0.5):
    street_folders.write_camvid(tmp_path, train=5, test=2, gain=gain)
    found = load(streets(source_style="lab"), str(tmp_path))
    digests.append(found.digests["style"])
  assert digests[0] != digests[1]


def test_readers_of_the_results_are_told(root):
  [note] = [n for n in load(digits(source_style="fourier"), root).notes if "look" in n]
  assert note == "source mnist/train in the look of usps/train: fourier, share 0.1"
  [note] = [n for n in load(streets(source_style="lab"), root).notes if "look" in n]
  assert note == "source streets/sim/train in the look of camvid/train: lab"
