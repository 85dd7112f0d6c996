"""Prints the table of README.md from runs' results.json files.

  python -m benchmarks.table benchmarks/results/digits/*.json

Mean and range over seeds, in percent; every file is one run.
"""

from __future__ import annotations

import collections
import json
import statistics
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_STAGES = ("source_only", "gaussian", "adapted")
_SPLITS = ("test", "transductive")
_HEADER = (
  "| pair, recipe, method | seeds | split | source only | Gaussian | adapted |",
  "|---|---|---|---|---|---|",
)


def markdown(results: Iterable[Mapping[str, Any]]) -> list[str]:
  """Lines of a Markdown table, a row for each pair, recipe, method and split.

  Args:
    results: contents of results.json files.
  """
  groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = collections.defaultdict(
    list
  )
  for run in results:
    key = (f"{run['source']} to {run['target']}", run["recipe"], run["method"])
    groups[key].append(run)
  lines = list(_HEADER)
  for key, runs in sorted(
    groups.items(), key=lambda item: (item[0][0], item[0][1] != "release")
  ):
    seeds = ", ".join(str(run["seed"]) for run in sorted(runs, key=lambda run: run["seed"]))
    for split in _SPLITS:
      cells = [_cell(runs, stage, split) for stage in _STAGES]
      lines.append(f"| {', '.join(key)} | {seeds} | {split} | {' | '.join(cells)} |")
  return lines


def _cell(runs: list[Mapping[str, Any]], stage: str, split: str) -> str:
  """Mean and range, such as "94.65 (94.42 to 94.87)"; "-" where no run has that stage."""
  scores = [
    100 * run["stages"][stage][split]["accuracy"] for run in runs if stage in run["stages"]
  ]
  if not scores:
    return "-"
  return f"{statistics.mean(scores):.2f} ({min(scores):.2f} to {max(scores):.2f})"


def main(paths: list[str]) -> None:
  loaded = []
  for path in paths:
    with open(path) as file:
      loaded.append(json.load(file))
  print("\n".join(markdown(loaded)))


if __name__ == "__main__":
  main(sys.argv[1:])
