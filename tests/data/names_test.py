"""Names in Unicode's two forms, and endings in either case, in every data set."""

import os
import unicodedata

import numpy as np
import pytest

from tests import street_folders
from tfdam import config as config_lib
from tfdam import data
from tfdam.data import image_globs, places, scene_files

# The same to every reader: letters and their marks in one character, and in two.
NFC, NFD = (unicodedata.normalize(form, "Zürich é") for form in ("NFC", "NFD"))
OPTIONS = config_lib.Data(classes="road", num_classes=0)
IMAGE, LABEL = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)


def labels_of(name, root, split="train"):
  """File names of the labels that are found."""
  return [
    os.path.basename(path) for path in _labels(data.DATASETS[name], root / name, split)
  ]


def _labels(module, folder, split):
  found = []
  load = module.scene_files.load

  def record(files, *arguments):
    found.extend(files.labels)
    return load(files, *arguments)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(module.scene_files, "load", record)
    module.load(str(folder), split, True, OPTIONS)
  return found


@pytest.mark.parametrize(
  ("name", "image", "label"),
  [
    ("camvid", f"train/{NFC}.png", f"trainannot/{NFD}.png"),
    ("camvid", f"train/{NFD}.JPG", f"trainannot/{NFC}.PNG"),
    ("gta5", f"images/{NFC}.png", f"labels/{NFD}.png"),
    ("synthia", f"RGB/{NFC}.PNG", f"GT/LABELS/{NFD}.png"),
    (
      "cityscapes",
      f"leftImg8bit/train/{NFC}/{NFC}_leftImg8bit.png",
      f"gtFine/train/{NFD}/{NFD}_gtFine_labelIds.PNG",
    ),
  ],
)
def test_a_label_belongs_to_the_image_of_its_name_however_it_is_written(
  tmp_path, name, image, label
):
  street_folders.save(IMAGE, tmp_path, name, image)
  stored = np.zeros((8, 8, 3), np.uint16) if name == "synthia" else LABEL
  if name == "synthia":
    street_folders.write_png(stored, tmp_path, name, label, depth=16)
  else:
    street_folders.save(stored, tmp_path, name, label)
  assert labels_of(name, tmp_path) == [os.path.basename(label)]


def test_a_label_as_it_stands_comes_before_one_in_another_form(tmp_path):
  for name in (f"train/{NFC}.png", f"train/{NFD}.png"):
    street_folders.save(IMAGE, tmp_path, "camvid", name)
    street_folders.save(LABEL, tmp_path, "camvid", name.replace("train", "trainannot"))
  assert sorted(labels_of("camvid", tmp_path)) == sorted([f"{NFC}.png", f"{NFD}.png"])


def own(root, *classes, name="own", split="train"):
  for level, of_class in enumerate(classes):
    image = np.full((8, 8), level, np.uint8)
    street_folders.save(image, root, name, split, of_class, "a.png")


def test_class_folders_of_both_forms_are_the_same_classes(tmp_path):
  options = config_lib.Data(
    source="folder:a", target="folder:b", num_classes=2, height=8, width=8
  )
  # In the order of their bytes "Zz" stands between the two forms.
  own(tmp_path, NFD, "Zz", name="a")
  own(tmp_path, NFC, "Zz", name="b")
  own(tmp_path, NFD, "Zz", name="b", split="test")
  source = data.load("folder:a", "train", True, options, str(tmp_path))
  target = data.load("folder:b", "test", True, options, str(tmp_path))
  assert source.class_names == target.class_names == ("Zz", NFC)
  assert data.check_class_names(source, {"test": target}, options) == []
  # Images go with the labels: all of "Zz" were drawn with 1.
  for split in (source, target):
    np.testing.assert_array_equal(split.images[:, 0, 0, 0], 1 - split.labels)


def test_two_folders_of_one_class_are_named(tmp_path):
  own(tmp_path, NFC, NFD)
  with pytest.raises(config_lib.UserError, match="two folders of the class 'Zürich é'"):
    data.DATASETS["folder"].class_names(str(tmp_path / "own"), "train")


def test_class_names_can_be_written_everywhere(tmp_path):
  own(tmp_path, os.fsdecode(b"caf\xe9"), "two\nlines")
  names = data.DATASETS["folder"].class_names(str(tmp_path / "own"), "train")
  assert names == [r"caf\xe9", r"two\nlines"]
  assert len("".join(names).encode()) > 0
  options = config_lib.Data(num_classes=2, height=8, width=8)
  assert len(data.load("folder:own", "train", True, options, str(tmp_path))) == 2


def test_a_name_in_brackets_is_no_markup_of_a_progress_line(tmp_path, monkeypatch, capsys):
  own(tmp_path, "cat", "dog", name="[/own]")
  monkeypatch.setattr("sys.stderr.isatty", lambda: True)
  monkeypatch.setattr(scene_files, "_PATIENCE_SECONDS", -1.0)
  monkeypatch.setenv("COLUMNS", "500")
  options = config_lib.Data(num_classes=2, height=8, width=8)
  assert len(data.load("folder:[/own]", "train", True, options, str(tmp_path))) == 2
  assert "[/own]" in capsys.readouterr().err


