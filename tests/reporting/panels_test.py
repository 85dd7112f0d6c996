"""Panels: every pixel where it belongs, at any size, number of columns and of classes."""

import os

import numpy as np
import pytest
from PIL import Image

from tests import synthetic
from tfdam.metrics import palette
from tfdam.reporting import drawing, panels

_NAMES = ("road", "sky", "car")


def columns_of(count, rows, height=30, width=40):
  rng = np.random.RandomState(0)
  image = rng.randint(0, 255, (height, width, 3)).astype(np.uint8)
  label = rng.randint(0, 3, (height, width)).astype(np.uint8)
  truth = [("truth", [label] * rows)] if count > 1 else []
  return [*((f"column {i}", [image] * rows) for i in range(count - len(truth))), *truth]


def blocks(line):
  """Lengths of the stretches of a line that are not white."""
  filled = np.concatenate([[False], (line != 255).any(axis=-1), [False]])
  edges = np.flatnonzero(filled[1:] != filled[:-1])
  return (edges[1::2] - edges[::2]).tolist()


def test_rows_and_columns_are_whole_with_white_between_them():
  dark = [np.zeros((30, 40, 3), np.uint8)] * 2
  sheet = panels.draw([("image", dark), ("truth", dark), ("adapted", dark)])
  # The title is above, no legend below.
  middle = sheet[sheet.shape[0] // 3]
  assert blocks(middle) == [480] * 3
  assert blocks(sheet[:, 100])[-2:] == [360] * 2
  assert (sheet[:8] == 255).all()
  assert (sheet[-8:] == 255).all()


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_a_panel_is_never_wider_than_2400_pixels(count):
  for size in ((30, 40), (1024, 2048)):
    sheet = panels.draw(columns_of(count, 1, *size), _NAMES)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] <= 2400
    # Fewer columns than fill it do not grow: 480 pixels are enough for a scene.
    assert sheet.shape[1] >= min(2380, count * 480)


def test_label_maps_are_painted_without_blending_and_images_are_not():
  label = np.array([[0, 1], [2, 255]], np.uint8)
  table = palette.colours(_NAMES)
  painted = palette.colourise(label, table)
  sheet = panels.draw([("truth", [label]), ("image", [painted])], _NAMES)
  top = np.flatnonzero((sheet[:, 20] == table[0]).all(-1))[0]
  truth = sheet[top : top + 480, 14 : 14 + 480]
  np.testing.assert_array_equal(truth, painted.repeat(240, axis=0).repeat(240, axis=1))
  image = sheet[top : top + 480, 14 + 480 + 6 : -14]
  assert image.shape == truth.shape
  assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100


def test_predictions_smaller_than_their_image_cover_the_same_cell():
  image = np.zeros((360, 480, 3), np.uint8)
  small = np.zeros((45, 90), np.int64)  # and of another shape
  sheet = panels.draw([("image", [image]), ("adapted", [small])], _NAMES)
  row = sheet[150]
  assert blocks(row) == [480, 480]
  assert blocks(sheet[:, 14 + 480 + 6 + 2])[0] == 360


def test_the_legend_has_a_patch_for_every_class_and_for_ignored_pixels_if_there_are_any():
  label = np.zeros((4, 4), np.uint8)

  def patches(label):
    """Colours that the part below the scene holds in a square of some pixels."""
    sheet = panels.draw([("truth", [label]), ("adapted", [label])], _NAMES)
    below = sheet[-70:].reshape(-1, 3)
    colours, counts = np.unique(below, axis=0, return_counts=True)
    return {tuple(c) for c, n in zip(colours.tolist(), counts) if n > 400} - {
      drawing.INK, drawing.PAPER,
    }  # fmt: skip

  classes = {tuple(c) for c in palette.colours(_NAMES).tolist()}
  assert patches(label) == classes
  label[0, 0] = 255
  assert patches(label) == classes | {palette.IGNORED}


def test_a_long_legend_wraps_and_long_names_are_cut():
  maps = columns_of(2, 1)
  one = panels.draw(maps, _NAMES)
  many = panels.draw(maps, [f"class number {i}" for i in range(60)])
  assert many.shape[1] == one.shape[1]
  assert many.shape[0] > one.shape[0] + 300
  long = panels.draw([("t" * 500, [p]) for _, (p,) in maps], ["x" * 500, "b", "c"])
  assert long.shape[1] == one.shape[1]
  # The margins stay white.
  assert (long[:, :8] == 255).all()
  assert (long[:, -8:] == 255).all()


@pytest.mark.parametrize(
  ("columns", "message"),
  [
    ([], "pictures"),
    ([("image", [])], "pictures"),
    ([("image", [np.zeros((4, 4, 3), np.uint8)]), ("truth", [])], "'truth': 0"),
    ([("image", [np.zeros((4, 4, 3), np.float32)])], r"'image' .* float32 \(4, 4, 3\)"),
    ([("image", [np.zeros((4, 4, 4), np.uint8)])], r"\(4, 4, 4\)"),
    ([("truth", [np.zeros((0, 4), np.uint8)])], r"\(0, 4\)"),
  ],
)
def test_what_is_no_panel_is_refused(columns, message):
  with pytest.raises(ValueError, match=message):
    panels.draw(columns, _NAMES)


def test_a_panel_is_written_as_png_into_a_new_folder(tmp_path):
  path = str(tmp_path / "panels" / "test.png")
  columns = columns_of(2, 2)
  panels.write(path, columns, _NAMES)
  panels.write(path, columns, _NAMES)  # again, over the first
  with Image.open(path) as found:
    assert found.format == "PNG"
    np.testing.assert_array_equal(np.asarray(found), panels.draw(columns, _NAMES))
  assert os.listdir(tmp_path / "panels") == ["test.png"]


def test_real_scenes_keep_their_colours():
  """The mean colour of a scene stays: it is resized, not changed (1 of 255 to round)."""
  root = synthetic.real_data("camvid")
  folder = os.path.join(root, "camvid", "test")
  name = sorted(os.listdir(folder))[0]
  image = np.asarray(Image.open(os.path.join(folder, name)).convert("RGB"))
  for width in (480, 224):
    resized = np.asarray(Image.fromarray(image).resize((width, width * 3 // 4)))
    sheet = panels.draw([("image", [resized])])
    cell = sheet[-14 - 360 : -14, 14 : 14 + 480]
    np.testing.assert_allclose(cell.mean((0, 1)), image.mean((0, 1)), atol=1)
