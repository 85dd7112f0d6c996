"""A parent process that ends a worker which waits for others and cannot react to signals.

While a worker waits in TensorFlow's C++ code, Python signal handlers do not run: joining a
cluster holds Python's lock, and TensorFlow replaces the handler of SIGTERM. So the process
that the user started only supervises a child process, which trains. It forwards signals to
the child. If the child does not end in time, it is killed, and the exit status is still the
signal's. A killed worker loses only the steps since its last checkpoint.
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
# Seconds that a child may take to end after a signal, if `allow` does not grant more.
_PATIENCE_S = 5.0
# EX_TEMPFAIL: other workers were gone; after a signal, they have received it as well.
_OTHERS_GONE = 75
_PR_SET_PDEATHSIG = 1

# The time granted to the child: (seconds, start), on the clock that both processes share.
# Two floats without a lock: a torn write would only shift the deadline.
_terms: mmap.mmap | None = None


def start(who: str) -> None:
  """Continues in a child process; in the parent, this does not return.

  Call it before TensorFlow is imported, since a fork does not copy its threads.

  Args:
    who: the worker's name, for messages.
  """
  global _terms
  _terms = mmap.mmap(-1, struct.calcsize("dd"))
  allow(0)
  # The child's temporary folder. The parent removes it, as a killed child cannot.
  scratch = tempfile.mkdtemp(prefix="tfdam-worker-")
  read, write = os.pipe()
  os.set_blocking(write, False)
  caught = (*_CAUGHT, signal.SIGCHLD)
  # Before the fork, or the end of a short-lived child could be missed.
  former = {number: signal.signal(number, lambda *_: None) for number in caught}
  wakeup = signal.set_wakeup_fd(write)
  for stream in (sys.stdout, sys.stderr):
    stream.flush()  # Else both processes would write what is in the buffer.
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
  # Ctrl-C in a terminal then reaches only the parent, which forwards it once.
  os.setpgid(0, 0)
  _die_with(parent)
  tempfile.tempdir = scratch


def allow(seconds: float) -> None:
  """Grants a child more time to end after a signal, for what it does from now on.

  Args:
    seconds: counted from now, or from the signal if that comes later. At least 5 s are
      always granted; nan counts as 0.
  """
  if _terms is not None:
    granted = seconds if seconds > _PATIENCE_S else _PATIENCE_S
    _terms[:] = struct.pack("dd", granted, time.monotonic())


def _watch(child: int, signals: int, who: str) -> int:
  """Waits for a child's end.

  Args:
    child: its process id.
    signals: file descriptor from which the numbers of signals are read.
    who: the worker's name, for messages.

  Returns:
    The exit status; negative for a signal that killed the child.
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
      # The granted time may change meanwhile.
      seconds_left = min(seconds_left, 0.5)
    if select.select([signals], [], [], seconds_left)[0]:
      for number in os.read(signals, 64):
        if number in _CAUGHT:
          os.kill(child, number)
          if first is None:
            first, since = signal.Signals(number), time.monotonic()


def _end(status: int) -> None:
  """Ends this process in the same way as its child."""
  if status < 0:
    with contextlib.suppress(OSError):  # SIGKILL's handler cannot be set.
      signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
  os._exit(abs(status) + 128 if status < 0 else status)


def _die_with(parent: int) -> None:
  """Makes the kernel kill this process when its parent dies (Linux)."""
  with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  if os.getppid() != parent:
    os._exit(128 + signal.SIGKILL)
