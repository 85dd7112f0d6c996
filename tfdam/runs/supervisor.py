"""A parent that ends a worker which waits for others and cannot hear a signal.

TensorFlow waits in C++, while it joins with Python's lock held, and puts its own handler in
the place of SIGTERM's: nothing inside the process can be relied on. So the process that a
user started only watches over a child, which trains. Signals go on to the child; one that
has not left when its time is over is killed, and the exit status is the signal's all the
same. A worker that is killed so loses no more than the steps since its last checkpoint.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import select
import shutil
import signal
import struct
import sys
import tempfile
import time

_CAUGHT = (signal.SIGTERM, signal.SIGINT)
# Seconds that a child may take over leaving, where `allow` does not grant more.
_PATIENCE_S = 5.0
# EX_TEMPFAIL: others were gone. If a signal came, it was told to them as well.
_OTHERS_GONE = 75
_PR_SET_PDEATHSIG = 1

# What a child may take: [seconds, since when], on the clock that both processes have. Two
# floats written at once, not locked: half a write only moves the deadline.
_terms: mmap.mmap | None = None


def start(who: str) -> None:
  """Goes on in a child process, and does not return in the parent.

  Before TensorFlow is imported: its threads would be missing in the child.

  Args:
    who: the worker, for messages.
  """
  global _terms
  _terms = mmap.mmap(-1, struct.calcsize("dd"))
  allow(0)
  # The child's, which cannot remove it once it is killed.
  scratch = tempfile.mkdtemp(prefix="tfdam-worker-")
  read, write = os.pipe()
  os.set_blocking(write, False)
  caught = (*_CAUGHT, signal.SIGCHLD)
  # Before there is a child: else the end of a short one would go unheard.
  former = {number: signal.signal(number, lambda *_: None) for number in caught}
  wakeup = signal.set_wakeup_fd(write)
  for stream in (sys.stdout, sys.stderr):
    stream.flush()  # else both would write what waits there
  parent, child = os.getpid(), os.fork()
  if child:
    status = _watch(child, read, who)
    shutil.rmtree(scratch, ignore_errors=True)
    _end(status)
  signal.set_wakeup_fd(wakeup)
  for number, handler in former.items():
    signal.signal(number, handler)
  os.close(read)
  os.close(write)
  # A terminal's Ctrl-C reaches the parent alone, which passes it on once.
  os.setpgid(0, 0)
  _die_with(parent)
  tempfile.tempdir = scratch


def allow(seconds: float) -> None:
  """Grants a child more time for what it does from now on, after a signal.

  Args:
    seconds: from now, or from a later signal. A few are always granted; nan is 0.
  """
  if _terms is not None:
    granted = seconds if seconds > _PATIENCE_S else _PATIENCE_S
    _terms[:] = struct.pack("dd", granted, time.monotonic())


def _watch(child: int, signals: int, who: str) -> int:
  """Waits for a child's end; returns the exit status, negative for what killed it.

  Args:
    signals: what the numbers of signals are read from.
  """
  first, since = None, 0.0
  while True:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
      code = os.waitstatus_to_exitcode(status)
      return 128 + first if first and code in (-first, _OTHERS_GONE) else code
    seconds_left = None
    if first:
      granted, begun = struct.unpack("dd", _terms[:])
      seconds_left = max(since, begun) + granted - time.monotonic()
      if seconds_left <= 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with contextlib.suppress(OSError):
          print(f"{who}: {first.name} while it waited for the others.", file=sys.stderr)
        return 128 + first
      # What is granted may change meanwhile.
      seconds_left = min(seconds_left, 0.5)
    if select.select([signals], [], [], seconds_left)[0]:
      for number in os.read(signals, 64):
        if number in _CAUGHT:
          os.kill(child, number)
          if first is None:
            first, since = signal.Signals(number), time.monotonic()


def _end(status: int) -> None:
  """Ends this process as its child ended."""
  if status < 0:
    with contextlib.suppress(OSError):  # SIGKILL takes no handler
      signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
  os._exit(abs(status) + 128 if status < 0 else status)


def _die_with(parent: int) -> None:
  """Has the kernel kill this process when its parent is killed (Linux)."""
  with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  if os.getppid() != parent:
    os._exit(128 + signal.SIGKILL)
