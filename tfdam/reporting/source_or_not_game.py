"""Source-or-Not on a terminal: two histograms, and a question."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import rich.console
import rich.text

from tfdam import files
from tfdam.metrics import source_or_not_rounds as rounds_lib

# In characters. Both histograms fit into 80 columns; a narrow terminal has thinner ones.
_HEIGHT, _WIDTH = 8, 32
_BETWEEN = " " * 6
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ANSWERS = {"s": True, "same": True, "d": False, "different": False}
_LEAVING = ("q", "quit")
_QUESTION = "One domain or two? s(ame), d(ifferent), q(uit): "

# Asks a question; raises EOFError when the input ends.
Ask = Callable[[str], str]


def play(
  rounds: Sequence[rounds_lib.Round], console: rich.console.Console, ask: Ask = input
) -> int:
  """Plays with a person; prints the results of the player and of the machine.

  Returns:
    The number of right answers.
  """
  right, played = 0, 0
  for number, round_ in enumerate(rounds, 1):
    _show(round_, f"Round {number} of {len(rounds)}", console)
    says_same = _answer(ask)
    if says_same is None:
      break
    played += 1
    is_right = says_same == round_.is_same
    right += is_right
    _print(console, f"{'Right' if is_right else 'Wrong'}: {_truth(round_)}.\n")
  if not played:
    _print(console, "\nNo round was played.")
    return 0
  machine = rounds_lib.machine_score(rounds[:played])
  _print(console, f"You were right {right} of {played} times; the machine, {machine}.")
  return right


def reveal(rounds: Sequence[rounds_lib.Round], console: rich.console.Console) -> None:
  """Prints every question with its answer."""
  for number, round_ in enumerate(rounds, 1):
    _show(round_, f"Round {number} of {len(rounds)}", console)
    says = "same" if round_.machine_says_same else "different"
    _print(console, f"Answer: {_truth(round_)}. The machine says: {says}.\n")
  machine = rounds_lib.machine_score(rounds)
  _print(console, f"The machine is right {machine} of {len(rounds)} times.")


def lines(
  round_: rounds_lib.Round, ascii_only: bool = False, most: int = _WIDTH
) -> list[str]:
  """The two histograms side by side, with the ends of their common axis.

  Heights are square roots of shares: after a ReLU most activations are 0, and next to that
  bin the others would vanish.

  Args:
    most: columns of either.
  """
  found = rounds_lib.histograms(round_, most)
  heights = np.sqrt([found.source[0], found.target[0]])
  bar = most // heights.shape[1]
  # In eighths of a line; what is there at all is seen.
  eighths = np.ceil(8 * _HEIGHT * heights / max(heights.max(), 1e-12)).astype(int)
  rows = []
  for row in reversed(range(_HEIGHT)):
    levels = np.clip(eighths - 8 * row, 0, 8)
    sides = ("".join(_block(level, ascii_only) * bar for level in side) for side in levels)
    rows.append(_BETWEEN.join(side.ljust(most) for side in sides))
  width = bar * heights.shape[1]
  rows.append(_BETWEEN.join([(("-" if ascii_only else "─") * width).ljust(most)] * 2))
  low, high = (f"{end:.3g}" for end in found.edges[0, [0, -1]])
  axis = f"{low}{high.rjust(width - len(low))}".ljust(most)
  rows.append(_BETWEEN.join([axis, axis]))
  return [row.rstrip() for row in rows]


def _block(level: int, ascii_only: bool) -> str:
  if ascii_only:
    return "#" if level else " "
  return _EIGHTHS[level]


def _show(round_: rounds_lib.Round, heading: str, console: rich.console.Console) -> None:
  count = round_.num_images
  tap = files.shown(round_.tap)
  images = "one image" if count == 1 else f"{count} images of one domain, together,"
  _print(console, f"{heading}: unit {round_.unit} of {tap}, {images} on either side")
  # One colour for both: it must not tell.
  most = max(8, min(_WIDTH, (console.width - len(_BETWEEN)) // 2))
  for line in lines(round_, console.options.ascii_only, most):
    console.print(rich.text.Text(line, "cyan"), no_wrap=True, overflow="ellipsis")


def _answer(ask: Ask) -> bool | None:
  """Returns whether the player says "same"; None to quit."""
  while True:
    try:
      word = ask(_QUESTION).strip().lower()
    except EOFError:
      return None
    if word in _LEAVING:
      return None
    if word in _ANSWERS:
      return _ANSWERS[word]


def _truth(round_: rounds_lib.Round) -> str:
  return "both are from one domain" if round_.is_same else "one is from each domain"


def _print(console: rich.console.Console, line: str) -> None:
  console.print(rich.text.Text(line))
