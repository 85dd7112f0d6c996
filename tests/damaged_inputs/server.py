"""Runs commands in forks of a process that has imported what they import.

Python takes seconds to start with TensorFlow, and most damaged inputs are refused within a
tenth of one. A fork is as fresh as a start: nothing is computed before it, so that
TensorFlow's and ONNX Runtime's threads do not exist yet.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import importlib
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import time
import warnings
from typing import Any

from tfdam import runtime

# A command that takes longer than this hangs; one that takes more memory claims too much.
MAX_SECONDS = 20.0
MAX_MB = 4096
HANGS, CLAIMS = "hangs", "takes too much memory"

# No command itself: its flags are its own, and two of them have flags of one name.
_PRELOADED = (
  "tfdam.data", "tfdam.runs.run", "tfdam.runs.workers", "tfdam.runs.context",
  "tfdam.reporting.evaluation", "tfdam.metrics.oracle", "export.pipeline", "export.summary",
  "tfdam.diagnosis.facts", "tfdam.api", "tfdam.keras_files", "PIL.ImageFont",
)  # fmt: skip
_POLL_SECONDS = 0.02
_LONGEST_POLL_SECONDS = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")
# Reading and entering what one may not, which root may: no command needs it.
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522


@dataclasses.dataclass(frozen=True)
class Job:
  """A command to run.

  Attributes:
    module: as in `python -m`.
    arguments: of its command line.
    folder: where it runs; its output goes to the files `stdout` and `stderr` there.
    environment: all of it.
    encoding: of its output.
  """

  module: str
  arguments: tuple[str, ...]
  folder: str
  environment: dict[str, str]
  encoding: str = "utf-8"


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a command ended.

  Attributes:
    status: its exit status, or minus a signal's number.
    broken: the limit that it broke, HANGS or CLAIMS, or nothing.
  """

  status: int
  seconds: float
  peak_mb: int
  broken: str
  stdout: str
  stderr: str


class Server:
  """The process that forks; for one thread."""

  def __init__(
    self,
    max_seconds: float = MAX_SECONDS,
    max_mb: int = MAX_MB,
    program: str = __name__,
  ) -> None:
    """Starts it.

    Args:
      max_seconds: that a command may work or wait.
      max_mb: that it may take.
      program: a module that calls `main`, as this one does.
    """
    limits = (str(max_seconds), str(max_mb))
    environment = {
      **os.environ,
      "PYTHONPATH": runtime.PROJECT,
      "CUDA_VISIBLE_DEVICES": "-1",
    }
    for variable in ("BUILD_WORKING_DIRECTORY", "BUILD_WORKSPACE_DIRECTORY", "TFDAM_STACK"):
      environment.pop(variable, None)
    # Threads of OpenBLAS would start at NumPy's import, before any fork.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    process = subprocess.Popen(
      [sys.executable, "-m", program, *limits], cwd=runtime.PROJECT, env=environment,
      text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    self._process, self._asked, self._replies = process, process.stdin, process.stdout

  def run(self, job: Job) -> Outcome:
    """Runs one command to its end."""
    self._asked.write(json.dumps(dataclasses.asdict(job)) + "\n")
    self._asked.flush()
    reply = self._replies.readline()
    if not reply:
      raise RuntimeError(f"The server has ended with status {self._process.wait()}.")
    said = {}
    for name in ("stdout", "stderr"):
      with open(_output(job.folder, name), "rb") as file:
        said[name] = file.read().decode(errors="surrogateescape")
    return Outcome(**json.loads(reply), **said)

  def close(self) -> None:
    self._asked.close()
    self._replies.close()
    self._process.wait()


def environment(folder: str, **changes: str) -> dict[str, str]:
  """Of a command: little but what makes it keep to its folder."""
  kept = (
    "PATH",
    "LANG",
    "LC_ALL",
    "OMP_NUM_THREADS",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
  )
  return {
    **{name: os.environ[name] for name in kept if name in os.environ},
    "HOME": os.path.join(folder, "home"),
    "TMPDIR": os.path.join(folder, "tmp"),
    "TFDAM_CACHE": os.path.join(folder, "cache"),
    "CUDA_VISIBLE_DEVICES": "-1",
    **changes,
  }


def _output(folder: str, name: str) -> str:
  return f"{folder.rstrip('/')}.{name}"


