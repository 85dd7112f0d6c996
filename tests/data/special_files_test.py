"""Pipes, sockets, devices, folders and broken links in the place of a data set's files."""

import os
import pathlib
import socket

import h5py
import numpy as np
import pytest
import scipy.io

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam import data, files


def _socket(path):
  # Names of sockets are short.
  where = os.getcwd()
  os.chdir(path.parent)
  try:
    with socket.socket(socket.AF_UNIX) as made:
      made.bind(path.name)
  finally:
    os.chdir(where)


KINDS = {
  "pipe": os.mkfifo,
  "socket": _socket,
  "folder": os.mkdir,
  "device": lambda path: path.symlink_to("/dev/zero"),
  "broken link": lambda path: path.symlink_to("nowhere"),
}
OPTIONS = config_lib.Data(classes="road", num_classes=0)


def _npz(root):
  (root / "own").mkdir()
  for split in ("train", "test"):
    arrays = {"images": np.zeros((4, 8, 8), np.uint8), "labels": np.arange(4)}
    np.savez(root / "own" / f"{split}.npz", **arrays)


def _h5(root):
  (root / "usps").mkdir()
  with h5py.File(root / "usps" / "usps.h5", "w") as file:
    for split in ("train", "test"):
      file[f"{split}/data"] = np.zeros((4, 256), np.float32)
      file[f"{split}/target"] = np.arange(4)


def _split_mat(root):
  folder = street_folders.write_gta5(root)
  values = {"trainIds": [[1]], "testIds": [[2]]}
  scipy.io.savemat(os.path.join(folder, "split.mat"), values)


def _lists(root):
  folder = pathlib.Path(street_folders.write_own(root))
  description = (folder / "dataset.yaml").read_text()
  description = description.replace("{split}", "train")
  description = description.replace("train: train, test: val", "train: a.txt, test: b.txt")
  (folder / "dataset.yaml").write_text(description)
  (folder / "a.txt").write_text("000\n")
  (folder / "b.txt").write_text("001\n")


# How a set is written, its name, its split and a file of that.
FILES = (
  (synthetic.write_mnist, "mnist", "train", "train-images-idx3-ubyte.gz"),
  (synthetic.write_mnist, "mnist", "test", "t10k-labels-idx1-ubyte.gz"),
  (synthetic.write_usps, "usps", "train", "zip.train.gz"),
  (synthetic.write_usps, "usps", "test", "zip.test.gz"),
  (_h5, "usps", "test", "usps.h5"),
  (synthetic.write_svhn, "svhn", "test", "test_32x32.mat"),
  (_npz, "npz:own", "train", "train.npz"),
  (_npz, "npz:own", "test", "test.npz"),
  (_split_mat, "gta5", "train", "split.mat"),
  (_lists, "scenes:own", "test", "b.txt"),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("write", "name", "split", "file"), FILES)
def test_what_is_no_file_is_named_and_never_taken_for_no_labels(
  tmp_path, write, name, split, file, kind
):
  write(tmp_path)
  path = tmp_path / name.rpartition(":")[2] / file
  path.unlink()
  KINDS[kind](path)

  def score():
    module, folder = data.locate(name, str(tmp_path))
    assert module.has_labels(folder, split)
    data.load(name, split, True, OPTIONS, str(tmp_path))

  with pytest.raises(config_lib.UserError) as caught:
    score()
  assert str(path) in str(caught.value)
  assert "\n" not in str(caught.value)


# How a set is written, its name, and the folder of a split's labels.
FOLDERS = (
  (street_folders.write_gta5, "gta5", "labels"),
  (street_folders.write_synthia, "synthia", "GT/LABELS"),
  (street_folders.write_cityscapes, "cityscapes", "gtFine/train"),
  (street_folders.write_camvid, "camvid", "trainannot"),
  (street_folders.write_carla, "carla", "CameraSeg"),
  (lambda root: (root / "folder").mkdir(), "folder", "train"),
)


@pytest.mark.parametrize("kind", ["pipe", "broken link", "file"])
@pytest.mark.parametrize(("write", "name", "labels"), FOLDERS)
def test_what_is_no_folder_is_never_taken_for_no_labels(
  tmp_path, write, name, labels, kind
):
  write(tmp_path)
  path = tmp_path / name / labels
  if path.exists():
    path.rename(tmp_path / "elsewhere")
  assert not data.DATASETS[name].has_labels(str(tmp_path / name), "train")
  KINDS.get(kind, pathlib.Path.touch)(path)
  with pytest.raises(config_lib.UserError, match=f"{labels} is .*; expected a folder"):
    data.DATASETS[name].has_labels(str(tmp_path / name), "train")


@pytest.mark.parametrize("kind", ["pipe", "broken link", "file"])
def test_what_is_no_folder_of_labels_is_named_by_scenes_too(tmp_path, kind):
  folder = pathlib.Path(street_folders.write_own(tmp_path))
  path = folder / "labels" / "val"
  path.rename(tmp_path / "elsewhere")
  assert not data.DATASETS["scenes"].has_labels(str(folder), "test")
  KINDS.get(kind, pathlib.Path.touch)(path)
  with pytest.raises(config_lib.UserError, match="labels/val is .*; expected a folder"):
    data.DATASETS["scenes"].has_labels(str(folder), "test")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
