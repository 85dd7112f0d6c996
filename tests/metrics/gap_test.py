"""A gap's tables, suggestions and file, and what was closed of it."""

import json

import numpy as np
import pytest

from tfdam import config as config_lib
from tfdam.metrics import closed_gap, gap

NAN = float("nan")


def layer(name, bits, depth=0, auc=0.75):
  return gap.LayerGap(name, depth, (None, 8, 16), 16, bits, auc, 5, 0.875)


def of(*bits):
  """Layers l0, l1, ... of such divergences."""
  return gap.Gap(tuple(layer(f"l{i}", b, i) for i, b in enumerate(bits)))


def test_a_layer_is_measured_by_the_game():
  rng = np.random.RandomState(0)
  source, target = rng.normal(size=(4, 9, 2)), rng.normal((0, 50), size=(3, 1, 2))
  found = gap.LayerGap.measured("block1", 3, [3, 3, 2], source, target)
  assert (found.layer, found.depth, found.shape) == ("block1", 3, (3, 3, 2))
  assert (found.channels, found.best_channel, found.best_auc) == (2, 1, 1.0)
  assert 0.5 < found.divergence_bits < 1
  assert found.auc < 1


def test_the_table_is_in_network_order_and_plain_json():
  rows = (layer("b", np.float32(0.25), np.int64(1)), layer("a", NAN, 2, auc=np.float64(1)))
  table = gap.Gap(rows).table
  assert table[0] == {
    "layer": "b", "depth": 1, "shape": [None, 8, 16], "channels": 16,
    "divergence_bits": 0.25, "auc": 0.75, "best_channel": 5, "best_auc": 0.875,
  }  # fmt: skip
  assert table[1]["divergence_bits"] is None
  assert json.loads(json.dumps(table, allow_nan=False)) == table


def test_ranked_starts_with_the_largest_and_ends_with_those_without_a_number():
  found = [row.layer for row in of(0.1, NAN, 0.3, 0.0, 0.3).ranked()]
  assert found == ["l2", "l4", "l0", "l3", "l1"]


@pytest.mark.parametrize(
  ("bits", "n", "expected"),
  [
    ((0.1, 0.2, 0.3, 0.4), 1, ["l3"]),
    # Spread: the four largest all lie in the first half.
    ((0.5, 0.9, 0.8, 0.7, 0.1, 0.0, 0.2, 0.1), 4, ["l1", "l2", "l4", "l6"]),
    # Five layers in two parts: three and two.
    ((0.1, 0.2, 0.9, 0.8, 0.7), 2, ["l2", "l3"]),
    ((0.1, 0.1, 0.1), 1, ["l2"]),
    ((NAN, 0.0, NAN, NAN), 2, ["l1", "l3"]),
    ((NAN, 0.1, 0.2, NAN), 2, ["l1", "l2"]),
    ((0.3, 0.2, 0.1), 3, ["l0", "l1", "l2"]),
  ],
)
def test_suggestions_are_spread_over_depth_and_the_largest_there(bits, n, expected):
  assert of(*bits).suggest(n) == expected


@pytest.mark.parametrize("seed", range(5))
def test_every_part_of_the_network_has_a_suggestion(seed):
  rng = np.random.RandomState(seed)
  found = of(*rng.uniform(size=23)).suggest(5)
  places = [int(name[1:]) for name in found]
  # 23 layers in five parts: 5, 5, 5, 4 and 4.
  assert [np.searchsorted([5, 10, 15, 19], p, "right") for p in places] == [*range(5)]


@pytest.mark.parametrize("n", [4, 0, -1, 1.5, "2", None])
def test_a_suggestion_that_cannot_be_made_says_how_many_layers_there_are(n):
  with pytest.raises(config_lib.UserError, match="expected 1 to 3, which is how many"):
    of(0.1, 0.2, 0.3).suggest(n)


def test_without_layers_nothing_is_suggested_and_an_empty_table_printed():
  with pytest.raises(config_lib.UserError, match="asked for 1 layers"):
    gap.Gap(()).suggest(1)
  assert "layer" in str(gap.Gap(()))


