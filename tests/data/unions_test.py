"""Several targets as one split."""

import dataclasses

import numpy as np
import pytest

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import camvid, unions
from tfdam.data import examples as examples_lib

_CLASSES = {"classes": "road,sky", "num_classes": 0, "channels": 3}


def _camvid(root):
  """Six training scenes, of which two are at dusk; four of the test split, one at dusk."""
  street_folders.write_camvid(root, dusk=(2, 1))


def _options(target, **fields):
  return config_lib.Data(source="streets/sim", target=target, **{**_CLASSES, **fields})


def _both(root, **fields):
  return data.load_training(
    "target", False, _options("camvid/day+camvid/dusk", **fields), str(root), seed=0
  )


def test_a_plus_joins_targets_but_may_be_in_a_folders_name():
  known = data.DATASETS
  assert unions.names("camvid", known) == ("camvid",)
  assert unions.names("camvid/day+camvid/dusk", known) == ("camvid/day", "camvid/dusk")
  assert unions.names("folder:a+b", known) == ("folder:a+b",)
  assert unions.names("folder:a+mnist", known) == ("folder:a", "mnist")
  assert unions.names("mnist+b", known) == ("mnist", "b")


def test_day_and_dusk_are_camvid_by_its_files_names(tmp_path):
  _camvid(tmp_path)
  counts = {
    name: len(data.load(name, "train", True, _options(name), str(tmp_path)))
    for name in ("camvid", "camvid/day", "camvid/dusk")
  }
  assert counts == {"camvid": 6, "camvid/day": 4, "camvid/dusk": 2}


def test_official_camvid_has_as_many_images_by_day_and_at_dusk_as_is_said():
  folder = f"{synthetic.real_data('camvid')}/camvid"
  for module in (camvid.DAY, camvid.DUSK):
    for split in ("train", "test"):
      found = module.load(folder, split, False, _options("camvid"))
      assert len(found) == module.INFO.sizes[split]
      assert not found.notes


def test_a_union_has_the_images_of_its_targets_in_their_order(tmp_path):
  _camvid(tmp_path)
  both = _both(tmp_path)
  assert both.parts.names == ("camvid/day", "camvid/dusk")
  np.testing.assert_array_equal(both.parts.of, [0, 0, 0, 0, 1, 1])
  for name in both.parts.names:
    alone = data.load_training("target", False, _options(name), str(tmp_path), seed=0)
    part = unions.part(both, name)
    assert list(part.names) == list(alone.names)
    for i in range(len(alone)):
      np.testing.assert_array_equal(part.read_image(i), alone.read_image(i))
  chosen = both.take([5, 0])
  np.testing.assert_array_equal(chosen.parts.of, [1, 0])


def test_a_limit_is_that_of_each_target(tmp_path):
  _camvid(tmp_path)
  both = _both(tmp_path, target_limit=2)
  np.testing.assert_array_equal(both.parts.of, [0, 0, 1, 1])
  with pytest.raises(
    config_lib.UserError, match="is 3, but target camvid/dusk/train has 2"
  ):
    _both(tmp_path, target_limit=3)


def test_adaptation_opens_no_label_of_any_target(tmp_path):
  _camvid(tmp_path)
  for path in (tmp_path / "camvid" / "trainannot").iterdir():
    path.unlink()
  both = _both(tmp_path)
  assert both.read_label is None
  both.read_image(5)


def test_scored_splits_know_their_targets_and_share_their_images(tmp_path):
  _camvid(tmp_path)
  options = _options("camvid/day+camvid/dusk", target_limit=1)
  target = data.load_training("target", False, options, str(tmp_path), seed=0)
  scored = data.load_scored(options, str(tmp_path), 0, target)
  np.testing.assert_array_equal(scored["test"].parts.of, [0, 0, 0, 1])
  np.testing.assert_array_equal(scored["transductive"].parts.of, [0, 1])
  assert scored["transductive"].read_image is target.read_image
  assert scored["transductive"].has_labels


def test_camvid_as_one_target_is_one_target_and_scored_by_sequence(tmp_path):
  _camvid(tmp_path)
  options = _options("camvid")
  assert data.load_training("target", False, options, str(tmp_path), seed=0).parts is None
  scored = data.load_scored(options, str(tmp_path), 0)
  assert scored["test"].parts.names == ("camvid/day", "camvid/dusk")
  np.testing.assert_array_equal(scored["test"].parts.of, [1, 0, 0, 0])


@pytest.mark.parametrize(
  ("target", "said"),
  [
    ("camvid/day+camvid/day", "names 'camvid/day' twice"),
    ("camvid/day+streets/sim", "names the source, 'streets/sim', among several"),
    ("camvid/day+camvid/dask", r"'camvid/dask' is no data set.*Did you mean"),
    ("camvid/day+", "'' is no data set"),
    ("camvid/day+mnist", "mnist is for classification"),
  ],
)
def test_a_list_that_cannot_be_is_refused(target, said):
  with pytest.raises(config_lib.UserError, match=said):
    data.task(_options(target), "/data")


def test_every_target_without_files_is_named(tmp_path):
  options = config_lib.Data(source="mnist", target="usps+svhn")
  with pytest.raises(config_lib.UserError) as caught:
    data.check_files(options, str(tmp_path))
  for title in ("MNIST", "USPS", "SVHN"):
    assert f"{title}: expected in" in str(caught.value)


def test_unlike_sizes_are_brought_to_one(tmp_path):
  synthetic.write_all(tmp_path)
  options = config_lib.Data(source="svhn", target="mnist+usps")
  target = data.load_training("target", False, options, str(tmp_path), seed=0)
  assert target.images.shape == (350, 28, 28, 1)
  assert target.labels is None
  alone = data.load("mnist", "train", False, options, str(tmp_path))
  np.testing.assert_array_equal(unions.part(target, "mnist").images, alone.images)


def test_a_skew_is_that_of_each_target(tmp_path):
  synthetic.write_all(tmp_path)
  options = config_lib.Data(source="svhn", target="mnist+usps", target_skew="no_odd")
  target = data.load_training("target", False, options, str(tmp_path), seed=0)
  np.testing.assert_array_equal(np.bincount(target.parts.of), [100, 75])


def test_other_names_of_classes_are_refused():
  def split(names):
    images = np.zeros((2, 8, 8, 1), np.uint8)
    return examples_lib.Examples(images, np.arange(2), {}, class_names=names)

  options = config_lib.Data()
  alike = {"folder:a": split(("cat", "dog")), "folder:b": split(("cat", "dog"))}
  assert unions.united(alike, options).class_names == ("cat", "dog")
  unlike = {**alike, "folder:b": split(("cat", "duck"))}
  with pytest.raises(config_lib.UserError, match="cat, dog in folder:a, cat, duck in fold"):
    unions.united(unlike, options)


def test_a_network_of_each_target_is_found_by_the_targets_name():
  options = _options("camvid/day+camvid/dusk")
  data.check_is_target("camvid/dusk", options)
  with pytest.raises(
    config_lib.UserError, match=r"\(camvid/day, camvid/dusk\).*Set --targ"
  ):
    data.check_is_target("", options)
  with pytest.raises(config_lib.UserError, match="none for camvid/dask. Did you mean"):
    data.check_is_target("camvid/dask", options)


def test_one_target_is_that_split_itself():
  split = examples_lib.Examples(np.zeros((2, 8, 8, 1), np.uint8), None, {})
  assert unions.united({"mnist": split}, config_lib.Data()) is split
  assert dataclasses.replace(split).parts is None