@pytest.mark.parametrize("part", ["train", "trainannot"])
@pytest.mark.parametrize("skip", [False, True])
def test_an_image_or_label_that_is_no_file_is_named_or_skipped(tmp_path, kind, part, skip):
  folder = pathlib.Path(street_folders.write_camvid(tmp_path))
  path = folder / part / "0001TP_000002.png"
  path.unlink()
  KINDS[kind](path)
  skipping = {"on_bad_image": "skip"} if skip else {}
  options = config_lib.Data(classes="road", num_classes=0, **skipping)
  if skip:
    loaded = data.load("camvid", "train", True, options, str(tmp_path))
    assert (len(loaded), len(loaded.notes)) == (5, 2)
  else:
    with pytest.raises(config_lib.UserError, match="train.*/0001TP_000002.png is a"):
      data.load("camvid", "train", True, options, str(tmp_path))


def own_classes(root, *names):
  for name in names:
    image = np.full((8, 8), len(name), np.uint8)
    street_folders.save(image, root, "own", "train", name, "a.png")


def class_folders(root):
  return data.DATASETS["folder"].class_names(str(root / "own"), "train")


@pytest.mark.parametrize(
  ("kind", "said"), [("pipe", "is no folder"), ("broken link", "is a link to nothing")]
)
def test_what_may_have_been_meant_as_a_class_folder_is_not_left_out(tmp_path, kind, said):
  own_classes(tmp_path, "cat", "dog")
  (tmp_path / "own" / "train" / "notes.txt").touch()
  assert class_folders(tmp_path) == ["cat", "dog"]
  KINDS[kind](tmp_path / "own" / "train" / "eel")
  with pytest.raises(config_lib.UserError, match=f"train/eel {said}; expected a folder"):
    class_folders(tmp_path)


@pytest.mark.parametrize("target", ["cat", ".", "..", "../.."])
def test_a_class_folder_that_is_another_one_by_a_link(tmp_path, target):
  own_classes(tmp_path, "cat", "dog")
  (tmp_path / "own" / "train" / "eel").symlink_to(target)
  with pytest.raises(config_lib.UserError, match="train/eel is a link.*read twice"):
    class_folders(tmp_path)


def test_a_city_that_is_another_one_by_a_link(tmp_path):
  folder = pathlib.Path(street_folders.write_cityscapes(tmp_path))
  (folder / "leftImg8bit" / "train" / "bonn").symlink_to("aachen")
  with pytest.raises(config_lib.UserError, match="bonn.*read twice"):
    data.load("cityscapes", "train", False, OPTIONS, str(tmp_path))


def refuse(monkeypatch, call, ending):
  """Has the system refuse `call` on paths of that ending; root may do everything."""
  allowed = getattr(os, call)

  def refusing(path, *arguments, **options):
    if str(path).endswith(ending):
      raise PermissionError(13, "Permission denied", path)
    return allowed(path, *arguments, **options)

  monkeypatch.setattr(os, call, refusing)


UNLISTED = (
  (street_folders.write_cityscapes, "cityscapes", "leftImg8bit/train/zurich"),
  (street_folders.write_cityscapes, "cityscapes", "leftImg8bit/train"),
  (street_folders.write_camvid, "camvid", "camvid/train"),
  (street_folders.write_gta5, "gta5", "gta5/images"),
  (street_folders.write_synthia, "synthia", "synthia/RGB"),
  (street_folders.write_own, "scenes:own", "own/images/train"),
  (street_folders.write_own, "scenes:own", "own/images/train/south"),
  (lambda root: own_classes(root, "cat", "dog"), "folder:own", "own/train"),
  (lambda root: own_classes(root, "cat", "dog"), "folder:own", "own/train/dog"),
)


@pytest.mark.parametrize(("write", "name", "ending"), UNLISTED)
def test_a_folder_that_may_not_be_listed_is_named(
  tmp_path, monkeypatch, write, name, ending
):
  write(tmp_path)
  refuse(monkeypatch, "listdir", ending)
  with pytest.raises(config_lib.UserError, match=f"{ending} cannot be listed: Permission"):
    data.load(name, "train", False, OPTIONS, str(tmp_path))


def test_a_folder_below_one_star_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
  folder = pathlib.Path(street_folders.write_own(tmp_path))
  text = (folder / "dataset.yaml").read_text()
  (folder / "dataset.yaml").write_text(text.replace("**", "*"))
  refuse(monkeypatch, "listdir", "train/south")
  with pytest.raises(config_lib.UserError, match="south cannot be listed: Permission"):
    data.load("scenes:own", "train", False, OPTIONS, str(tmp_path))


def test_what_may_not_be_looked_at_is_not_taken_for_missing(tmp_path, monkeypatch):
  synthetic.write_usps(tmp_path)
  refuse(monkeypatch, "lstat", "zip.test.gz")
  with pytest.raises(config_lib.UserError, match="zip.test.gz.*Permission denied"):
    data.DATASETS["usps"].has_labels(str(tmp_path / "usps"), "test")


@pytest.mark.parametrize(("write", "name", "split", "file"), FILES)
def test_a_file_that_may_not_be_read_is_not_called_damaged(
  tmp_path, monkeypatch, write, name, split, file
):
  write(tmp_path)
  refuse(monkeypatch, "open", file)
  with pytest.raises((config_lib.UserError, PermissionError)) as caught:
    data.load(name, split, True, OPTIONS, str(tmp_path))
  said = files.problem(caught.value) or str(caught.value)  # as commands say it
  assert file in said
  assert "Permission denied" in said
  assert "damaged" not in said
  assert "Get it" not in said
