"""What every data set in the registry must do."""

import importlib
import inspect
import os
import pkgutil
import re

import numpy as np
import pytest
from PIL import Image

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import examples


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
  return [name for name in full_names() if task(name) == "classification"]


def street_names(root):
  """Every registered street-scene set, written below `root`."""
  street_folders.write_all(root)
  return [name for name in full_names() if task(name) == "segmentation"]


def full_names():
  return [f"{n}:own" if m.INFO.own else n for n, m in data.DATASETS.items()]


def task(name):
  return data.locate(name, "")[0].INFO.task


def test_every_data_set_is_in_the_registry():
  written = {
    info.title
    for found in pkgutil.iter_modules([os.path.dirname(data.__file__)])
    for info in data_sets(importlib.import_module(f"tfdam.data.{found.name}"))
  }
  assert written == {item.INFO.title for item in data.DATASETS.values()}


def data_sets(module):
  """The INFO of a module that is a data set, or of those that stand in it."""
  every = (module, *vars(module).values())
  found = (getattr(item, "INFO", None) for item in every if not inspect.isclass(item))
  return [info for info in found if isinstance(info, examples.Info)]


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


def test_scenes_and_their_labels_are_given_where_asked_for(tmp_path):
  # Names that every set has, whatever it calls them.
  options = config_lib.Data(
    classes="road,building,car=car+vehicle,tree=tree+vegetation",
    num_classes=0,
    channels=3,
    height=64,
    width=96,
  )
  for name in street_names(tmp_path):
    # Procedural streets have no label files, and not every class in every scene.
    has_files = bool(data.locate(name, str(tmp_path))[0].INFO.files)
    for split in ("train", "test"):
      labelled = data.load(name, split, True, options, str(tmp_path))
      bare = data.load(name, split, False, options, str(tmp_path))
      assert len(labelled) == len(bare) == len(labelled.names) > 0, name
      assert labelled.class_names == bare.class_names
      assert labelled.class_names == ("road", "building", "car", "tree")
      assert bare.read_label is None
      assert labelled.digests.items() >= bare.digests.items()
      assert (len(labelled.digests) > len(bare.digests)) == has_files
      image, label = labelled.read_image(0), labelled.read_label(0)
      assert (image.dtype, label.dtype) == (np.uint8, np.uint8)
      assert image.shape == (*label.shape, 3)
      assert set(np.unique(label)) <= {0, 1, 2, 3, 255}, name
      assert len(np.unique(label)) == 5 or not has_files, name
      np.testing.assert_array_equal(bare.read_image(0), image)
      assert data.locate(name, str(tmp_path))[0].has_labels(
        data.locate(name, str(tmp_path))[1], split
      )


def test_a_street_set_without_a_class_names_itself_and_the_class(tmp_path):
  options = config_lib.Data(classes="road,zeppelin", num_classes=0)
  for name in street_names(tmp_path):
    for labels in (True, False):
      with pytest.raises(config_lib.UserError, match="no class 'zeppelin'.*data.classes"):
        data.load(name, "train", labels, options, str(tmp_path))


def test_facts_are_stated(tmp_path):
  for module in data.DATASETS.values():
    assert module.INFO.title
    # What needs no file is drawn by tfdam itself.
    assert module.INFO.files or "tfdam itself" in module.INFO.where
    assert module.INFO.where
    assert module.INFO.licence


def test_every_official_set_can_be_downloaded_whole(tmp_path):
  synthetic.write_all(tmp_path)
  for name, module in data.DATASETS.items():
    info = module.INFO
    assert bool(info.downloads) == bool(info.sizes) or info.task == "segmentation", name
    fetched = {download.file for download in info.downloads}
    for files in (*info.files.values(), *info.label_files.values()):
      assert not info.downloads or fetched & set(files.split(" or ")), f"{name}: {files}"
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
