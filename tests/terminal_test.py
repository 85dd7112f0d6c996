"""What is printed on a terminal: how wide it is, and in which colours."""

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import threading

import numpy as np
import pytest
import rich.table

from export import summary
from tfdam import doctor, oracle, progress, terminal
from tfdam.diagnosis import rows as rows_lib
from tfdam.metrics import gap as gap_lib
from tfdam.metrics import oracle as bounds
from tfdam.reporting import tables

_STAGES = ("source_only", "gaussian", "adapted")
_CLASSES = ["road", "traffic light", "vegetation", "motorcycle"]
_LONG = ("conv5_block16_2_relu_with_a_long_name", "decoder_upsampling_block_4", "b3")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@contextlib.contextmanager
def screen(monkeypatch, columns=80, **environment):
  """A terminal as standard output and error; yields a function that reads it."""
  for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
    monkeypatch.delenv(name, raising=False)
  for name, value in {"TERM": "xterm", **environment}.items():
    monkeypatch.setenv(name, value)
  ours, theirs = pty.openpty()
  fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
  seen = []

  def drain():
    with contextlib.suppress(OSError):  # the end, on Linux
      while data := os.read(ours, 1 << 16):
        seen.append(data)

  def read():
    slave.close()
    reader.join()
    return b"".join(seen).decode().replace("\r\n", "\n")

  reader = threading.Thread(target=drain)
  reader.start()
  slave = open(theirs, "w", encoding="utf-8")
  monkeypatch.setattr(sys, "stdout", slave)
  monkeypatch.setattr(sys, "__stdout__", slave)  # whose size Python asks for
  monkeypatch.setattr(sys, "stderr", slave)
  try:
    yield read
  finally:
    monkeypatch.undo()
    slave.close()
    reader.join()
    os.close(ours)


def stages():
  scores = {"miou": 0.46301, "pixel_accuracy": 0.63274, "class_accuracy": 0.63285,
            "fwiou": 1.0, "iou_per_class": [0.1234, 0.9876, 1.0, None]}  # fmt: skip
  return {stage: {"test": scores, "transductive": scores} for stage in _STAGES}


def show_stages():
  title = "streets to streets:photo, gaussian matching, seed 0: /home/user/runs/streets-gam"
  tables.print_stages(stages(), title, ["a note of many words"] * 2, task="segmentation")


def show_classes():
  tables.print_classes(stages(), "transductive", _CLASSES, task="segmentation")


def show_unlabelled():
  look = {"marginal_distance": 0.5, "classes_predicted": 19, "dead_channels": 12,
          "channels": 1000}  # fmt: skip
  free = {"entropy": 0.123, "information": 1.234, "discriminator_accuracy": 0.778}
  tables.print_unlabelled(
    {
      "stages": dict.fromkeys(_STAGES),
      "unlabelled": dict.fromkeys(_STAGES, look),
      "label_free": dict.fromkeys(_STAGES, free),
    }
  )


def show_oracle():
  counts = np.arange(1, 5), np.arange(4, 0, -1)
  found = bounds.bounds(*counts)
  terminal.show(oracle._table("a title", _CLASSES, counts, found, is_segmentation=True))


def show_export():
  found = {"relative_logit_difference": 1.2e-7, "label_agreement": 0.99987}
  names = ("SavedModel", "SavedModel without tfdam", "ONNX Runtime, int8_tensorrt")
  metric = {"miou": 0.4631, "num_images": 500}
  parity = {"keras": {"metric": metric}, **{n: {**found, "metric": metric} for n in names}}
  model = {"name": "streets-gam", "stage": "adapted", "step": 1000}
  summary.print_parity({"model": model, "sizes": {"SavedModel": 8_120_000}}, parity)


def show_gap():
  gap = gap_lib.Gap(
    tuple(
      gap_lib.LayerGap(name, i, (64, 128, 256), 256, 0.123 + i / 10, 0.901, 17, 0.991)
      for i, name in enumerate(_LONG)
    )
  )
  print(gap.to_text(width=terminal.width()))


def show_doctor():
  found = "/home/user/projects/adaptation/data/cityscapes: gtFine_trainvaltest.zip"
  terminal.show(
    doctor.table(
      [
        rows_lib.Row("packages", "onnxruntime", rows_lib.OK, "1.31.1", ""),
        rows_lib.Row("data", "cityscapes", rows_lib.MISSING, found, "see [docs]" * 6),
      ]
    )
  )


def show_plan():
  table = rich.table.Table(title="What would run")
  for name in ("run", "seeds to run", "recorded", "each, at most"):
    table.add_column(name, justify="left" if name == "run" else "right", no_wrap=True)
  run = "configs/digits/mnist_to_usps.py:release,adda_drift"
  table.add_row(run, "0, 1, 2, 3, 4", "0", "17 min")
  terminal.show(table)


