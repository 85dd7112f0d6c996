"""Finding data sets, and saying what is missing."""

import dataclasses
import gzip
import os

import numpy as np
import pytest
from PIL import Image

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import examples


def test_missing_folders_are_named_with_files_and_sources(tmp_path):
  with pytest.raises(config_lib.UserError) as caught:
    data.check_files(config_lib.Data(), str(tmp_path))
  text = str(caught.value)
  for part in (
    f"MNIST: expected in {tmp_path}/mnist", "train-images-idx3-ubyte.gz", "https://storage",
    f"USPS: expected in {tmp_path}/usps", "zip.train.gz", "usps.h5", "TFDAM_DATA",
    "data.root", "tfdam.download mnist usps",
  ):  # fmt: skip
    assert part in text


def test_one_missing_file_is_enough(tmp_path):
  synthetic.write_all(tmp_path)
  data.check_files(config_lib.Data(), str(tmp_path))
  os.remove(tmp_path / "usps" / "zip.test.gz")
  with pytest.raises(config_lib.UserError, match="USPS"):
    data.check_files(config_lib.Data(), str(tmp_path))


def test_plain_text_files_and_a_source_without_a_test_split_are_enough(tmp_path):
  synthetic.write_all(tmp_path)
  for split in ("train", "test"):
    path = tmp_path / "usps" / f"zip.{split}.gz"
    (tmp_path / "usps" / f"zip.{split}").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
  (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").unlink()
  data.check_files(config_lib.Data(), str(tmp_path))


def test_an_own_target_needs_no_test_split(tmp_path):
  synthetic.write_all(tmp_path)
  (tmp_path / "mine").mkdir()
  np.savez(tmp_path / "mine" / "train.npz", images=np.zeros((3, 8, 8), np.uint8))
  options = config_lib.Data(target="npz:mine")
  data.check_files(options, str(tmp_path))
  assert data.load_scored(options, str(tmp_path), seed=0) == {
    "test": None,
    "transductive": None,
  }


def test_missing_labels_are_no_missing_files(tmp_path):
  synthetic.write_all(tmp_path)
  options = config_lib.Data(source="usps", target="mnist")
  for name in ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
    os.remove(tmp_path / "mnist" / name)
  data.check_files(options, str(tmp_path))
  assert data.load_scored(options, str(tmp_path), seed=0) == {
    "test": None,
    "transductive": None,
  }


@pytest.mark.parametrize(
  ("name", "said"),
  [
    ("mnits", "Did you mean 'mnist'"),
    ("folder", "folder:NAME"),
    ("mnist:x", "'mnist' alone"),
  ],
)
def test_an_unknown_data_set_is_named(name, said):
  with pytest.raises(config_lib.UserError, match=said):
    data.locate(name, "/data")


def test_own_sets_lie_below_the_root():
  module, path = data.locate("folder:parts/bolts", "/data")
  assert (module, path) == (data.folder, "/data/parts/bolts")


def test_a_run_has_the_task_of_both_its_sets():
  options = config_lib.Data(source="gta5", target="scenes:mine")
  assert data.task(options, "/data") == "segmentation"
  assert data.task(config_lib.Data(), "/data") == "classification"
  options = config_lib.Data(source="gta5", target="mnist")
  with pytest.raises(config_lib.UserError) as caught:
    data.task(options, "/data")
  for part in ("gta5 is for segmentation", "mnist is for classification", "data.target"):
    assert part in str(caught.value)


def test_street_scenes_have_no_odd_labels_to_skew_by(tmp_path):
  street_folders.write_camvid(tmp_path)
  options = config_lib.Data(
    source="camvid", source_skew="odd", classes="road", num_classes=0
  )
  with pytest.raises(config_lib.UserError, match="camvid is a segmentation set.*skew=none"):
    data.load_training("source", True, options, str(tmp_path), seed=0)


def test_street_scenes_are_limited_alike_with_and_without_labels(tmp_path):
  street_folders.write_camvid(tmp_path, train=9)
  options = config_lib.Data(target="camvid", target_limit=4, classes="road", num_classes=0)
  bare = data.load_training("target", False, options, str(tmp_path), seed=0)
  scored = data.load_scored(options, str(tmp_path), seed=0)
  assert bare.read_label is None
  assert len(bare) == 4
  assert bare.names == scored["transductive"].names
  assert len(scored["test"]) == 4
  assert "limited to 4 of 9" in bare.notes[-1]


def test_images_that_are_adapted_to_and_scored_are_read_once(tmp_path, monkeypatch):
  street_folders.write_camvid(tmp_path, train=3)
  options = config_lib.Data(
    target="camvid", classes="road", num_classes=0, height=32, width=32, channels=3
  )
  read, load = [], data.camvid.load

  def counting(*arguments):
    split = load(*arguments)

    def read_image(i):
      read.append(split.names[i])
      return split.read_image(i)

    return dataclasses.replace(split, read_image=read_image)

  monkeypatch.setattr(data.camvid, "load", counting)
  target = data.load_training("target", False, options, str(tmp_path), seed=0)
  scored = data.load_scored(options, str(tmp_path), 0, target)
  for split in (target, scored["transductive"], scored["test"]):
    split.read_image(1)
  assert read == [target.names[1], scored["test"].names[1]]
  assert target.read_label is None


def test_missing_street_scenes_are_named_with_their_folders(tmp_path):
  street_folders.write_gta5(tmp_path, count=1)
  options = config_lib.Data(source="gta5", target="cityscapes")
  with pytest.raises(config_lib.UserError) as caught:
    data.check_files(options, str(tmp_path))
  text = str(caught.value)
  for part in (f"Cityscapes: expected in {tmp_path}/cityscapes", "leftImg8bit/val",
               "gtFine/train", "https://www.cityscapes"):  # fmt: skip
    assert part in text
  assert "GTA5" not in text
  street_folders.write_cityscapes(tmp_path)
  data.check_files(options, str(tmp_path))


def test_an_own_street_set_needs_its_description(tmp_path):
  street_folders.write_gta5(tmp_path, count=1)
  options = config_lib.Data(source="gta5", target="scenes:own")
  with pytest.raises(config_lib.UserError, match=r"(?s)scenes: expected.*dataset\.yaml"):
    data.check_files(options, str(tmp_path))
  street_folders.write_own(tmp_path)
  data.check_files(options, str(tmp_path))


def test_source_and_target_are_for_one_task(tmp_path):
  root = str(tmp_path)
  with pytest.raises(config_lib.UserError, match="usps is for classification"):
    data.task(config_lib.Data(source="streets/sim", target="usps"), root)
  street_folders.write_own(tmp_path)
  os.rename(tmp_path / "own" / "labels", tmp_path / "labels")
  with pytest.raises(config_lib.UserError, match="scenes:own reads street scenes"):
    data.task(config_lib.Data(source="mnist", target="scenes:own"), root)
  # Images of one's own without labels suit either; with labels they are for one.
  (tmp_path / "mine" / "train").mkdir(parents=True)
  Image.new("RGB", (8, 8)).save(tmp_path / "mine" / "train" / "a.png")
  mixed = config_lib.Data(source="streets/sim", target="folder:mine")
  assert data.task(mixed, root) == "segmentation"
  for name in ("a", "b"):
    (tmp_path / "mine" / "train" / name).mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "mine" / "train" / name / "1.png")
  os.remove(tmp_path / "mine" / "train" / "a.png")
  with pytest.raises(config_lib.UserError, match="folder:mine is for classification"):
    data.task(mixed, root)


