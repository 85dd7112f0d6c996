"""Prints tables of runs from their results.json files.

  python -m benchmarks.table runs/*/results.json

Cells are accuracy or IoU in percent, mean and range over seeds; digits are shown beside the
paper's Table 1. Every file is one run, and a row has all the seeds that were run.
"""

from __future__ import annotations

import collections
import json
import statistics
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_SPLITS = ("test", "transductive")
_HEADERS = {
  "classification": (
    "| method | recipe | weights | seeds | test | transductive | paper |",
    "|---|---|---|---|---|---|---|",
  ),
  "segmentation": (
    "| method | recipe | seeds | mIoU | pixel accuracy | class accuracy |"
    " transductive mIoU |",
    "|---|---|---|---|---|---|---|",
  ),
}
# The paper's Table 1, in percent on the target.
_PAPER = {
  "mnist to usps": {
    "supervised": "96.4", "source_only": "77.8", "adda": "90.2 ± 0.9",
    "adda_drift": "90.5 ± 0.5", "jan": "85.0", "gam_no_drift": "95.6 ± 0.6",
    "gam": "95.7 ± 0.5",
  },
  "usps to mnist": {
    "supervised": "99.9", "source_only": "70.7", "adda": "97.2 ± 0.4",
    "adda_drift": "97.4 ± 0.6", "jan": "90.9", "gam_no_drift": "97.8 ± 0.6",
    "gam": "98.0 ± 0.5",
  },
  "svhn to mnist": {
    "supervised": "99.9", "source_only": "60.3", "adda": "72.0 ± 0.6",
    "adda_drift": "73.5 ± 0.8", "jan": "69.9", "gam_no_drift": "73.6 ± 0.6",
    "gam": "74.6 ± 1.1",
  },
}  # fmt: skip
_METHODS = (
  "source_only", "supervised", "gaussian", "adabn", "jan", "adda", "adda_drift",
  "gam_no_drift", "gam", "best",
)  # fmt: skip
_RECIPES = (
  "release", "paper", "best", "segmentation", "by_image", "with_labels"
)  # fmt: skip
# Networks in the names of runs, if they are not the pair's usual one.
_NETWORKS = ("lite0", "vgg16")
_WEIGHTS = ("", "last step", "average")
# The stage that a method ends with; all others end with "adapted".
_LAST_STAGES = {
  "source_only": "source_only", "supervised": "source_only",
  "gaussian": "gaussian", "adabn": "gaussian",
}  # fmt: skip
Row = tuple[str, str, str, str]  # pair, recipe, method, weights
Scores = Mapping[str, Mapping[str, Any]]