_SHOWN = (
  show_stages, show_classes, show_unlabelled, show_oracle, show_export, show_gap,
  show_doctor, show_plan,
)  # fmt: skip


def numbers(text):
  return sorted(re.findall(r"\d+\.\d+(?:e-\d+)?", text))


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("show", _SHOWN, ids=lambda show: show.__name__)
def test_a_table_fits_the_terminal_and_tears_no_number(monkeypatch, capsys, show, columns):
  show()
  elsewhere = capsys.readouterr().out
  with screen(monkeypatch, columns) as read:
    show()
    text = _ESCAPE.sub("", read())
  assert max(map(len, text.splitlines())) <= columns
  assert numbers(text) == numbers(elsewhere)
  assert "…" not in text


@pytest.mark.parametrize("show", _SHOWN, ids=lambda show: show.__name__)
def test_what_a_pipe_gets_is_whole_whatever_the_terminal_is(monkeypatch, capsys, show):
  texts = []
  for columns, term in (("40", "dumb"), ("200", "xterm")):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", term)
    show()
    texts.append(capsys.readouterr().out)
  assert texts[0] == texts[1]
  assert not _ESCAPE.search(texts[0])
  assert "…" not in texts[0]


def test_a_pipe_gets_names_in_one_piece(capsys):
  show_plan()
  show_gap()
  text = capsys.readouterr().out
  for name in (
    "configs/digits/mnist_to_usps.py:release,adda_drift",
    "0, 1, 2, 3, 4",
    *_LONG,
  ):
    assert f"│ {name} " in text


def test_a_long_name_is_broken_behind_its_punctuation(monkeypatch):
  with screen(monkeypatch, 60) as read:
    show_plan()
    lines = _ESCAPE.sub("", read()).splitlines()
  parts = [re.split(" *│ *", line)[1] for line in lines if line.startswith("│")]
  assert "".join(parts) == "configs/digits/mnist_to_usps.py:release,adda_drift"
  assert all(part[-1] in "/_:,." for part in parts[:-1])


@pytest.mark.parametrize("show", _SHOWN, ids=lambda show: show.__name__)
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colours_gets_no_codes(monkeypatch, show, environment):
  with screen(monkeypatch, **environment) as read:
    show()
    assert not _ESCAPE.search(read())


def test_others_get_bold_headings(monkeypatch):
  with screen(monkeypatch) as read:
    show_classes()
    assert "\x1b[1m" in read()


def draw_a_bar():
  with progress.bar("adapted", 0, 10) as shown:
    shown.update(5, {"loss/target": 0.5})


def test_a_bar_without_colours_moves_the_cursor_alone(monkeypatch):
  with screen(monkeypatch, NO_COLOR="1") as read:
    draw_a_bar()
    codes = set(_ESCAPE.findall(read()))
  assert codes
  assert all(re.fullmatch(r"\x1b\[(\?25[lh]|[12]?[AK])", code) for code in codes)


def test_a_terminal_that_cannot_move_its_cursor_gets_no_bar(monkeypatch):
  with screen(monkeypatch, TERM="dumb") as read:
    draw_a_bar()
    assert "━" not in read()


def test_a_sentence_is_broken_between_words_on_a_terminal_alone(monkeypatch, capsys):
  sentence = "--a-flag-with-hyphens and /a/path/that/is/longer/than/twenty/columns stay"
  terminal.say(sentence)
  assert capsys.readouterr().out == f"{sentence}\n"
  with screen(monkeypatch, 20) as read:
    terminal.say(sentence)
    assert read().split() == sentence.split()


def test_cells_set_in_stay_set_in_and_empty_tables_are_no_hindrance():
  table = rich.table.Table()
  for justify in ("left", "right"):
    table.add_column("", justify=justify)
  fitted = terminal.fitted(table, 10, breaks_names=True)
  assert fitted.row_count == 0
  table.add_row("  a long name of words", "1.25")
  name = next(iter(terminal.fitted(table, 22, True).columns[0].cells))
  assert all(line.startswith("  ") for line in name.split("\n"))
  assert name.split() == "a long name of words".split()


def test_a_number_keeps_its_deviation_and_what_is_in_brackets_stays_together():
  table = rich.table.Table()
  table.add_column("method")
  table.add_column("test", justify="right")
  table.add_row("adapted", "94.47 ± 0.07 (2 of 5 seeds)")
  for room in (20, 35):
    cell = next(iter(terminal.fitted(table, room, True).columns[1].cells))
    assert cell.split("\n") == ["94.47 ± 0.07", "(2 of 5 seeds)"]


def test_wide_letters_count_twice():
  table = rich.table.Table()
  table.add_column("名前")
  table.add_row("道路標識" * 5)
  out = io.StringIO()
  rich.console.Console(file=out, width=30).print(terminal.fitted(table, 30, True))
  lines = out.getvalue().splitlines()
  assert max(map(rich.cells.cell_len, lines)) <= 30
  assert sum(line.count("標") for line in lines) == 5
