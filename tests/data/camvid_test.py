"""CamVid in SegNet's layout."""

import shutil

import numpy as np
import pytest

from tests import street_folders, synthetic
from tfdam import config as config_lib
from tfdam.data import camvid

NAMES = tuple(camvid.CLASSES.values())[:11]
OPTIONS = config_lib.Data(classes=",".join(NAMES), num_classes=0, height=360, width=480)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_ids_are_the_classes_in_their_order_and_void_is_ignored(tmp_path, ending):
  folder = street_folders.write_camvid(tmp_path, ending=ending)
  for split, count, first in (("train", 6, 300), ("test", 4, 306)):
    scenes = camvid.load(folder, split, True, OPTIONS)
    assert len(scenes) == count
    image, label = street_folders.scene(first, 48, 64)
    wanted = street_folders.native(label, street_folders.CAMVID_IDS)
    wanted[0, 0] = 255
    np.testing.assert_array_equal(scenes.read_label(0), wanted)
    # JPEG moves colours at edges, on average by some levels.
    distance = np.abs(scenes.read_image(0).astype(int) - image).mean()
    assert distance == 0 if ending == "png" else distance < 20


def test_validation_images_stand_in_the_place_of_the_test_split(tmp_path):
  folder = street_folders.write_camvid(tmp_path, train=7, dusk=(5, 1), val=3)
  whole = camvid.load(folder, "train", True, OPTIONS)
  assert camvid.VAL.load(folder, "train", True, OPTIONS).names == whole.names
  chosen = camvid.VAL.load(folder, "test", True, OPTIONS)
  assert [f"{folder}/val/" in name for name in chosen.names] == [True] * 3 + [False] * 2
  # By day all of val/; of the training images at dusk the second and the fourth.
  assert chosen.names[3:] == [whole.names[1], whole.names[3]]
  np.testing.assert_array_equal(chosen.read_label(3), whole.read_label(1))
  assert chosen.parts.names == ("camvid/day", "camvid/dusk")
  np.testing.assert_array_equal(chosen.parts.of, [0, 0, 0, 1, 1])
  image, label = street_folders.scene(311, 48, 64)
  np.testing.assert_array_equal(chosen.read_image(0), image)
  wanted = street_folders.native(label, street_folders.CAMVID_IDS)
  wanted[0, 0] = 255
  np.testing.assert_array_equal(chosen.read_label(0), wanted)
  assert camvid.VAL.has_labels(folder, "test")
  shutil.rmtree(f"{folder}/trainannot")
  assert not camvid.VAL.has_labels(folder, "test")
  bare = street_folders.write_camvid(tmp_path / "bare")
  assert not camvid.VAL.has_labels(bare, "test")
  with pytest.raises(config_lib.UserError, match=r"expected val/NAME\.png"):
    camvid.VAL.load(bare, "test", True, OPTIONS)


def test_real_validation_images_are_complete():
  folder = f"{synthetic.real_data('camvid')}/camvid"
  for split in ("train", "test"):
    scenes = camvid.VAL.load(folder, split, True, OPTIONS)
    assert len(scenes) == camvid.VAL.INFO.sizes[split]
    assert not scenes.notes


def test_the_original_colour_labels_are_refused(tmp_path):
  folder = street_folders.write_camvid(tmp_path)
  colours = np.zeros((48, 64, 3), np.uint8)
  street_folders.save(colours, folder, "trainannot", "0001TP_000000.png")
  scenes = camvid.load(folder, "train", True, OPTIONS)
  with pytest.raises(config_lib.UserError, match=r"0001TP_000000\.png has 3 channels"):
    scenes.read_label(0)


def test_real_scenes_are_complete_and_hold_every_class():
  folder = f"{synthetic.real_data('camvid')}/camvid"
  for split in ("train", "test"):
    scenes = camvid.load(folder, split, True, OPTIONS)
    assert len(scenes) == camvid.INFO.sizes[split]
    assert not scenes.notes
    assert scenes.read_image(0).shape == (360, 480, 3)
    counts = scenes.label_counts(11, max_images=40)
    assert (counts > 0).all()
    shares = counts / counts.sum()
    # The street takes about a third of a picture from its middle.
    assert 0.2 < shares[NAMES.index("road")] < 0.4
