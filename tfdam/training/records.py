"""A run's metrics: a line of JSON a look up, and the same numbers for TensorBoard."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing import event_file_loader

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
      # What stands before the place where a kill cut the file off, if one did.
      events = list(event_file_loader.RawEventFileLoader(path).Load())
      kept = [event for event in events if not _is_point_after(step, event)]
      if len(kept) < len(events):
        partial = os.path.join(folder, "partial")  # no name that TensorBoard reads
        with tf.io.TFRecordWriter(partial) as file:
          for event in kept:
            file.write(event)
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


def _is_point_after(step: int, serialized: bytes) -> bool:
  """Whether an event is a point of a curve past a step; others are the file's own."""
  event = tf.compat.v1.Event.FromString(serialized)
  return event.step > step and event.HasField("summary")
