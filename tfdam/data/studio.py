"""Draws street scenes in several processes, if there are many to draw.

Drawing is mostly Python code, and threads of one process would wait for its lock.
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

# A process takes half a second to start. For fewer scenes than these it is not worth it.
_FEW = 64
_MOST_PROCESSES = 8


class Studio:
  """A pool of processes that draw."""

  def __init__(self, num_processes: int, few: int = _FEW):
    """Makes an empty pool; processes start when they are needed.

    Args:
      num_processes: how many there may be. With fewer than 2, this process draws.
      few: how many scenes this process draws before the first other one starts.
    """
    self._left_here = few
    self._all: list[subprocess.Popen[bytes]] = []
    # Idle processes; None stands for one that has not been started.
    self._free: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
    self.num_processes = num_processes if num_processes > 1 else 0
    for _ in range(self.num_processes):
      self._free.put(None)
    self._lock = threading.Lock()

  def draw(self, order: scene.Order) -> tuple[np.ndarray, np.ndarray]:
    """Returns the result of `scene.draw`; several threads may call this at once."""
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
      # A signal interrupted the order. Its answer must not be read as the next one's.
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
    """Has this process draw from now on, and wakes threads that wait for another one."""
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
    OSError: the process has ended.
  """
  assert process.stdin is not None
  assert process.stdout is not None
  process.stdin.write(artist.FORMAT.pack(*order))
  process.stdin.flush()
  size = order.height * order.width
  drawn = process.stdout.read(4 * size)
  if len(drawn) < 4 * size:
    raise OSError(f"a process that draws has ended (status {process.poll()})")
  # Copies, so that one can be kept without the other.
  picture = np.frombuffer(drawn, np.uint8, 3 * size).copy()
  classes = np.frombuffer(drawn, np.uint8, size, offset=3 * size).copy()
  shape = (order.height, order.width)
  return picture.reshape(*shape, 3), classes.reshape(shape)


def num_cores() -> int:
  """Returns how many cores this process may use for drawing."""
  if hasattr(os, "sched_getaffinity"):
    return min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))
  return min(_MOST_PROCESSES, os.cpu_count() or 1)


STUDIO = Studio(num_cores())
atexit.register(STUDIO.close)
