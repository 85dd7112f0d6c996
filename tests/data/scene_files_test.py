"""What is checked from headers when a run starts, for every set alike."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from tests import street_folders
from tfdam import config as config_lib
from tfdam import memory
from tfdam.data import camvid, image_files, scene_files

OPTIONS = config_lib.Data(classes="road,sky", num_classes=0, height=48, width=64)


def load(folder, split="train", labels=True, **changes):
  options = dataclasses.replace(OPTIONS, **changes)
  return camvid.load(folder, split, labels, options)


def said_by(folder, **changes):
  with pytest.raises(config_lib.UserError) as caught:
    load(folder, **changes)
  return str(caught.value)


@pytest.fixture
def folder(tmp_path):
  return street_folders.write_camvid(tmp_path, train=4, test=2)


def test_an_image_without_label_is_named(folder):
  os.remove(f"{folder}/trainannot/0001TP_000002.png")
  said = said_by(folder)
  assert f"{folder}/train/0001TP_000002.png has no label" in said
  assert f"{folder}/trainannot/0001TP_000002.png is not there" in said
  assert "1 of 4 train images" in said
  assert "Put the label there or take the image away" in said


def test_labels_that_are_not_asked_for_may_be_missing_or_broken(folder):
  os.remove(f"{folder}/trainannot/0001TP_000002.png")
  with open(f"{folder}/trainannot/0001TP_000001.png", "wb") as file:
    file.write(b"never opened")
  scenes = load(folder, labels=False)
  assert len(scenes) == 4
  assert scenes.read_label is None
  assert set(scenes.digests) == {"train images"}


def test_a_label_of_another_size_is_named_with_both_sizes(folder):
  path = f"{folder}/trainannot/0001TP_000001.png"
  street_folders.save(np.zeros((48, 60), np.uint8), path)
  said = said_by(folder)
  assert f"{path} is 60 x 48 pixels, but its image" in said
  assert "is 64 x 48; expected the same size" in said


def test_an_empty_folder_is_named_with_what_it_should_hold(tmp_path):
  (tmp_path / "train").mkdir()
  said = said_by(str(tmp_path))
  for part in (f"{tmp_path} has no train images", "train/NAME.png", "trainannot/NAME.png",
               "https://", "data.root"):  # fmt: skip
    assert part in said


def test_a_crop_as_large_as_the_image_is_fine(folder):
  assert len(load(folder, crop_height=48, crop_width=64)) == 4


def test_a_file_without_a_header_stops_or_is_left_to_be_skipped(folder):
  path = f"{folder}/train/0001TP_000003.png"
  with open(path, "wb") as file:
    file.write(b"no picture")
  said = said_by(folder)
  assert path in said
  assert "on_bad_image=skip" in said
  scenes = load(folder, on_bad_image="skip")
  assert len(scenes) == 4
  with pytest.raises(image_files.BadImage, match="0001TP_000003"):
    scenes.read_image(3)


def test_a_test_image_that_is_cut_short_stops_the_run_before_it_trains(folder):
  path = f"{folder}/test/0001TP_000004.png"
  content = open(path, "rb").read()
  open(path, "wb").write(content[:-30])
  said = said_by(folder, split="test")
  assert f"{path} cannot be decoded" in said
  assert len(load(folder, split="test", on_bad_image="skip")) == 2  # left out later


def test_a_turned_image_with_a_label_is_refused_and_without_one_is_read(folder):
  exif = Image.Exif()
  exif[0x0112] = 6  # sideways: its size is that of its label turned
  image, _ = street_folders.scene(0, 48, 64)
  path = f"{folder}/train/0001TP_000000.png"
  Image.fromarray(image).save(path, exif=exif)
  said = said_by(folder)
  assert f"{path} is turned by its EXIF orientation" in said
  assert "drop the tag" in said
  scenes = load(folder, labels=False)
  np.testing.assert_array_equal(scenes.read_image(0), np.rot90(image, -1))


def test_digests_change_with_names_sizes_and_content(folder):
  first = load(folder).digests
  assert load(folder).digests == first
  assert set(first) == {"train images", "train labels"}
  path = f"{folder}/train/0001TP_000001.png"
  content = open(path, "rb").read()
  # In the middle of the pixels, so that headers and sizes stay the same.
  changed = bytearray(content)
  changed[len(changed) // 2] ^= 1
  open(path, "wb").write(changed)
  other = load(folder).digests
  assert other["train images"] != first["train images"]
  assert other["train labels"] == first["train labels"]
  open(path, "wb").write(content)
  for kind in ("train", "trainannot"):
    os.rename(f"{folder}/{kind}/0001TP_000001.png", f"{folder}/{kind}/0001TP_000001x.png")
  assert set(load(folder).digests.values()).isdisjoint(first.values())


def test_no_more_threads_decode_than_memory_holds_images(monkeypatch):
  for memory_gib, expected in ((0, 8), (1, 1), (4, 3), (1000, 8)):
    monkeypatch.setattr(memory, "available", lambda size=memory_gib: size << 30)
    with scene_files.decoders(8) as pool:
      assert pool._max_workers == expected
  with scene_files.decoders() as pool:
    assert pool._max_workers > 4


def test_digests_do_not_read_whole_sets(tmp_path, monkeypatch):
  """Of 200 files 64 are opened, the first and the last among them."""
  for i in range(200):
    street_folders.save(np.full((8, 8, 3), i, np.uint8), tmp_path, "train", f"{i:03d}.png")
  opened = []
  md5 = scene_files._md5

  def recording(path):
    opened.append(os.path.basename(path))
    return md5(path)

  monkeypatch.setattr(scene_files, "_md5", recording)
  load(str(tmp_path), labels=False)
  assert len(opened) == 64
  assert (opened[0], opened[-1]) == ("000.png", "199.png")


def test_a_bar_is_shown_on_a_terminal_once_it_takes_long(monkeypatch, capsys):
  monkeypatch.setattr(scene_files, "_PATIENCE_SECONDS", -1.0)
  monkeypatch.setattr("sys.stderr.isatty", lambda: True)
  with scene_files.with_patience(range(3), "checking here", 3) as items:
    assert list(items) == [0, 1, 2]
  assert "checking here" in capsys.readouterr().err
  monkeypatch.setattr(scene_files, "_PATIENCE_SECONDS", 60.0)
  with scene_files.with_patience(range(3), "checking here", 3) as items:
    assert list(items) == [0, 1, 2]
  assert not capsys.readouterr().err


def test_an_error_takes_the_bar_away(monkeypatch, capsys):
  """It keeps all that it was raised in, as long as it is kept itself."""
  monkeypatch.setattr(scene_files, "_PATIENCE_SECONDS", -1.0)
  monkeypatch.setattr("sys.stderr.isatty", lambda: True)
  with pytest.raises(KeyError) as caught:
    with scene_files.with_patience(range(3), "checking here", 3) as items:
      raise KeyError(next(items))
  assert caught.value.args == (0,)
  said = capsys.readouterr().err
  hidden, shown = "\x1b[?25l", "\x1b[?25h"
  assert said.count(hidden) == said.count(shown) == 1


def test_images_in_a_folder_for_each_camera_are_told_with_what_reads_them(folder):
  for camera in ("left", "front/day1"):
    os.makedirs(f"{folder}/train/{camera}")
  for i in range(4):
    camera = "left" if i < 3 else "front/day1"
    os.rename(f"{folder}/train/0001TP_00000{i}.png", f"{folder}/train/{camera}/{i}.png")
  said = said_by(folder)
  assert "has no train images" in said
  assert "sub-folders have images (1 in front/day1, 3 in left)" in said
  assert (
    "dataset.yaml, as scenes:NAME (docs/data.md), with patterns such as train/**" in said
  )


def test_images_in_sub_folders_are_not_left_out_in_silence(folder):
  assert not [note for note in load(folder).notes if "sub-folders" in note]
  street_folders.save(np.zeros((48, 64, 3), np.uint8), folder, "train", "left", "a.png")
  assert f"{folder}/train: images in its sub-folders are left out (1 in left)" in (
    load(folder).notes
  )
