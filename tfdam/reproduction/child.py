"""Runs a command of tfdam on some cores, and ends it if its parent process ends.

  python -m tfdam.reproduction.child PARENT CORES MODULE ARGUMENTS...

This is a process of its own because a program with threads should not run Python between
fork and exec.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, cores: str, *command: str) -> None:
  """Replaces this process by the command; never returns.

  Args:
    parent: the parent's process id.
    cores: the numbers of the cores, separated by commas.
    *command: a module and its arguments.
  """
  os.sched_setaffinity(0, map(int, cores.split(",")))
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
  if os.getppid() != int(parent):
    sys.exit(1)  # the parent was killed in between
  os.execv(sys.executable, [sys.executable, "-m", *command])


if __name__ == "__main__":
  main(*sys.argv[1:])
