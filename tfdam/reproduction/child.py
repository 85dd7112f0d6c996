"""Becomes a command of tfdam, on some cores, and ends with the process that started it.

  python -m tfdam.reproduction.child PARENT CORES MODULE ARGUMENTS...

What stands here could be done between fork and exec, but for that a program with threads
should not run Python there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, cores: str, *command: str) -> None:
  """Never returns.

  Args:
    parent: the process' number of who started this.
    cores: their numbers, with commas.
    *command: a module and its arguments.
  """
  os.sched_setaffinity(0, map(int, cores.split(",")))
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
  if os.getppid() != int(parent):
    sys.exit(1)  # it was killed in between
  os.execv(sys.executable, [sys.executable, "-m", *command])


if __name__ == "__main__":
  main(*sys.argv[1:])
