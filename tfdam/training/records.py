"""A run's metrics: a line of JSON a look up, and the same numbers for TensorBoard."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping

import tensorflow as tf

from tfdam.training import run_folder

_FILE = "metrics.jsonl"


class Records:
  """metrics.jsonl and summaries/<stage>/ of a run folder."""

  def __init__(self, folder: run_folder.RunFolder):
    self.folder = folder
    self._writers: dict[str, tf.summary.SummaryWriter] = {}

  def write(self, stage: str, step: int, values: Mapping[str, float], phase: str) -> None:
    """Adds one line, and one point to each of the stage's curves."""
    line = json.dumps({"stage": stage, "phase": phase, "step": step, **values})
    with open(self.folder.join(_FILE), "a") as file:
      file.write(line + "\n")
    if stage not in self._writers:
      self._writers[stage] = tf.summary.create_file_writer(
        self.folder.join("summaries", stage)
      )
    with self._writers[stage].as_default(step=step):
      for name, value in values.items():
        tf.summary.scalar(name, value)
    self._writers[stage].flush()

  def has(self, stage: str, phase: str) -> bool:
    """Whether a stage has a line of this phase."""
    return any(r["stage"] == stage and r["phase"] == phase for _, r in self._lines())

  def forget_after(self, stage: str, step: int) -> None:
    """Drops a stage's lines past a step: a resumed run writes them again."""
    if os.path.exists(self.folder.join(_FILE)):
      kept = [line for line, r in self._lines() if r["stage"] != stage or r["step"] <= step]
      self.folder.write_text(_FILE, "".join(kept))

  def _lines(self) -> Iterator[tuple[str, dict]]:
    """Yields every whole line with its content."""
    if not os.path.exists(self.folder.join(_FILE)):
      return
    with open(self.folder.join(_FILE)) as file:
      for line in file:
        try:
          yield line, json.loads(line)
        except ValueError:  # a kill cut it off
          continue
