"""The tables at the end of a run, of both tasks."""

import re

import pytest

from tfdam.metrics import confusion
from tfdam.reporting import tables

_DIGITS = {
  "source_only": {
    "test": {"accuracy": 0.80555, "per_class_accuracy": [0.5, None]},
    "transductive": {"accuracy": 0.8, "per_class_accuracy": [0.25, 1.0]},
  },
  "adapted": {"test": {"accuracy": 0.97, "per_class_accuracy": [1.0, 0.125]}},
}


def scores(labels, predictions):
  matrix = confusion.Confusion(3)
  matrix.add(labels, predictions)
  return matrix.scores()


@pytest.fixture
def streets():
  half, right = scores([0, 0, 1, 1], [0, 1, 1, 1]), scores([0, 0, 1, 1], [0, 0, 1, 1])
  return {"source_only": {"test": half, "transductive": right}, "gaussian": {"test": right}}


def cells(output):
  """The table's rows as lists of texts."""
  return [re.split(r" *[│┃] *", line)[1:-1] for line in output.splitlines() if "┃" in line
          or "│" in line]  # fmt: skip


def test_a_classification_has_a_column_for_each_split(capsys):
  tables.print_stages(_DIGITS, "mnist to usps", ["a subset"])
  output = capsys.readouterr().out
  assert "mnist to usps" in output
  assert cells(output) == [
    ["accuracy, %", "test", "transductive"],
    ["source only", "80.55", "80.00"],
    ["adapted", "97.00", "-"],
  ]
  assert output.endswith("Note: a subset\n")


def test_a_target_of_several_has_a_row_of_its_own_below_each_stage(capsys):
  parts = {"usps": {"accuracy": 0.5}, "svhn": {"accuracy": 0.25}}
  stages = {"source_only": {"test": {"accuracy": 0.375, "parts": parts}}}
  tables.print_stages(stages, "mnist to usps+svhn")
  assert cells(capsys.readouterr().out) == [
    ["accuracy, %", "test"], ["source only", "37.50"], ["usps", "50.00"],
    ["svhn", "25.00"],
  ]  # fmt: skip


def test_a_classifications_classes_stand_in_rows(capsys):
  tables.print_classes(_DIGITS, "test", ["zero", "one"])
  output = capsys.readouterr().out
  assert "accuracy per class, test, %" in output
  assert cells(output) == [
    ["", "source only", "adapted"], ["zero", "50.0", "100.0"], ["one", "-", "12.5"],
  ]  # fmt: skip


def test_brackets_and_colons_in_names_are_letters(capsys):
  tables.print_classes(_DIGITS, "test", ["bolt [m8]", "[/car] :car:"])
  rows = cells(capsys.readouterr().out)
  assert [row[0] for row in rows] == ["", "bolt [m8]", "[/car] :car:"]


def test_tables_fit_80_columns_and_break_no_word(streets, capsys, monkeypatch):
  monkeypatch.setenv("COLUMNS", "200")
  tables.print_stages(streets, "streets", task="segmentation")
  stage = {"marginal_distance": 0.5, "classes_predicted": 19, "dead_channels": 2,
           "channels": 1000}  # fmt: skip
  stages = {name: {} for name in ("source_only", "gaussian", "adapted")}
  tables.print_unlabelled({"stages": stages, "unlabelled": dict.fromkeys(stages, stage)})
  every = {"test": {"per_class_accuracy": [0.5] * 10}}
  tables.print_classes(
    dict.fromkeys(stages, every), "test", [f"digit {i}" for i in range(10)]
  )
  lines = capsys.readouterr().out.splitlines()
  assert max(map(len, lines)) <= 80
  assert "│ labels' distance from the source's, % │" in "\n".join(lines)
  tables.print_classes({"adapted": every}, "test", ["a" * 100] * 10)
  assert "a" * 100 in capsys.readouterr().out


def test_any_name_is_printed_in_its_line(capsys):
  names = ["caf\udce9", "two\nlines"]
  tables.print_stages(_DIGITS, "a\udcff to b\x1b[2J", [f"{names[0]}: no images"])
  tables.print_classes(_DIGITS, "test", names)
  output = capsys.readouterr().out
  output.encode()
  for shown in (r"a\xff to b\x1b[2J", r"Note: caf\xe9: no images", r"two\nlines"):
    assert shown in output


def test_what_results_json_lacks_or_has_beside_is_no_hindrance(capsys):
  stages = {"later": {"test": {}}, "adapted": {"test": {"accuracy": None}}}
  tables.print_stages(stages, "a title")
  assert cells(capsys.readouterr().out)[1:] == [["later", "-"], ["adapted", "-"]]


def test_a_segmentation_has_a_column_for_each_score(streets, capsys):
  """By hand: IoU 1/2 and 2/3, recall 1/2 and 1, 3 of 4 right."""
  tables.print_stages(streets, "streets", ["a note"], task="segmentation")
  output = capsys.readouterr().out
  assert cells(output) == [
    ["", "", "pixel", "class", "", "transductive"],
    ["%", "mIoU", "accuracy", "accuracy", "fwIoU", "mIoU"],
    ["source only", "58.33", "75.00", "75.00", "58.33", "100.00"],
    ["Gaussian", "100.00", "100.00", "100.00", "100.00", "-"],
  ]
  assert output.endswith("Note: a note\n")


def test_a_score_that_is_null_is_a_gap(streets, capsys):
  streets["source_only"]["test"]["class_accuracy"] = None
  tables.print_stages(streets, "streets", task="segmentation")
  assert cells(capsys.readouterr().out)[2][1:4] == ["58.33", "75.00", "-"]


def test_a_segmentation_without_test_labels_shows_what_there_is(streets, capsys):
  del streets["source_only"]["test"], streets["gaussian"]
  tables.print_stages(streets, "streets", task="segmentation")
  assert cells(capsys.readouterr().out) == [
    ["%", "transductive mIoU"], ["source only", "100.00"],
  ]  # fmt: skip


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_nothing_scored_is_said(task, capsys):
  tables.print_stages({"source_only": {}}, "title", task=task)
  output = " ".join(capsys.readouterr().out.split())
  assert "The target has no labels: nothing was scored." in output


def test_a_segmentations_classes_stand_in_rows_above_their_mean(streets, capsys):
  tables.print_classes(streets, "test", ["road", "sky", "car"], task="segmentation")
  output = capsys.readouterr().out
  assert "IoU per class, test, %" in output
  assert cells(output) == [
    ["", "source only", "Gaussian"],
    ["road", "50.0", "100.0"],
    ["sky", "66.7", "100.0"],
    ["car", "-", "-"],
    ["mean", "58.3", "100.0"],
  ]


def test_19_classes_fit_into_a_table_without_wrapping(capsys):
  every = {"test": {"iou_per_class": [0.5] * 19, "miou": 0.5}}
  stages = {"source_only": every, "gaussian": every, "adapted": every}
  names = [f"a long class name {i}" for i in range(19)]
  tables.print_classes(stages, "test", names, task="segmentation")
  rows = cells(capsys.readouterr().out)
  assert [row[0] for row in rows] == ["", *names, "mean"]
  assert all(row[1:] == ["50.0"] * 3 for row in rows[1:])
