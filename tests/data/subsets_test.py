"""Training splits cut by label and by number: which images, and for whom."""

import os

import numpy as np
import pytest

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import examples as examples_lib
from tfdam.data import subsets


def numbered(count):
  """Images that show their own number; labels 0 to 9 in turn."""
  images = np.zeros((count, 2, 2, 1), np.uint8) + np.arange(count)[:, None, None, None]
  labels = np.arange(count) % 10
  return examples_lib.Examples(images.astype(np.uint8), labels, {"file": "md5"}, ("old",))


def numbers(examples):
  return examples.images[:, 0, 0, 0].astype(int)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


def load(root, role, labels=True, seed=0, **fields):
  options = config_lib.Data(source="mnist", target="usps", **fields)
  return data.load_training(role, labels, options, root, seed)


@pytest.mark.parametrize(("parity", "remainder"), [("odd", 1), ("even", 0)])
def test_a_skew_halves_the_labels_that_it_names_and_keeps_the_others(parity, remainder):
  cut = subsets.skewed(numbered(100), parity, 0, "set")
  kept = numbers(cut)
  assert np.count_nonzero(kept % 2 == remainder) == 25
  assert np.count_nonzero(kept % 2 != remainder) == 50
  np.testing.assert_array_equal(cut.labels, kept % 10)
  assert (np.diff(kept) > 0).all()
  assert cut.notes == ("old", f"set skewed: half of the {parity} labels dropped, 75 images")
  assert cut.digests == {"file": "md5"}


@pytest.mark.parametrize(("skew", "left"), [("no_odd", 0), ("no_even", 1)])
def test_the_other_reading_leaves_none_of_the_labels_that_it_names(skew, left):
  cut = subsets.skewed(numbered(100), skew, 0, "set")
  np.testing.assert_array_equal(numbers(cut), np.arange(left, 100, 2))
  np.testing.assert_array_equal(cut.labels, np.arange(left, 100, 2) % 10)
  parity = skew.removeprefix("no_")
  assert cut.notes[-1] == f"set skewed: all of the {parity} labels dropped, 50 images"
  again = subsets.skewed(numbered(100), skew, 7, "set")
  np.testing.assert_array_equal(again.images, cut.images)


def test_a_skew_that_leaves_nothing_is_told():
  even = numbered(100).take(np.arange(0, 100, 2))
  assert len(subsets.skewed(even, "no_odd", 0, "source npz:mine/train")) == 50
  with pytest.raises(config_lib.UserError) as caught:
    subsets.skewed(even, "no_even", 0, "source npz:mine/train")
  assert "even labels alone; its skew 'no_even' leaves no image." in str(caught.value)
  assert "--config.data.source_skew=none" in config_lib.with_flags(caught.value)


def test_of_an_odd_number_of_images_the_larger_half_stays():
  assert sorted(numbers(subsets.skewed(numbered(6), "odd", 0, "set")) % 2) == [
    0,
    0,
    0,
    1,
    1,
  ]


def test_a_limit_chooses_different_images_in_their_order():
  cut = subsets.limited(numbered(100), 30, 0, "set")
  assert len(cut) == 30
  assert (np.diff(numbers(cut)) > 0).all()
  # Not just the first ones.
  assert numbers(cut).max() > 60
  np.testing.assert_array_equal(cut.labels, numbers(cut) % 10)
  assert cut.notes == ("old", "set limited to 30 of 100 images")


@pytest.mark.parametrize("limit", [0, 100])
def test_no_limit_and_a_limit_of_all_change_nothing(limit):
  examples = numbered(100)
  assert subsets.limited(examples, limit, 0, "set") is examples


@pytest.mark.parametrize("cut", [
  lambda seed: subsets.skewed(numbered(100), "odd", seed, "set"),
  lambda seed: subsets.limited(numbered(100), 30, seed, "set"),
])  # fmt: skip
def test_the_seed_decides_which_images(cut):
  np.testing.assert_array_equal(numbers(cut(3)), numbers(cut(3)))
  assert numbers(cut(3)).tolist() != numbers(cut(4)).tolist()


def test_the_limit_is_taken_after_the_skew(root):
  # 150 images, every label as often: 38 of 75 odd ones are left.
  cut = load(root, "target", target_skew="odd", target_limit=100)
  assert len(cut) == 100
  assert cut.notes[-2:] == (
    "target usps/train skewed: half of the odd labels dropped, 113 images",
    "target usps/train limited to 100 of 113 images",
  )


