"""What every data set in the registry must do."""

import os
import pkgutil
import re

import numpy as np
import pytest
from PIL import Image

from tests import synthetic
from tfdam import config as config_lib
from tfdam import data

_HELPERS = {"downloads", "examples", "pairs", "subsets", "transforms"}


def names(root):
  """Every registered data set, written below `root`; users' own with MNIST's images."""
  synthetic.write_all(root)
  for split in ("train", "test"):
    examples = data.load("mnist", split, True, config_lib.Data(), str(root))
    os.makedirs(root / "own", exist_ok=True)
    np.savez(root / "own" / f"{split}.npz", images=examples.images, labels=examples.labels)
    for i, (image, label) in enumerate(zip(examples.images, examples.labels)):
      folder = root / "own" / split / str(label)
      folder.mkdir(parents=True, exist_ok=True)
      Image.fromarray(image[..., 0]).save(folder / f"{i:04d}.png")
  return [
    name if data.DATASETS[name].INFO.sizes else f"{name}:own" for name in data.DATASETS
  ]


def test_every_module_is_in_the_registry():
  modules = {m.name for m in pkgutil.iter_modules([os.path.dirname(data.__file__)])}
  assert modules - _HELPERS == set(data.DATASETS)


def test_labels_are_given_where_asked_for_and_only_there(tmp_path):
  options, root = config_lib.Data(), str(tmp_path)
  for name in names(tmp_path):
    for split in ("train", "test"):
      with_labels = data.load(name, split, True, options, root)
      without = data.load(name, split, False, options, root)
      assert with_labels.images.dtype == np.uint8
      assert with_labels.images.ndim == 4
      assert with_labels.labels.dtype == np.int64
      assert set(with_labels.labels) == set(range(10))
      assert without.labels is None
      np.testing.assert_array_equal(with_labels.images, without.images)
      assert with_labels.digests


def test_facts_are_stated(tmp_path):
  for module in data.DATASETS.values():
    assert module.INFO.title
    assert module.INFO.files
    assert module.INFO.where
    assert module.INFO.licence


def test_every_official_set_can_be_downloaded_whole(tmp_path):
  synthetic.write_all(tmp_path)
  for name, module in data.DATASETS.items():
    info = module.INFO
    assert bool(info.downloads) == bool(info.sizes), name
    fetched = {download.file for download in info.downloads}
    for files in (*info.files.values(), *info.label_files.values()):
      assert not info.sizes or fetched & set(files.split(" or ")), f"{name}: {files}"
    for download in info.downloads:
      assert download.url.startswith(("https://", "http://"))
      assert re.fullmatch("[0-9a-f]{32}", download.md5)
      # Drawn files are readable and not the official ones.
      found = download.digest(str(tmp_path / name / download.file))
      assert re.fullmatch("[0-9a-f]{32}", found)
      assert found != download.md5


def test_every_set_can_be_skewed_and_limited(tmp_path):
  for name in names(tmp_path):
    options = config_lib.Data(source=name, source_skew="odd", source_limit=20)
    whole = data.load(name, "train", True, options, str(tmp_path))
    cut = data.load_training("source", True, options, str(tmp_path), seed=0)
    assert len(cut) == 20
    assert cut.digests == whole.digests
    assert len(cut.notes) == len(whole.notes) + 2


@pytest.mark.parametrize("name", ["mnist", "usps"])
def test_real_files_have_the_checksums_of_their_downloads(name):
  root = synthetic.real_data(name)
  for download in data.DATASETS[name].INFO.downloads:
    assert download.digest(os.path.join(root, name, download.file)) == download.md5


@pytest.mark.parametrize("name", ["mnist", "usps", "svhn"])
def test_real_sets_load(name):
  root = synthetic.real_data(name)
  assert len(data.load(name, "test", True, config_lib.Data(), root)) > 100
