"""Tables of trials for docs/results/: single runs with other settings, wins and losses.

A trial is a file of benchmarks/results/trials/, with the flags that repeat it.
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import table

_STAGES = ("source_only", "gaussian", "adapted")
_HEADER = [
  "| trial | recipe and method | other settings | seeds | source only | Gaussian |"
  " adapted | adapted, transductive |",
  "|---|---|---|---|---|---|---|---|",
]
# Settings for which the table has a column.
_LEFT_OUT = ("seed=",)


def markdown(trials: Mapping[str, Mapping[str, Any]], start: str) -> list[str]:
  """Lines of a Markdown table, a row for each trial.

  Args:
    trials: {file's name without .json: its content}.
    start: what the names of the wanted ones begin with, such as "mnist_to_usps-".

  Returns:
    Accuracy or mIoU in percent: on the test split, and of the adapted network on the
    images that it was adapted to. Files without runs' stages are left out.
  """
  rows: dict[tuple[str, str, str], dict[int, Mapping[str, Any]]] = {}
  for name, trial in trials.items():
    if name.startswith(start) and "stages" in trial:
      short = re.sub(r"-\d$", "", name[len(start) :])
      rows.setdefault((short, *_told(trial)), {})[trial["seed"]] = trial["stages"]
  return [*_HEADER, *(_line(row, by_seed) for row, by_seed in rows.items())]


def _line(row: tuple[str, str, str], by_seed: Mapping[int, Mapping[str, Any]]) -> str:
  cells = [_cell(by_seed, stage, "test") for stage in _STAGES]
  cells.append(_cell(by_seed, "adapted", "transductive"))
  return f"| {' | '.join([*row, ', '.join(map(str, by_seed)), *cells])} |"


def _told(trial: Mapping[str, Any]) -> tuple[str, str]:
  """Returns what follows the config file's colon, and the other settings."""
  flags, _, remark = re.sub(
    r"[,;] (?=[a-z])", "\n", trial.get("flags", ""), count=1
  ).partition("\n")
  words = flags.split()
  options = f"{trial.get('recipe', '')},{trial.get('method', '')}".strip(",")
  if words and words[0].startswith("--config="):
    path, _, given = words.pop(0)[len("--config=") :].partition(":")
    options = given or os.path.basename(path)
  settings = [f"`{word[len('--config.') :]}`" for word in words]
  settings = [s for s in settings if not s.strip("`").startswith(_LEFT_OUT)]
  if "change" in trial:
    remark = "the drawing changed (the file has the change)"
  return options, "; ".join(filter(None, [", ".join(settings), remark]))


def _cell(by_seed: Mapping[int, Mapping[str, Any]], stage: str, split: str) -> str:
  """Returns accuracy or mIoU in percent, mean and range over seeds."""
  found = {seed: stages.get(stage, {}) for seed, stages in by_seed.items()}
  return table.cell(split, "miou", found) or table.cell(split, "accuracy", found)


def sequences(file: Mapping[str, Any]) -> list[str]:
  """Scores of saved networks on CamVid's day and dusk, percent."""
  road = file["classes"].index("road")
  lines = [
    "| network | drift weight | day, mIoU | dusk, mIoU | dusk, road's IoU |",
    "|---|---|---|---|---|",
  ]
  for row in file["rows"]:
    drift = re.search(r"drift_weight=([\d.]+)", row["flags"])
    adapted = re.search(r"\.py:(\w+)", row["flags"])
    assert adapted is not None
    stage = adapted.group(1) if row["stage"] == "adapted" else row["stage"]
    weight = drift.group(1) if drift else "2" if row["stage"] == "adapted" else ""
    dusk, day = row["dusk"], row["day"]
    cells = [stage, weight, day["miou"], dusk["miou"], dusk["iou_per_class"][road]]
    lines.append(f"| {' | '.join(map(str, cells))} |")
  return lines


def by_seed(
  rows: Mapping[str, tuple[str, str]], runs: Mapping[str, Mapping[str, Any]]
) -> list[str]:
  """MIoU on the test split of seeds 0, 1 and 2, and their mean.

  Args:
    rows: {title: (stage, name of a run with {seed})}.
    runs: {name: results}.
  """
  lines = ["| | seed 0 | 1 | 2 | mean |", "|---|---|---|---|---|"]
  for title, (stage, name) in rows.items():
    found = [_miou(runs[name.format(seed=seed)], stage, "test") for seed in range(3)]
    cells = [f"{value:.2f}" for value in (*found, statistics.mean(found))]
    lines.append(f"| {' | '.join([title, *cells])} |")
  return lines


def by_drift(
  rows: Iterable[tuple[str, str, str]], runs: Mapping[str, Mapping[str, Any]]
) -> list[str]:
  """MIoU of adapted networks by taps and drift weight.

  Args:
    rows: (taps, drift weight, name of the run).
    runs: {name: results}.
  """
  lines = ["| taps | drift | test mIoU | transductive mIoU |", "|---|---|---|---|"]
  for taps, drift, name in rows:
    cells = [f"{_miou(runs[name], 'adapted', s):.2f}" for s in ("test", "transductive")]
    lines.append(f"| {' | '.join([taps, drift, *cells])} |")
  return lines


def _miou(run: Mapping[str, Any], stage: str, split: str) -> float:
  return 100 * run["stages"][stage][split]["miou"]


def sevens(runs: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
  """The share of MNIST's sevens that adapted networks get right, percent, test split.

  Where it was recorded, also how far predicted label shares are from the source's.

  Args:
    runs: (title, results) of each run.
  """
  lines = [
    "| run | seed | source only | adapted | adapted, sevens alone | label shares off by |",
    "|---|---|---|---|---|---|",
  ]
  for title, run in runs:
    stages = run["stages"]
    found = stages["adapted"]["test"]
    shares = (
      stages["source_only"]["test"]["accuracy"], found["accuracy"],
      found["per_class_accuracy"][7],
    )  # fmt: skip
    off = run.get("marginal_distance")
    cells = [f"{100 * share:.1f}" for share in shares]
    cells.append("" if off is None else f"{off:.2f}")
    lines.append(f"| {' | '.join([title, str(run['seed']), *cells])} |")
  return lines