DESCRIPTION = f"""
images: "{NFC}/{{split}}/*/*_{NFC}.png"
labels: "labels {NFD}/{{split}}/{{folder}}/{{name}}.png"
ids: {{0: road}}
"""


def test_scenes_of_both_forms_and_cases(tmp_path):
  """Folder by folder: the description's form, the image's and the label's may differ."""
  folder = tmp_path / "own"
  for i, (image, label) in enumerate([(NFC, NFD), (NFD, NFC), (NFD, NFD)]):
    town = f"{image} {i}"
    ending = ("png", "PNG", "Png")[i]
    street_folders.save(IMAGE, folder, NFD, "train", town, f"{image}_{image}.{ending}")
    place = (f"labels {NFC}", "train", f"{label} {i}", f"{label}.PNG")
    street_folders.save(LABEL, folder, *place)
  (folder / "dataset.yaml").write_text(DESCRIPTION)
  loaded = data.load("scenes:own", "train", True, OPTIONS, str(tmp_path))
  assert len(loaded) == 3
  for i in range(3):
    np.testing.assert_array_equal(loaded.read_label(i), LABEL)


def test_a_list_names_images_in_either_form(tmp_path):
  folder = tmp_path / "own"
  for name in (f"{NFC} 1.png", f"{NFD} 2.PNG", "3.png"):
    street_folders.save(IMAGE, folder, "images", name)
  (folder / "dataset.yaml").write_text(
    'images: "images/*.png"\nsplits: {train: list.txt}\n'
  )
  lines = [f"images/{NFD} 1.png", f"{NFC} 2", "images/3.PNG"]
  (folder / "list.txt").write_text("\n".join(lines))
  loaded = data.load("scenes:own", "train", False, OPTIONS, str(tmp_path))
  assert [os.path.basename(name) for name in loaded.names] == [
    f"{NFC} 1.png", f"{NFD} 2.PNG", "3.png",
  ]  # fmt: skip


def test_a_list_may_choose_among_images_whose_names_look_the_same(tmp_path):
  folder = tmp_path / "own"
  for name in (NFC, NFD):
    street_folders.save(IMAGE, folder, f"{name}.png")
  (folder / "dataset.yaml").write_text('images: "*.png"\nsplits: {train: list.txt}\n')
  (folder / "list.txt").write_text(f"{NFD}.png\n")
  loaded = data.load("scenes:own", "train", False, OPTIONS, str(tmp_path))
  assert [os.path.basename(name) for name in loaded.names] == [f"{NFD}.png"]
  (folder / "list.txt").write_text(NFD)
  with pytest.raises(config_lib.UserError, match="is the name of 2 images"):
    data.load("scenes:own", "train", False, OPTIONS, str(tmp_path))


@pytest.mark.parametrize("line", ["x" * 5000, "x" * 4000])
def test_a_line_of_a_list_that_is_no_name(tmp_path, line):
  street_folders.save(IMAGE, tmp_path, "own", "a.png")
  (tmp_path / "own" / "dataset.yaml").write_text(
    'images: "*.png"\nsplits: {train: list.txt}\n'
  )
  (tmp_path / "own" / "list.txt").write_text(line)
  said = "more than 4,096 characters" if len(line) > 4096 else "is none of the 1 images"
  with pytest.raises(config_lib.UserError, match=said):
    data.load("scenes:own", "train", False, OPTIONS, str(tmp_path))


@pytest.mark.parametrize(
  ("pattern", "found"),
  [
    ("*.png", ["A.PNG", "a.png", "b.Png"]),
    ("*.PNG", ["A.PNG", "a.png", "b.Png"]),
    ("[ab].png", ["a.png", "b.Png"]),
    ("a.png", ["a.png"]),
    ("b.png", ["b.Png"]),
    ("[a-z].*", ["a.png", "b.Png", "c.JPG"]),
    ("*", ["A.PNG", "a.png", "b.Png", "c.JPG"]),
    (".*", [".hidden.png"]),
  ],
)
def test_the_case_of_an_ending_does_not_matter_that_of_a_name_does(
  tmp_path, pattern, found
):
  for name in ("A.PNG", "a.png", "b.Png", "c.JPG", "d.txt", ".hidden.png"):
    (tmp_path / name).touch()
  names = [os.path.basename(path) for path in image_globs.find(str(tmp_path), pattern)]
  assert names == found


def test_folders_of_names_are_listed_once_and_only_where_one_is_missing(
  tmp_path, monkeypatch
):
  for i in range(3):
    (tmp_path / f"{NFD}{i}").touch()
  listed, listdir = [], os.listdir
  monkeypatch.setattr(os, "listdir", lambda path: (listed.append(path), listdir(path))[1])
  find = places.Finder()
  assert find(str(tmp_path / f"{NFD}0")) == str(tmp_path / f"{NFD}0")
  assert not listed
  for i in range(3):
    assert find(str(tmp_path / f"{NFC}{i}")) == str(tmp_path / f"{NFD}{i}")
  assert find(str(tmp_path / "none" / "a")) == str(tmp_path / "none" / "a")
  assert listed == [str(tmp_path)]
