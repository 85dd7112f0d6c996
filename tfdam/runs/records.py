"""Writes a run's metrics: one line of JSON per record, and the same for TensorBoard."""

from __future__ import annotations

import contextlib
import glob
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing import event_file_loader

from tfdam import config as config_lib
from tfdam import files, stored
from tfdam.runs import metric_lines, run_folder

_FILE = metric_lines.FILE


class Records:
  """metrics.jsonl and summaries/<run>/ of a run folder; each stage is one of the runs."""

  def __init__(self, folder: run_folder.RunFolder):
    self.folder = folder
    self._writers: dict[str, tf.summary.SummaryWriter] = {}

  def continue_clock(self, seconds: float) -> None:
    """Adds the seconds of earlier processes; see RunFolder.continue_clock."""
    self.folder.continue_clock(seconds)

  def elapsed(self) -> dict[str, float]:
    """{"run_seconds": float}, over all processes of the run."""
    return self.folder.elapsed()

  def write(self, stage: str, step: int, values: Mapping[str, float], phase: str) -> None:
    """Adds one line, and one point to each of the stage's curves."""
    content = {"stage": stage, "phase": phase, "step": step, **values}
    line = json.dumps(run_folder.strict(content))
    with self._writing(stage, step):
      for name, value in values.items():
        tf.summary.scalar(name, value)
    # The line comes last: a resumed run looks here for what it has already written.
    path = self.folder.join(_FILE)
    with stored.naming(path), open(path, "a") as file:
      file.write(line + "\n")

  def write_histograms(self, run: str, step: int, values: Mapping[str, tf.Tensor]) -> None:
    """Adds one histogram of each tensor to summaries/<run>/."""
    with self._writing(run, step):
      for name, value in values.items():
        # With an infinite value, a histogram would have no buckets.
        tf.summary.histogram(name, tf.boolean_mask(value, tf.math.is_finite(value)))

  def write_image(self, run: str, step: int, name: str, image: np.ndarray) -> None:
    """Adds a picture, uint8 [H, W, 3], to summaries/<run>/."""
    with self._writing(run, step):
      tf.summary.image(name, image[np.newaxis])

  def read(self, stage: str, phase: str) -> list[dict[str, Any]]:
    """The lines of a stage's phase, in order."""
    return [r for _, r in self._lines() if (r["stage"], r["phase"]) == (stage, phase)]

  def last_values(self, stage: str) -> dict[str, Any]:
    """{name: its last value} in a stage's lines of all phases."""
    found: dict[str, Any] = {}
    for _, line in self._lines():
      if line["stage"] == stage:
        found.update(line)
    return found

  def has(self, stage: str, phase: str) -> bool:
    """Whether a stage has a line of this phase."""
    return bool(self.read(stage, phase))

  def forget_after(self, stage: str, step: int) -> None:
    """Drops what a stage wrote after a step; a resumed run writes it again."""
    if os.path.lexists(self.folder.join(_FILE)):
      # If a process was killed, the last line may lack its newline.
      kept = [
        line.decode().rstrip("\n") + "\n"
        for line, r in self._lines()
        if r["stage"] != stage or r["step"] <= step
      ]
      self.folder.write_text(_FILE, "".join(kept))
    runs = glob.glob(glob.escape(self.folder.join("summaries", stage)) + "*")
    for run in (os.path.basename(path) for path in runs):
      if run == stage or run.startswith(f"{stage}_"):
        self._forget_events(run, step)

  def _forget_events(self, run: str, step: int) -> None:
    """Drops points after a step; TensorBoard would draw those of both sessions."""
    if run in self._writers:
      self._writers.pop(run).close()
    folder = self.folder.join("summaries", run)
    for path in glob.glob(os.path.join(glob.escape(folder), "*tfevents*")):
      files.check_regular(path)
      # If a process was killed while writing, these are the events before the cut.
      events = list(event_file_loader.RawEventFileLoader(path).Load())
      kept = [event for event in events if not _is_point_after(step, event)]
      if len(kept) < len(events):
        with stored.replacing(path, "partial") as partial, _told(folder):
          _write_events(partial, kept)

  @contextlib.contextmanager
  def _writing(self, run: str, step: int) -> Iterator[None]:
    """Within this context, summaries go to summaries/<run>/; flushes them at the end."""
    folder = self.folder.join("summaries", run)
    with _told(folder):
      if run not in self._writers:
        self._writers[run] = tf.summary.create_file_writer(folder)
      with self._writers[run].as_default(step=step):
        yield
      self._writers[run].flush()

  def _lines(self) -> Iterator[tuple[bytes, Any]]:
    return metric_lines.read(self.folder.join(_FILE))


@contextlib.contextmanager
def _told(folder: str) -> Iterator[None]:
  """Explains why TensorFlow cannot write to a folder of TensorBoard's files."""
  try:
    yield
  except tf.errors.OpError as error:
    if files.problem(error):
      raise
    raise config_lib.UserError(
      f"Cannot write to {files.shown(folder)}: {str(error).splitlines()[0]}. Remove what is"
      " in its place, and start again with the same command."
    ) from error


def _write_events(path: str, events: Iterable[bytes]) -> None:
  with tf.io.TFRecordWriter(path) as file:
    for event in events:
      file.write(event)


def _is_point_after(step: int, serialized: bytes) -> bool:
  """Whether an event is a point of a curve after a step; others belong to the file."""
  event = tf.compat.v1.Event.FromString(serialized)
  return event.step > step and event.HasField("summary")