def _serve(max_seconds: float, max_mb: int) -> dict[str, Any]:
  """Forks for every line on stdin; returns in the forks alone, with what they shall run."""
  replies = os.fdopen(os.dup(1), "w")
  for line in iter(sys.stdin.readline, ""):
    job = json.loads(line)
    child = os.fork()
    if not child:
      return job
    replies.write(json.dumps(_watched(child, max_seconds, max_mb)) + "\n")
    replies.flush()
  # Nothing is left to do, and threads of libraries are no reason to wait.
  os._exit(0)


def _watched(child: int, max_seconds: float, max_mb: int) -> dict[str, Any]:
  """Waits for a fork to end, or ends it where it breaks a limit."""
  start = before = time.monotonic()
  worked_before = spent = 0.0
  broken = ""
  while True:
    ended, status, usage = os.wait4(child, os.WNOHANG)
    if ended:
      break
    now, (is_working, worked) = time.monotonic(), _work(child)
    # Other programs may keep it from the processor; to wait for something is its own doing,
    # but for the time in which this process stood still, too.
    passed = min(now - before, _LONGEST_POLL_SECONDS)
    spent += min(passed, max(0.0, worked - worked_before)) if is_working else passed
    before, worked_before = now, worked
    if spent > max_seconds:
      broken = HANGS
    elif _peak_mb(child) > max_mb:
      broken = CLAIMS
    if broken:
      _end_group(child)
    time.sleep(_POLL_SECONDS)
  _end_group(child)
  return {
    "status": os.waitstatus_to_exitcode(status),
    "seconds": round(time.monotonic() - start, 3),
    "peak_mb": usage.ru_maxrss // 1024,
    "broken": broken,
  }


def _work(process: int) -> tuple[bool, float]:
  """Whether a process or one that it has started wants the processor, and its seconds."""
  wants, seconds = False, 0.0
  with contextlib.suppress(FileNotFoundError, ProcessLookupError):
    # Of itself, and of those that it has waited for.
    seconds = sum(map(int, _stat(f"/proc/{process}")[11:15])) / _TICKS
    for thread in os.listdir(f"/proc/{process}/task"):
      wants = wants or _stat(f"/proc/{process}/task/{thread}")[0] == "R"
      with open(f"/proc/{process}/task/{thread}/children") as file:
        for wants_too, more in map(_work, map(int, file.read().split())):
          wants, seconds = wants or wants_too, seconds + more
  return wants, seconds


def _stat(folder: str) -> list[str]:
  """State and what follows in a file `stat`; the name before may hold anything."""
  with open(f"{folder}/stat", errors="replace") as file:
    return file.read().rpartition(")")[2].split()


def _peak_mb(process: int) -> int:
  with open(f"/proc/{process}/status") as file:
    lines = dict(line.partition(":")[::2] for line in file)
  # A process that has ended, and waits to be asked for its status, has no memory.
  return int(lines.get("VmHWM", "0 kB").split()[0]) // 1024


def _end_group(child: int) -> None:
  """Ends a fork and what it has started."""
  with contextlib.suppress(ProcessLookupError, PermissionError):
    os.killpg(child, signal.SIGKILL)


def _become(job: dict[str, Any]) -> None:
  """Makes this fork the command that was asked for."""
  os.setsid()
  folder, flags = job["folder"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  for descriptor, name in ((1, "stdout"), (2, "stderr")):
    os.dup2(os.open(_output(folder, name), flags, 0o644), descriptor)
  for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(encoding=job["encoding"])  # type: ignore[union-attr]
  os.chdir(folder)
  os.environ.clear()
  os.environ.update(job["environment"])
  runtime.set_environment()
  resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
  _drop_privileges()
  sys.argv[1:] = job["arguments"]
  sys.modules.pop(job["module"], None)  # else runpy warns of it


def _drop_privileges() -> None:
  """Has permissions count for root, too."""
  if os.geteuid():
    return
  libc = ctypes.CDLL(None, use_errno=True)
  header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
  sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits
  if libc.capget(header, sets):
    raise OSError(ctypes.get_errno(), "capget")
  for i in range(3):
    sets[i] &= ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
  if libc.capset(header, sets):
    raise OSError(ctypes.get_errno(), "capset")


def _preload() -> None:
  runtime.set_environment()
  warnings.simplefilter("ignore")
  for name in _PRELOADED:
    importlib.import_module(name)
  # Else every fork would look through all objects when it ends, and copy their pages.
  gc.collect()
  gc.freeze()


def main() -> None:
  """Is the process of a Server; in a fork of it, the command that was asked for."""
  _preload()
  asked = _serve(float(sys.argv[1]), int(sys.argv[2]))
  _become(asked)
  runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
  main()
