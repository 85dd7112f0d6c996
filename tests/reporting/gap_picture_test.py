"""The picture of a gap: its rows, lengths of bars, and what it says."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from tfdam import config as config_lib
from tfdam.metrics import gap as gap_lib
from tfdam.reporting import drawing, gap_picture

NAN = float("nan")


def of(*bits, auc=0.75, name="block{:02d}"):
  return gap_lib.Gap(
    tuple(
      gap_lib.LayerGap(name.format(i), i, (8, 8, 4), 4, b, auc, 0, auc)
      for i, b in enumerate(bits)
    )
  )


def written(*arguments, **options):
  """(x, y, text, anchor) of all that a picture says, in order."""
  with mock.patch.object(
    drawing.Writing, "at", autospec=True, side_effect=drawing.Writing.at
  ) as at:
    gap_picture.draw(*arguments, **options)
  return [(c.args[0], *c.args[1:4], (c.args[5:] or ("",))[0]) for c in at.call_args_list]


def texts(*arguments, **options):
  return [text for _, _, _, text, _ in written(*arguments, **options)]


def lengths(sheet, colour):
  """Pixels of a colour in each row of the picture that has any, left of the AUCs."""
  left = sheet[:, : sheet.shape[1] - gap_picture._AUCS - gap_picture._NUMBER - 60]
  return [int(n) for n in (left == colour).all(axis=-1).sum(axis=1) if n]


def test_bars_are_as_long_as_the_divergence_in_network_order():
  sheet = gap_picture.draw(of(0.4, 0.1, 0.2))
  bars = lengths(sheet, gap_picture._STRONG)[:: gap_picture._BAR + 1]
  # The axis ends with 0.4; a bar of no length is a line of one pixel.
  assert bars == [1 + gap_picture._BARS // part for part in (1, 4, 2)]
  assert sheet.dtype == np.uint8
  assert sheet.shape[0] == (
    gap_picture._HEADER + 3 * gap_picture._ROW + gap_picture._MARGIN
  )


def test_says_its_title_layers_axes_and_numbers():
  found = texts(of(0.3, 0.15), title="GTA5 and Cityscapes")
  assert found[:2] == ["GTA5 and Cityscapes", "2 layers"]
  assert found.index("block00") < found.index("block01")
  for text in ("divergence, bits", "0.2", "0.4", "0.5", "1", "0.300", "0.150", "0.750"):
    assert text in found
  assert "before" not in found


def test_before_is_pale_and_behind():
  now, before = of(0.1, 0.4), of(0.4, 0.1)
  sheet = gap_picture.draw(now, before)
  middles = [
    gap_picture._HEADER + place * gap_picture._ROW + gap_picture._ROW // 2
    for place in (0, 1)
  ]
  for middle, pale in zip(middles, (0.4, 0.1)):
    edge = sheet[middle - gap_picture._BAR // 2]
    assert (edge == gap_picture._PALE).all(axis=-1).sum() == 1 + 1200 * pale
  # The strong bar is over it, whichever is longer.
  bars = [
    (sheet[m, : -(gap_picture._AUCS + 200)] == gap_picture._STRONG).all(-1).sum()
    for m in middles
  ]
  assert bars == [121, 481]
  found = texts(now, before, names=("source only", "adapted"))
  assert {"source only", "adapted", "0.100", "0.400"} <= set(found)


def test_of_many_layers_those_of_the_largest_gap_are_drawn_in_network_order():
  bits = np.linspace(0.1, 0.9, 80)
  found = texts(of(*bits))
  assert "the 60 layers with the largest gap, of 80" in found
  assert [t for t in found if t.startswith("block")] == [f"block{i}" for i in range(20, 80)]
  # A layer whose gap was closed is one of them.
  closed = texts(of(*np.where(bits > 0.8, 0.0, bits)), of(*bits))
  assert "block79" in closed


def test_a_layer_without_a_number_has_a_dash_and_no_bar():
  sheet = gap_picture.draw(of(NAN, auc=NAN))
  assert not (sheet == gap_picture._STRONG).all(axis=-1).any()
  assert texts(of(NAN, auc=NAN)).count("-") == 2


def test_long_names_are_cut_in_front_and_numbers_at_the_ends_stay_inside():
  name = "wrapper_of_features/" * 5 + "block{:02d}_out"
  found = gap_picture.draw(of(1.0, 0.0, auc=1.0, name=name))
  shown = texts(of(1.0, 0.0, auc=1.0, name=name))
  names = [text for text in shown if text.endswith("_out")]
  assert all(text.startswith("...") for text in names)
  assert [text[-11:] for text in names] == ["block00_out", "block01_out"]
  edge = gap_picture._MARGIN // 2
  for border in (found[:edge], found[-edge:], found[:, :edge], found[:, -edge:]):
    assert (border == drawing.PAPER).all()


@pytest.mark.parametrize("auc", [0.3, 0.5, 1.0])
def test_dots_touch_no_number(auc):
  """Between the plots and the numbers beside them, and left of the dots, is paper."""
  for before in (None, of(1.0, auc=auc)):
    gap = of(1.0, auc=auc)
    everything = written(gap, before)
    aucs = [x for _, x, _, text, anchor in everything if text == "0.75" and anchor == "mm"]
    left = aucs[0] - gap_picture._AUCS // 2
    numbers = [
      (x - writing.width(text), x)
      for writing, x, _, text, anchor in everything
      if anchor == "rm" and text.count(".") == 1
    ]
    dot = left + gap_picture._AUCS * max(0.0, 2 * auc - 1)
    for start, end in numbers:
      assert end < dot - gap_picture._DOT or start > dot + gap_picture._DOT


def test_the_file_holds_what_was_drawn(tmp_path):
  path = str(tmp_path / "pictures" / "gap.png")
  gap_picture.save(path, of(0.3), title="a title")
  with Image.open(path) as found:
    np.testing.assert_array_equal(
      np.asarray(found), gap_picture.draw(of(0.3), title="a title")
    )


def test_nothing_to_draw_and_gaps_of_other_layers_are_refused():
  with pytest.raises(ValueError, match="no layers"):
    gap_picture.draw(of())
  with pytest.raises(config_lib.UserError, match="in one of the two gaps alone"):
    gap_picture.draw(of(0.1), of(0.1, name="other{}"))


def test_a_gap_beside_itself_has_its_earlier_numbers_faint():
  gap = of(0.3)
  with mock.patch.object(
    drawing.Writing, "at", autospec=True, side_effect=drawing.Writing.at
  ) as at:
    gap_picture.draw(gap, dataclasses.replace(gap))
  inks = [call.args[4] for call in at.call_args_list if call.args[3] == "0.300"]
  assert inks == [drawing.FAINT, drawing.INK]
