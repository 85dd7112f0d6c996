"""How well a network could do on the target with the source's label frequencies (Sec. 5.3).

./bazelw run //tfdam:oracle -- --config=configs/digits/mnist_to_usps.py

It reads the labels of both domains and builds no network. So it tells before any training
how much the different label frequencies alone may cost.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rich.table
from absl import flags
from ml_collections import config_flags

from tfdam import config as config_lib
from tfdam import data, files, progress, runtime, stored, terminal
from tfdam.data import examples as examples_lib
from tfdam.data import scenes as scenes_lib
from tfdam.metrics import oracle
from tfdam.runs import run_folder
from tfdam.vocabulary import Task

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  help_string="Config file, with an argument after a colon; only its section data is used."
  f" Default: {runtime.DEFAULT_CONFIG}.",
)
_MAX_IMAGES = flags.DEFINE_integer(
  "max_images",
  500,
  "Number of street scenes of each domain to count labels in, evenly spaced; 0 for all.",
  lower_bound=0,
  upper_bound=config_lib.MAX_IMAGES,
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the bounds, as fractions.")


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv, "--config")
  config = config_lib.resolve(_CONFIG.value)
  options = config.data
  root = runtime.data_root(options)
  output = runtime.resolve_path(_OUTPUT.value) if _OUTPUT.value else ""
  if output:
    run_folder.check_writable(output, "--output")
  config_lib.check_task(config, data.task(options, root))
  data.check_files(options, root)
  as_stored = dataclasses.replace(options, source_style="none")  # Only labels are read.
  with progress.waiting("reading the data"):
    source = data.load_training("source", True, as_stored, root, config.seed)
    target = data.load_scored(options, root, config.seed)["test"]
  if target is None:
    raise config_lib.UserError(
      f"{options.target} in {root} has no test labels: how often each occurs is not known."
      " Set --config.data.target or --config.data.root to a set that has."
    )
  parts = {f"{options.source} train": source, f"{options.target} test": target}
  with progress.waiting("counting labels"):
    counts = [_label_counts(what, part, options) for what, part in parts.items()]
  names = [*target.class_names] or [str(i) for i in range(options.num_classes)]
  is_segmentation = config.task == Task.SEGMENTATION
  found = oracle.bounds(*counts)
  title = f"Label-distribution oracle, {options.source} to {options.target}, %"
  terminal.show(_table(title, names, counts, found, is_segmentation))
  for note in _notes(parts):
    terminal.say(f"Note: {files.shown(note)}")
  if output:
    os.makedirs(os.path.dirname(output), exist_ok=True)
    stored.write_text(output, json.dumps(_content(found), indent=2) + "\n")


def _content(found: oracle.Bounds) -> dict[str, Any]:
  """The bounds as JSON values; null for a class that neither domain has."""
  bounds = dataclasses.asdict(found)
  return {
    name: [None if item is None else float(item) for item in value]
    if name.endswith("_per_class")
    else float(value)
    for name, value in bounds.items()
  }


def _label_counts(
  what: str, part: examples_lib.Examples | scenes_lib.Scenes, options: config_lib.Data
) -> np.ndarray:
  """Counts the labels of pixels or images, int64 [num_classes].

  Raises:
    config.UserError: none of them has a label that counts.
  """
  if isinstance(part, scenes_lib.Scenes):
    counts = part.label_counts(options.num_classes, _MAX_IMAGES.value or len(part))
  else:
    counts = part.label_counts(options.num_classes)
  if counts is None or not counts.any():
    raise config_lib.UserError(
      f"{what}: of the images that were counted none has a label of the config's"
      f" {options.num_classes} classes. Set --config.data.classes, or --max_images=0 to"
      " count in all."
    )
  return counts


def _table(
  title: str,
  names: Sequence[str],
  counts: Sequence[np.ndarray],
  found: oracle.Bounds,
  is_segmentation: bool,
) -> rich.table.Table:
  """A table with one row per class, then the bounds over all classes."""
  table = rich.table.Table(title=files.shown(title))
  table.add_column("class", no_wrap=True)
  bounds = {"recall at most": found.recall_per_class}
  means = [("pixel accuracy" if is_segmentation else "accuracy", found.pixel_accuracy)]
  means.append(("class accuracy", found.class_accuracy))
  if is_segmentation:
    bounds = {"IoU at most": found.iou_per_class, **bounds}
    means = [("mIoU", found.miou), *means, ("fwIoU", found.fwiou)]
  for column in ("source share", "target share", *bounds):
    table.add_column(column, justify="right")
  shares = [count / count.sum() for count in counts]
  for row in zip(names, *shares, *bounds.values()):
    table.add_row(
      files.shown(row[0]), *("-" if v is None else f"{100 * v:.2f}" for v in row[1:])
    )
  table.add_section()
  for name, value in means:
    # In the first column of bounds, which is IoU for segmentation.
    table.add_row(f"{name} at most", "", "", f"{100 * value:.2f}")
  return table


def _notes(parts: Mapping[str, examples_lib.Examples | scenes_lib.Scenes]) -> list[str]:
  """Notes to print below the table."""
  notes = [
    "the bounds hold for a network that predicts each class as often as the source has it;"
    " one that departs from that may exceed them.",
    "this reads the target's test labels. No training does: choose nothing by the bounds.",
  ]
  limit = _MAX_IMAGES.value
  notes += [
    f"{what}: labels of {limit} images of {len(part)}, evenly spread (--max_images)."
    for what, part in parts.items()
    if isinstance(part, scenes_lib.Scenes) and 0 < limit < len(part)
  ]
  return notes + sorted({note for part in parts.values() for note in part.notes})


def run() -> None:
  runtime.run(main, runtime.DEFAULT_CONFIG)


if __name__ == "__main__":
  run()