def test_prints_layers_by_rank_and_counts_those_that_it_leaves_out(monkeypatch):
  # With either of these rich would draw in colour, or wrap at so many columns.
  monkeypatch.setenv("FORCE_COLOR", "1")
  monkeypatch.setenv("COLUMNS", "20")
  found = of(*np.linspace(0, 0.46, 24))
  lines = str(found).splitlines()
  assert lines[0] == "Gap between source and target"
  assert lines[-1] == "and 4 more"
  rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
  assert len(rows) == 20
  assert rows[0] == ["1", "l23", "23", "? x 8 x 16", "0.460", "0.750", "5", "0.875"]
  assert rows[19][:3] == ["20", "l4", "4"]
  assert "\x1b" not in str(found)
  whole = found.to_text(most=None)
  assert " l0 " in whole
  assert "more" not in whole
  assert "and 23 more" in found.to_text(most=1)


def test_names_are_printed_as_they_are_but_for_what_moves_the_cursor():
  rows = (layer("[red]a[/red]:car:\n\x1b[2J", NAN), layer("x" * 300, 0.1))
  text = str(gap.Gap(rows))
  assert "[red]a[/red]:car:\\n\\x1b[2J" in text
  assert "x" * 300 in text
  assert " - │" in text
  # Title, frame, two lines of headings, frame, two rows, frame.
  assert len(text.splitlines()) == 8


def test_is_read_from_its_file_as_it_was_saved(tmp_path):
  path = str(tmp_path / "new" / "gap.json")
  saved = of(0.1, 0.25)
  saved.save(path)
  assert gap.Gap.load(path) == saved
  missing = of(NAN)
  missing.save(path)
  assert np.isnan(gap.Gap.load(path).rows[0].divergence_bits)
  assert gap.Gap.load(path).table == missing.table
  assert gap.Gap.from_json(saved.to_json()) == saved


@pytest.mark.parametrize(
  "content",
  [
    "",
    '{"rows": []}',
    '{"layers": [{"layer": "a"}]}',
    json.dumps(of(0.5).to_json()).replace("0.5", "1.5"),
    json.dumps(of(0.5).to_json()).replace("16]", "-16]"),
  ],
)
def test_a_damaged_file_is_called_so(tmp_path, content):
  path = tmp_path / "gap.json"
  path.write_text(content)
  with pytest.raises(config_lib.UserError, match=r"gap.json is damaged .*Measure the gap"):
    gap.Gap.load(str(path))


def test_a_file_that_is_not_there_is_missed_by_name(tmp_path):
  with pytest.raises(config_lib.UserError, match="no .*gap.json; expected a saved gap"):
    gap.Gap.load(str(tmp_path / "gap.json"))


def test_tells_what_was_closed_of_an_earlier_gap():
  """Layers are told by name: another order of the earlier ones is fine."""
  before = gap.Gap(tuple(reversed(of(0.4, 0.2, 0.0, NAN).rows)))
  closed = of(0.1, 0.3, 0.1, 0.1).closed(before)
  assert [row.layer for row in closed.rows] == ["l0", "l1", "l2", "l3"]
  shares = [row.share for row in closed.rows]
  np.testing.assert_allclose(shares, [0.75, -0.5, NAN, NAN])
  # Of 0.6 bits of three layers 0.5 are left.
  assert closed.share == pytest.approx(1 / 6)
  table = closed.table
  assert table[0]["layer"] == "l0"
  assert table[0]["before_bits"] == 0.4
  assert table[0]["after_bits"] == 0.1
  assert table[3]["before_bits"] is None
  assert table[2]["share"] is None
  json.dumps(table, allow_nan=False)


def test_what_was_closed_is_printed_with_the_largest_first():
  closed = of(0.1, 0.12, 0.1, 0.1).closed(of(0.2, 0.4, 0.1001, NAN))
  lines = str(closed).splitlines()
  assert lines[0] == "Gap between source and target, 54 % closed"
  rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
  assert rows == [
    ["1", "l1", "0.400", "0.120", "70"],
    ["2", "l0", "0.200", "0.100", "50"],
    ["3", "l2", "0.100", "0.100", "0"],
    ["4", "l3", "-", "0.100", "-"],
  ]
  assert closed.to_text(most=1).splitlines()[-1] == "and 3 more"


def test_a_gap_that_is_closed_or_never_was_has_its_own_share():
  assert closed_gap.Change("a", 0.5, 0.0).share == 1
  assert np.isnan(closed_gap.Change("a", 0.0, 0.0).share)
  assert np.isnan(closed_gap.Closed(()).share)


@pytest.mark.parametrize(("before", "now"), [((1, 2), (1,)), ((1,), (1, 2))])
def test_gaps_of_other_layers_are_not_compared(before, now):
  before, now = (of(*(0.1 for _ in bits)) for bits in (before, now))
  with pytest.raises(config_lib.UserError, match="'l1' is in one of the two gaps alone"):
    now.closed(before)
