"""A run's metrics: a line of JSON a look up, and the same numbers for TensorBoard."""

from __future__ import annotations

import glob
import json
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfdam.training import run_folder

_FILE = "metrics.jsonl"


class Records:
  """metrics.jsonl and summaries/<run>/ of a run folder; scalars of a stage are one run."""

  def __init__(self, folder: run_folder.RunFolder):
    self.folder = folder
    self._writers: dict[str, tf.summary.SummaryWriter] = {}

  def write(self, stage: str, step: int, values: Mapping[str, float], phase: str) -> None:
    """Adds one line, and one point to each of the stage's curves."""
    content = {"stage": stage, "phase": phase, "step": step, **values}
    line = json.dumps(run_folder.strict(content))
    with open(self.folder.join(_FILE), "a") as file:
      file.write(line + "\n")
    with self._writer(stage).as_default(step=step):
      for name, value in values.items():
        tf.summary.scalar(name, value)
    self._writer(stage).flush()

  def write_histograms(self, run: str, step: int, values: Mapping[str, tf.Tensor]) -> None:
    """Adds one histogram of each tensor to summaries/<run>/."""
    with self._writer(run).as_default(step=step):
      for name, value in values.items():
        # An infinite value would leave its histogram without buckets.
        tf.summary.histogram(name, tf.boolean_mask(value, tf.math.is_finite(value)))
    self._writer(run).flush()

  def write_image(self, run: str, step: int, name: str, image: np.ndarray) -> None:
    """Adds a picture, uint8 [H, W, 3], to summaries/<run>/."""
    with self._writer(run).as_default(step=step):
      tf.summary.image(name, image[np.newaxis])
    self._writer(run).flush()

  def read(self, stage: str, phase: str) -> list[dict[str, Any]]:
    """A stage's lines of this phase, in order."""
    return [r for _, r in self._lines() if (r["stage"], r["phase"]) == (stage, phase)]

  def has(self, stage: str, phase: str) -> bool:
    """Whether a stage has a line of this phase."""
    return bool(self.read(stage, phase))

  def forget_after(self, stage: str, step: int) -> None:
    """Drops what a stage wrote past a step: a resumed run writes it again."""
    if os.path.exists(self.folder.join(_FILE)):
      # A kill may have cut the last one's newline off.
      kept = [
        line.rstrip("\n") + "\n"
        for line, r in self._lines()
        if r["stage"] != stage or r["step"] <= step
      ]
      self.folder.write_text(_FILE, "".join(kept))
    runs = glob.glob(glob.escape(self.folder.join("summaries", stage)) + "*")
    for run in (os.path.basename(path) for path in runs):
      if run == stage or run.startswith(f"{stage}_"):
        self._forget_events(run, step)

  def _forget_events(self, run: str, step: int) -> None:
    """Drops points past a step: TensorBoard would draw both sessions' on one curve."""
    if run in self._writers:
      self._writers.pop(run).close()
    folder = self.folder.join("summaries", run)
    for path in glob.glob(os.path.join(glob.escape(folder), "*tfevents*")):
      events = list(_whole_events(path))
      kept = [e for e in events if e.step <= step or not e.has_points]
      if len(kept) < len(events):
        partial = os.path.join(folder, "partial")  # no name that TensorBoard reads
        with open(partial, "wb") as file:
          file.writelines(event.framed for event in kept)
        os.replace(partial, path)

  def _writer(self, run: str) -> tf.summary.SummaryWriter:
    if run not in self._writers:
      folder = self.folder.join("summaries", run)
      self._writers[run] = tf.summary.create_file_writer(folder)
    return self._writers[run]

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


class _Event(NamedTuple):
  """An entry of an event file, its bytes as they stand there."""

  framed: bytes
  step: int
  has_points: bool


def _whole_events(path: str) -> Iterator[_Event]:
  """Yields what stands before the place where a kill cut the file off, if one did."""
  # TensorFlow has two readers of TFRecords: one warns that it is deprecated, and tf.data's
  # iterators may take a minute to end (data/pairs.py).
  with open(path, "rb") as file:
    while len(header := file.read(12)) == 12:  # a length and its checksum
      (length,) = struct.unpack("<Q", header[:8])
      body = file.read(length + 4)
      if len(body) < length + 4:
        return
      event = tf.compat.v1.Event.FromString(body[:length])
      yield _Event(header + body, event.step, event.HasField("summary"))
