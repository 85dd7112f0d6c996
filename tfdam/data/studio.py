"""Draws street scenes in several processes, once there are many to draw.

Drawing is Python's work: threads of one process would wait for one another.
"""

from __future__ import annotations

import atexit
import os
import queue
import subprocess
import sys
import threading

import numpy as np
from absl import logging

from tfdam.streets import artist, scene

# A process takes half a second to start: it is worth it for more scenes than these.
_FEW = 64
_MOST_PROCESSES = 8


class Studio:
  """Processes that draw, one for each core."""

  def __init__(self, num_processes: int, few: int = _FEW):
    """Starts none.

    Args:
      num_processes: that may draw at a time; with less than 2 all is drawn here.
      few: scenes that are drawn here before the first process starts.
    """
    self._left_here = few
    self._all: list[subprocess.Popen[bytes]] = []
    # Processes that wait for an order; None stands for one that is not started yet.
    self._free: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
    self.num_processes = num_processes if num_processes > 1 else 0
    for _ in range(self.num_processes):
      self._free.put(None)
    self._lock = threading.Lock()

  def draw(self, order: scene.Order) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `scene.draw` does; several threads may ask at once."""
    with self._lock:
      self._left_here -= 1
      is_many = self._left_here < 0 and self.num_processes > 0
    if not is_many:
      return scene.draw(order)
    process = self._free.get()
    if process is None and not self.num_processes:
      self._free.put(None)
      return scene.draw(order)
    try:
      process = process or self._start()
      drawn = _ask(process, order)
    except OSError as error:
      self._give_up(error)
      return scene.draw(order)
    except BaseException:
      # A signal came in between: what this process answers would be another's scene.
      if process:
        process.kill()
      self._free.put(None)
      raise
    self._free.put(process)
    return drawn

  def close(self) -> None:
    """Ends all processes."""
    for process in self._all:
      process.kill()
      process.communicate()
    self._all.clear()

  def _start(self) -> subprocess.Popen[bytes]:
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [package, os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
      [sys.executable, "-m", artist.__name__],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      env={
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
      },
    )
    self._all.append(process)
    return process

  def _give_up(self, error: OSError) -> None:
    """Draws in this process from now on; threads that wait for another one are let go."""
    with self._lock:
      if self.num_processes:
        logging.warning("Street scenes are drawn in one process from now on: %s.", error)
      self.num_processes = 0
    self._free.put(None)


def _ask(
  process: subprocess.Popen[bytes], order: scene.Order
) -> tuple[np.ndarray, np.ndarray]:
  """Has a process draw a scene.

  Raises:
    OSError: it has ended.
  """
  assert process.stdin is not None
  assert process.stdout is not None
  process.stdin.write(artist.FORMAT.pack(*order))
  process.stdin.flush()
  size = order.height * order.width
  drawn = process.stdout.read(4 * size)
  if len(drawn) < 4 * size:
    raise OSError(f"a process that draws has ended (status {process.poll()})")
  # Copies: each may be kept without the other.
  picture = np.frombuffer(drawn, np.uint8, 3 * size).copy()
  classes = np.frombuffer(drawn, np.uint8, size, offset=3 * size).copy()
  shape = (order.height, order.width)
  return picture.reshape(*shape, 3), classes.reshape(shape)


def num_cores() -> int:
  """Cores that this process may use, up to as many as drawing takes."""
  if hasattr(os, "sched_getaffinity"):
    return min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))
  return min(_MOST_PROCESSES, os.cpu_count() or 1)


STUDIO = Studio(num_cores())
atexit.register(STUDIO.close)