def test_classes_of_other_names_are_refused():
  options = config_lib.Data(source="folder:a", target="folder:b")

  def notes(ours, theirs):
    def split(names):
      return examples.Examples(np.zeros((1, 8, 8, 1), np.uint8), np.zeros(1), {}, (), names)

    scored = {"test": None, "transductive": split(theirs)}
    return data.check_class_names(split(ours), scored, options)

  assert notes(("cat", "dog"), ("cat", "dog")) == notes((), ("0", "1")) == []
  assert (
    "folder:b names its classes (one, two), folder:a numbers"
    in notes((), ("one", "two"))[0]
  )
  with pytest.raises(config_lib.UserError, match="cat, dog in folder:a, cat, hound in"):
    notes(("cat", "dog"), ("cat", "hound"))
  # Numbers that are names: "1" here is not "1" there.
  with pytest.raises(config_lib.UserError, match="1, 2 in folder:a, 0, 1 in"):
    notes(("1", "2"), ("0", "1"))
  unlabelled = {"test": None, "transductive": None}
  assert data.check_class_names(None, unlabelled, options) == []


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize("name", ["scenes:own", "camvid"])
def test_labels_that_ignore_every_pixel_are_told_before_training(tmp_path, name, split):
  street_folders.write_own(tmp_path)
  street_folders.write_camvid(tmp_path)
  options = config_lib.Data(
    source=name, target=name, classes="road", num_classes=0, channels=3
  )
  data.load_scored(options, str(tmp_path), seed=0)
  folders = {
    "scenes:own": f"own/labels/{'val' if split == 'test' else split}/**/*.png",
    "camvid": f"camvid/{split}annot/*.png",
  }
  paths = [*tmp_path.glob(folders[name])]
  for path in paths:
    with Image.open(path) as label:
      void = np.full(label.size[::-1], 255 if name == "scenes:own" else 11, np.uint8)
    Image.fromarray(void).save(path)
  said = f"All {len(paths)} labels of {name}/{split} ignore every pixel.*data.classes"
  with pytest.raises(config_lib.UserError, match=said):
    data.load_scored(options, str(tmp_path), seed=0)
  # Without labels nothing is read of them; as a source, they are needed.
  data.load_training("target", False, options, str(tmp_path), seed=0)
  if split == "train":
    with pytest.raises(config_lib.UserError, match=said):
      data.load_training("source", True, options, str(tmp_path), seed=0)


def test_the_first_label_that_counts_is_enough(tmp_path, monkeypatch):
  street_folders.write_camvid(tmp_path)
  options = config_lib.Data(target="camvid", classes="road", num_classes=0)
  read, read_ids = [], data.camvid.image_files.read_ids
  monkeypatch.setattr(
    data.camvid.image_files, "read_ids", lambda path: read.append(path) or read_ids(path)
  )
  data.load_scored(options, str(tmp_path), seed=0)
  assert len(read) == 2


@pytest.mark.parametrize(
  ("name", "files", "said"),
  [
    ("carla", "CameraRGB/{}/a.png", "or describe them with a dataset.yaml as scenes:NAME"),
    ("folder:mine", "train/{}/a.png", "name one of them, folder:mine/front"),
  ],
)
def test_a_folder_for_each_camera_around_a_set_is_told(tmp_path, name, files, said):
  """front/CameraRGB/a.png in place of CameraRGB/a.png."""
  folder = tmp_path / name.rpartition(":")[2]
  for camera in ("left", "front"):
    street_folders.save(
      np.zeros((8, 8, 3), np.uint8), folder, camera, files.format("").replace("//", "/")
    )
  options = config_lib.Data(source=name, target=name)
  with pytest.raises(config_lib.UserError, match=f"sub-folders front, left: .*{said}"):
    data.check_files(options, str(tmp_path))
