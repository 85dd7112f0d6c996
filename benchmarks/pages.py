"""Writes the tables of README, docs/start.md and docs/results/ from benchmarks/results/.

  python -m benchmarks.pages

A table stands between `<!-- its name -->` and `<!-- end -->`; a test compares. Tables of
experiments are `bazel run //tfdam:reproduce`'s.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import measured, table, trials
from tfdam import runtime
from tfdam.reproduction import tables as markers

RESULTS = os.path.join(runtime.PROJECT, "benchmarks", "results")
PAGES = (
  "README.md", "docs/start.md", "docs/results/digits.md", "docs/results/speed.md",
  "docs/results/stacks.md", "docs/results/streets.md",
)  # fmt: skip
_STACKS = ("tf215", "tf221")
# README's rows: (pair as in the tables, title, recipe, how the recipe is named).
_SHOWN = (
  ("mnist to usps", "MNIST to USPS, accuracy", "release", "as in the paper"),
  ("mnist to usps", "", "best", "`best`"),
  ("usps to mnist", "USPS to MNIST, accuracy", "release", "as in the paper"),
  ("usps to mnist", "", "best", "`best`"),
  ("streets to camvid", "procedural streets to CamVid, mIoU", "segmentation",
   "as in the paper"),
  ("streets to camvid", "", "with_labels", "`with_labels`"),
)  # fmt: skip


def tables() -> dict[str, str]:
  """{marker: table in Markdown}."""
  found: dict[str, list[str]] = {}
  runs: dict[str, list[str]] = {}
  for folder in ("digits", "streets"):
    content = _folder(folder)
    runs.update(table.markdown(content.values()))
    prefix = f"{folder}/"
    for pair, lines in table.markdown(content.values()).items():
      found[prefix + pair.replace(" ", "_")] = lines
  found["readme/results"] = _summary(runs)
  streets, signs = _file("streets/streets-gam-0"), _file("start_signs")
  found["start/streets"] = measured.run_table(streets, "miou", "mIoU, %")
  found["start/signs"] = measured.run_table(signs, "accuracy", "accuracy, %")
  tried = _folder("trials")
  for start in ("mnist_to_usps", "usps_to_mnist", "streets", "streets_to_camvid"):
    found[f"trials/{start}"] = trials.markdown(tried, f"{start}-")
  found["trials/sequences"] = trials.sequences(tried["streets_to_camvid-sequences-0"])
  found["trials/by_image"] = trials.by_seed(_BY_IMAGE, _all_runs())
  found["trials/drift"] = trials.by_drift(_DRIFT, _all_runs())
  found["trials/sevens"] = trials.sevens(_sevens(tried))
  found["streets/curriculum"] = measured.curriculum(list(_folder("curriculum").values()))
  found.update(_speed())
  found.update(_of_stacks())
  return {name: "\n".join(lines) for name, lines in found.items()}


# {title: (stage, names of the files of seeds 0, 1 and 2)}: from one source network a seed.
_BY_IMAGE = {
  "source only": ("source_only", "trials/streets_to_camvid-gaussian_one_core-{seed}"),
  "Gaussian matching": ("gaussian", "trials/streets_to_camvid-gaussian_one_core-{seed}"),
  "Gaussian matching, `by_image`": (
    "gaussian", "streets/streets_to_camvid-by_image-gam-{seed}"
  ),
  "GAM, `by_image`": ("adapted", "streets/streets_to_camvid-by_image-gam-{seed}"),
}  # fmt: skip
# (taps, drift weight, file): from one source network of seed 0.
_DRIFT = (
  ("4, 8, 12, 17 (GAM)", "2", "streets/streets_to_camvid-gam-0"),
  ("4, 8, 12, 17 (GAM)", "0.05", "trials/streets_to_camvid-drift0.05-0"),
  ("4, 8, 12 with weight 0.1, and 17", "0.05",
   "trials/streets_to_camvid-drift0.05-weighted_taps-0"),
  ("12, 17", "0.05", "trials/streets_to_camvid-drift0.05-taps_12_17-0"),
  ("17 (ADDA + drift)", "2", "streets/streets_to_camvid-adda_drift-0"),
  ("17 (ADDA + drift)", "0.05", "trials/streets_to_camvid-adda_drift-drift0.05-0"),
)  # fmt: skip


def _sevens(tried: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
  """Yields runs from USPS to MNIST by the released recipe, seed by seed, then trials."""
  start, digits = "usps_to_mnist-release", _folder("digits")
  for seed in range(5):
    for method in ("adda", "adda_drift", "gam_no_drift", "gam"):
      name = f"{start}-{method}-{seed}"
      if name in digits:
        yield f"`{method}`", digits[name]
  for name, trial in tried.items():
    if name.startswith(f"{start}_"):
      yield f"trial {name[len(start) + 1 : -2]}", trial


def _speed() -> dict[str, list[str]]:
  by_hand = _file("by_hand")
  return {
    "speed/lenet_step": measured.lenet_step(_file("lenet_step"), _file("lenet_step_avx2")),
    "speed/erfnet_step": measured.erfnet_step(_file("erfnet_step")),
    "speed/lite0_step": measured.lite0_step(_file("lite0_step")),
    "speed/gpu_steps": measured.gpu_steps(
      _file("h100/lenet_step"), _file("h100/erfnet_step")
    ),
    "speed/input_pipeline": measured.input_pipeline(_file("input_pipeline")),
    "speed/matching_cost": measured.matching_cost(by_hand),
    "speed/inference": measured.inference(_file("inference")),
    "speed/precisions": measured.precision_times(
      _file("precisions"), _file("precisions_again")
    ),
    "speed/openvino": measured.openvino(by_hand),
    "speed/streets_precisions": measured.streets_precisions(
      _file("streets_precisions"), by_hand
    ),
    "speed/calibrations": measured.calibrations(_file("streets_precisions")),
    "speed/gpu_inference": measured.gpu_inference(_file("h100/inference")),
  }


def _of_stacks() -> dict[str, list[str]]:
  digits = "stacks/mnist_to_usps-release-gam-{}-{}"
  runs = {s: [_file(digits.format(s, seed)) for seed in range(3)] for s in _STACKS}
  streets = {s: _file(f"stacks/streets-gam-{s}-0") for s in _STACKS}
  return {
    "stacks/accuracy": measured.stacks_accuracy(runs),
    "stacks/streets": measured.stacks_streets(streets),
    "stacks/exports": measured.exports(_file("stacks/exports-tf221")),
    "stacks/speed": measured.stacks_speed(_file("stacks/steps")),
  }


def _summary(runs: Mapping[str, list[str]]) -> list[str]:
  """README's table: means over seeds, to one digit."""
  lines = [
    "| | source only | Gaussian matching | adversarial matching | recipe |",
    "|---|---|---|---|---|",
  ]
  for pair, title, recipe, told in _SHOWN:
    cells = []
    for method in ("source_only", "gaussian", "gam"):
      row = next(line for line in runs[pair] if f"| {method} | {recipe} |" in line)
      mean = re.search(r"\d+\.\d\d", row.partition(f"| {recipe} |")[2])
      assert mean is not None
      cells.append(f"{float(mean.group()):.1f}")
    lines.append(f"| {' | '.join([title, *cells, told])} |")
  return lines


def _all_runs() -> dict[str, Any]:
  return {
    f"{folder}/{name}": content
    for folder in ("streets", "trials")
    for name, content in _folder(folder).items()
  }


def _folder(name: str) -> dict[str, Any]:
  """{file's name without .json: its content} of a folder below results/."""
  paths = sorted(glob.glob(os.path.join(RESULTS, name, "*.json")))
  return {os.path.basename(path)[: -len(".json")]: _read(path) for path in paths}


def _file(name: str) -> Any:
  return _read(os.path.join(RESULTS, f"{name}.json"))


def _read(path: str) -> Any:
  with open(path, encoding="utf-8") as file:
    return json.load(file)


def main() -> None:
  filled = tables()
  for page in PAGES:
    markers.write_into(os.path.join(runtime.PROJECT, page), filled)
    print(page)


if __name__ == "__main__":
  main()
