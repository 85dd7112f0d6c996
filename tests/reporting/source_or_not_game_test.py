"""The game on a terminal and its sheet: what is shown, asked and counted."""

import io
from unittest import mock

import numpy as np
import pytest
import rich.console
from PIL import Image

from tfdam.metrics import source_or_not_rounds as rounds_lib
from tfdam.reporting import drawing, source_or_not_game, source_or_not_sheet


def make(is_same=True, machine=True, tap="conv1", num_images=1):
  first = np.repeat([0.0, 1.0], [75, 25])
  second = np.repeat([0.0, 1.0], [25, 75])
  return rounds_lib.Round(tap, 7, first, second, num_images, is_same, machine)


def console(width=80, encoding="utf-8"):
  text = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
  return rich.console.Console(file=text, width=width, highlight=False, markup=False)


def printed(console_):
  console_.file.flush()
  return console_.file.buffer.getvalue().decode(console_.file.encoding)


def answering(*words):
  left = iter(words)

  def ask(question):
    try:
      return next(left)
    except StopIteration:
      raise EOFError from None

  return ask


ROUNDS = [make(True, False), make(False, False), make(True, True)]


@pytest.mark.parametrize(("words", "right", "said"), [
  (("s", "d", "s"), 3, "You were right 3 of 3 times; the machine, 2."),
  (("Different", " same ", "d"), 0, "You were right 0 of 3 times; the machine, 2."),
  (("s", "q"), 1, "You were right 1 of 1 times; the machine, 0."),
  (("what?", "", "s", "quit"), 1, "You were right 1 of 1 times; the machine, 0."),
  (("s", "d"), 2, "You were right 2 of 2 times; the machine, 1."),  # then nobody answers
  (("q",), 0, "No round was played."),
  ((), 0, "No round was played."),
])  # fmt: skip
def test_answers_are_counted_until_the_player_leaves(words, right, said):
  screen = console()
  assert source_or_not_game.play(ROUNDS, screen, answering(*words)) == right
  assert said in printed(screen)


def test_an_answer_is_told_after_it_was_given_and_not_before():
  screen, seen = console(), []

  def ask(question):
    seen.append(printed(screen))
    return "s"

  source_or_not_game.play([make(False)], screen, ask)
  assert "Round 1 of 1: unit 7 of conv1, one image on either side" in seen[0]
  assert "domain" not in seen[0]
  assert "Wrong: one is from each domain." in printed(screen)


def test_pooled_images_are_told():
  screen = console()
  source_or_not_game.reveal([make(num_images=32)], screen)
  assert "32 images of one domain, together, on either side" in printed(screen)
  assert "Answer: both are from one domain. The machine says: same." in printed(screen)
  assert "The machine is right 1 of 1 times." in printed(screen)


def test_histograms_stand_side_by_side_on_one_scale():
  """Shares 3/4 and 1/4 of two bins at the ends: heights 1 and 0.58 of the root of 3/4."""
  rows = source_or_not_game.lines(make())
  *bars, axis, ends = rows
  assert max(map(len, rows)) <= 80
  left, right = ([row.ljust(80)[start : start + 32] for row in bars] for start in (0, 38))
  # Of 8 lines: the higher bar fills all, the lower 4.6, in eighths 5 lines begun.
  for side, high, low in ((left, 0, 9), (right, 9, 0)):
    columns = ["".join(row[i] for row in side) for i in range(32)]
    filled = [sum(character != " " for character in column) for column in columns]
    assert filled[3 * high] == 8
    assert filled[3 * low] == 5
    assert sum(count > 0 for count in filled) == 6  # two bins of ten, three columns each
  assert axis == f"{'─' * 30}        {'─' * 30}"
  assert ends.split() == ["0", "1", "0", "1"]


def test_a_terminal_without_unicode_gets_letters():
  screen = console(encoding="ascii")
  source_or_not_game.reveal([make()], screen)
  text = printed(screen)
  assert "###" in text
  assert "---" in text


def test_a_tap_with_odd_letters_stays_on_its_line():
  screen = console()
  source_or_not_game.reveal([make(tap="a\n[red]b")], screen)
  assert "unit 7 of a\\n[red]b" in printed(screen)


def written(rounds, title="mnist and usps"):
  """Every text on a sheet, and the sheet."""
  with mock.patch.object(
    drawing.Writing, "at", autospec=True, side_effect=drawing.Writing.at
  ) as at:
    sheet = source_or_not_sheet.draw(rounds, title)
  return [call.args[3] for call in at.call_args_list], sheet


def test_the_sheet_numbers_pairs_and_has_the_answers_at_its_foot():
  texts, sheet = written(ROUNDS)
  assert texts[0] == "mnist and usps"
  labels = [i for i, text in enumerate(texts) if text.startswith("unit")]
  assert [texts[i - 1] for i in labels] == ["1", "2", "3"]
  assert texts.count("unit 7 of conv1, 1 image per side") == 3
  assert texts[-2:] == [
    "Answers: 1 same, 2 different, 3 same",
    "The machine is right 2 of 3 times.",
  ]
  assert sheet.dtype == np.uint8


def test_sides_are_drawn_in_one_colour():
  _, sheet = written([make(False)])
  colours = {tuple(colour) for colour in sheet.reshape(-1, 3)}
  # Blue is the only colour: all others are grey.
  blue = {source_or_not_sheet._COLOUR, source_or_not_sheet._FILL}
  assert {c for c in colours if len(set(c)) > 1} == blue


@pytest.mark.parametrize("count", [1, 2, 9, 30])
def test_a_sheet_grows_by_rows_of_two(count, tmp_path):
  path = tmp_path / "new" / "sheet.png"
  source_or_not_sheet.save(str(path), [make()] * count)
  with Image.open(path) as picture:
    rows, answers = -(-count // 2), -(-count // 8) + 1
    assert picture.height == 100 + 220 * rows + 28 * answers + 24


def test_no_rounds_are_refused():
  with pytest.raises(ValueError, match="no rounds"):
    source_or_not_sheet.draw([])
