"""The machine's scores in Source-or-Not on a run's networks: source_or_not.json."""

# No `from __future__ import annotations`: these annotations are evaluated at run time, also
# by Python 3.9, which does not have `X | None`.
from collections.abc import Mapping
from typing import Any, Optional, TypedDict

import rich.table

from tfdam import files, stored
from tfdam.metrics import gap as gap_lib
from tfdam.metrics import gap_table
from tfdam.runs import run_folder
from tfdam.vocabulary import Stage

NAME = "source_or_not.json"
_REMEDY = "Remove it, and play again: tfdam.source_or_not writes a new one."


class File(TypedDict):
  """The content of source_or_not.json.

  Attributes:
    seed: determines the choice of images and units.
    num_images: at most so many images of each domain were used.
    stages: {stage: the gap between the source network's activations on source images and
      that stage's network's on target images}.
  """

  seed: stored.Count
  num_images: stored.Count
  stages: dict[str, gap_lib.File]


def write(
  folder: run_folder.RunFolder, gaps: Mapping[str, gap_lib.Gap], num_images: int, seed: int
) -> None:
  """Writes the file, whole or not at all."""
  stages = {str(stage): gap.to_json() for stage, gap in gaps.items()}
  content: dict[str, Any] = {"seed": seed, "num_images": num_images, "stages": stages}
  folder.write_json(NAME, content)


def read(folder: run_folder.RunFolder) -> Optional[dict[str, gap_lib.Gap]]:
  """Reads {stage: its gap}, as `write` took it; None if there is no such file.

  Raises:
    config.UserError: the file is damaged.
  """
  content = stored.read(folder.join(NAME), File, _REMEDY)
  if content is None:
    return None
  return {stage: gap_lib.Gap.from_json(found) for stage, found in content["stages"].items()}


def table(gaps: Mapping[str, gap_lib.Gap]) -> rich.table.Table:
  """A table of AUCs with taps in rows and stages in columns.

  Args:
    gaps: {stage: its gap}, all of the same taps.
  """
  shown = rich.table.Table(
    title="Source-or-Not, played by the machine: mean AUC of a tap's units (0.5: guessing)"
  )
  for name in ("tap", "locations"):
    shown.add_column(
      name, justify="left" if name == "tap" else "right", no_wrap=name == "tap"
    )
  for stage in gaps:
    shown.add_column(Stage(stage).shown, justify="right")
  for rows in zip(*(gap.rows for gap in gaps.values())):
    sizes = [size for size in rows[0].shape[:-1] if size is not None]
    shown.add_row(
      files.shown(rows[0].layer),
      " x ".join(map(str, sizes)) or "1",
      *(gap_table.number(row.auc) for row in rows),
    )
  return shown