def test_a_field_of_one_domain_leaves_the_other_whole(root):
  fields = {"source_skew": "even", "source_limit": 70}
  assert len(load(root, "source", **fields)) == 70
  whole = load(root, "target", **fields)
  assert len(whole) == 150
  assert not [note for note in whole.notes if "skewed" in note or "limited" in note]


def test_domains_with_the_same_data_are_cut_independently(root):
  options = config_lib.Data(
    source="mnist", target="mnist", source_limit=50, target_limit=50
  )
  source, target = (
    data.load_training(role, True, options, root, 0) for role in ("source", "target")
  )
  assert not np.array_equal(source.images, target.images)


@pytest.mark.parametrize("fields", [
  {"target_skew": "even"},
  {"target_limit": 40},
  {"target_skew": "odd", "target_limit": 40},
  {"target_skew": "no_even"},
  {"source_skew": "no_odd", "target_skew": "no_odd"},
])  # fmt: skip
def test_scored_transductively_are_the_images_adapted_to_and_the_test_split_is_whole(
  root, fields
):
  options = config_lib.Data(**fields)
  adapted_to = data.load_training("target", False, options, root, 5)
  scored = data.load_scored(options, root, 5)
  np.testing.assert_array_equal(scored["transductive"].images, adapted_to.images)
  assert len(adapted_to) < 150
  assert len(scored["test"]) == 50
  whole = data.load("usps", "train", True, options, root)
  place = {image.tobytes(): label for image, label in zip(whole.images, whole.labels)}
  assert [place[image.tobytes()] for image in adapted_to.images] == list(
    scored["transductive"].labels
  )


@pytest.mark.parametrize("limit", [0, 7, 12])
def test_a_damaged_label_leaves_the_other_scenes_adapted_to_scored(tmp_path, limit):
  folder = street_folders.write_camvid(tmp_path, train=12, test=2)
  open(f"{folder}/trainannot/0001TP_000003.png", "wb").close()
  options = config_lib.Data(
    source="streets/sim", target="camvid", classes="road,sky", num_classes=0, channels=3,
    height=48, width=64, target_limit=limit, on_bad_image="skip",
  )  # fmt: skip
  for seed in range(3):
    adapted_to = data.load_training("target", False, options, str(tmp_path), seed)
    assert len(adapted_to) == (limit or 12)
    expected = [name for name in adapted_to.names if "000003" not in name]
    for target in (adapted_to, None):
      scored = data.load_scored(options, str(tmp_path), seed, target)["transductive"]
      assert scored.names == expected
      np.testing.assert_array_equal(scored.read_image(0), adapted_to.read_image(
        adapted_to.names.index(expected[0])
      ))  # fmt: skip
      assert scored.read_label(0).shape == (48, 64)


def test_a_skewed_target_is_still_handed_over_without_labels(root):
  cut = load(root, "target", labels=False, target_skew="odd", target_limit=40)
  assert (len(cut), cut.labels) == (40, None)


def test_without_a_skew_target_labels_are_not_opened_even_for_a_limit(tmp_path):
  root = synthetic.write_all(tmp_path)
  options = config_lib.Data(source="usps", target="mnist", target_limit=40)
  before = data.load_training("target", False, options, root, 0)
  (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
  after = data.load_training("target", False, options, root, 0)
  assert after.labels is None
  np.testing.assert_array_equal(before.images, after.images)


def test_digests_stay_those_of_the_files(root):
  whole, cut = load(root, "source"), load(root, "source", source_limit=3)
  assert cut.digests == whole.digests


@pytest.mark.parametrize(("role", "fields", "said"), [
  ("source", {"source_limit": 201}, "201, but source mnist/train has 200 images. Set"),
  (
    "target",
    {"target_limit": 114, "target_skew": "odd"},
    "114, but target usps/train has 113 images after its skew. Set",
  ),
])  # fmt: skip
def test_a_limit_above_what_there_is_names_the_size_and_the_flag(root, role, fields, said):
  with pytest.raises(config_lib.UserError) as caught:
    load(root, role, **fields)
  assert said in str(caught.value)
  assert f"data.{role}_limit" in str(caught.value)


def test_an_unlabelled_target_cannot_be_skewed(tmp_path):
  root = synthetic.write_all(tmp_path)
  os.remove(tmp_path / "mnist" / "train-labels-idx1-ubyte.gz")
  options = config_lib.Data(target="mnist", target_skew="odd")
  with pytest.raises(config_lib.UserError, match="no training labels.*target_skew=none"):
    data.load_training("target", False, options, root, 0)