def markdown(results: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
  """Makes a Markdown table for each pair, with a row for each recipe and method.

  Runs that are left out are named on standard error.

  Args:
    results: contents of results.json files.

  Returns:
    {"mnist to usps": lines}. An adapted digit network may have rows for its last step, its
    moving average, or both.
  """
  rows: dict[Row, dict[int, Scores]] = collections.defaultdict(dict)
  for run in results:
    problem = _problem(run)
    if problem:
      _tell(run, problem)
      continue
    for row, scores in _rows(run):
      there = rows[row].setdefault(run["seed"], scores)
      if there != scores:
        _tell(run, f"its {row[2]} is left out: another run of this seed has other scores")
  tables: dict[str, list[str]] = {}
  for row in sorted(rows, key=_order):
    is_scenes = any(map(_is_of_scenes, rows[row].values()))
    header = _HEADERS["segmentation" if is_scenes else "classification"]
    lines = tables.setdefault(row[0], list(header))
    lines.append(_scenes_line(row, rows[row]) if is_scenes else _line(row, rows[row]))
  return tables


def _tell(run: Mapping[str, Any], what: str) -> None:
  print(f"{run['name']}, seed {run['seed']}: {what}.", file=sys.stderr)


def _problem(run: Mapping[str, Any]) -> str | None:
  """Returns why a run is left out, or None."""
  last = _LAST_STAGES.get(run["method"], "adapted")
  if last not in run["stages"]:
    return f"left out: it has not finished {last}"
  if "test" not in run["stages"][last]:
    return "left out: its target has no labelled test split"
  return None


def _rows(run: Mapping[str, Any]) -> Iterable[tuple[Row, Scores]]:
  """Yields a run's rows: its last stage, and the stages before it."""
  # From its name, because a supervised run's source is its target.
  pair = run["name"].partition("-")[0].replace("_to_", " to ")
  *earlier, last = run["stages"]  # in the order of the run
  recipe, method = run["recipe"], run["method"]
  network = next((part for part in run["name"].split("-") if part in _NETWORKS), "")
  recipe = ",".join(filter(None, (network, recipe)))
  if _is_of_scenes(run["stages"][last]) or last != "adapted":
    yield (pair, recipe, method, ""), run["stages"][last]
  elif "last_step" in run:
    yield (pair, recipe, method, "last step"), run["last_step"]
    yield (pair, recipe, method, "average"), run["stages"][last]
  else:
    # Earlier files of `best` have only its moving average.
    weights = "average" if recipe == "best" else "last step"
    yield (pair, recipe, method, weights), run["stages"][last]
  # Only the plain network's earlier stages get rows; other methods start from other
  # networks.
  if method == "gam" and recipe != "paper":
    for stage in earlier:
      yield (pair, recipe, stage, ""), run["stages"][stage]


def _is_of_scenes(scores: Scores) -> bool:
  return any("miou" in split for split in scores.values())


def _order(row: Row) -> tuple[str, str, int, int, int]:
  pair, recipe, method, weights = row
  network, _, plain = recipe.rpartition(",")
  known = plain in _RECIPES and method in _METHODS
  places = (_RECIPES.index(plain), _METHODS.index(method)) if known else (99, 99)
  return (pair, network, *places, _WEIGHTS.index(weights))


def _line(row: Row, by_seed: Mapping[int, Scores]) -> str:
  pair, recipe, method, weights = row
  seeds = _seeds(by_seed)
  cells = [cell(split, "accuracy", by_seed) for split in _SPLITS]
  printed = "" if recipe == "best" else _PAPER.get(pair, {}).get(method, "")
  return f"| {method} | {recipe} | {weights} | {seeds} | {' | '.join(cells)} | {printed} |"


def _seeds(by_seed: Mapping[int, Scores]) -> str:
  """Returns the seeds of a row as text: "0, 1, 2", or "0 to 9" for many in succession."""
  seeds = sorted(by_seed)
  if len(seeds) > 3 and seeds == list(range(seeds[0], seeds[-1] + 1)):
    return f"{seeds[0]} to {seeds[-1]}"
  return ", ".join(map(str, seeds))


def _scenes_line(row: Row, by_seed: Mapping[int, Scores]) -> str:
  seeds = _seeds(by_seed)
  columns = [("test", name) for name in ("miou", "pixel_accuracy", "class_accuracy")]
  columns.append(("transductive", "miou"))
  cells = [cell(split, name, by_seed) for split, name in columns]
  return f"| {row[2]} | {row[1]} | {seeds} | {' | '.join(cells)} |"


def cell(split: str, name: str, by_seed: Mapping[int, Scores]) -> str:
  """Returns mean and range in percent, such as "94.65 (94.42 to 94.87)", or ""."""
  found = [scores.get(split, {}).get(name) for scores in by_seed.values()]
  percent = [100 * fraction for fraction in found if fraction is not None]
  if not percent:
    return ""
  mean = f"{statistics.mean(percent):.2f}"
  if len(percent) == 1:
    return mean
  return f"{mean} ({min(percent):.2f} to {max(percent):.2f})"


def load(path: str) -> dict[str, Any]:
  """Reads a run's results.json.

  Raises:
    SystemExit: the file is missing, or is something else.
  """
  try:
    with open(path) as file:
      found = json.load(file)
  except (OSError, ValueError) as error:
    raise SystemExit(f"{path} cannot be read: {error}.") from error
  wanted = {"name", "recipe", "method", "seed", "stages"}
  if not isinstance(found, dict) or not wanted <= found.keys():
    raise SystemExit(f"{path} is no results.json of a run ({', '.join(sorted(wanted))}).")
  return found


def main(paths: list[str]) -> None:
  if not paths:
    raise SystemExit("Which runs? Name their results.json files.")
  loaded = [load(path) for path in paths]
  for pair, lines in markdown(loaded).items():
    print(f"**{pair.replace('mnist', 'MNIST').replace('usps', 'USPS')}**\n")
    print("\n".join(lines) + "\n")


if __name__ == "__main__":
  main(sys.argv[1:])
