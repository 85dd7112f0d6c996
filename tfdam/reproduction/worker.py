"""Runs a job in a separate process on a part of the machine.

TensorFlow is not imported.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from tfdam import experiment as experiment_lib
from tfdam import runtime, stored
from tfdam.reproduction import plan

# The end of a log that is read, in which a command says why it ended.
_TAIL_BYTES = 20_000
# Variables that say where a program was started, and of which cluster it is a worker.
_NOT_HANDED_ON = ("BUILD_WORKING_DIRECTORY", "BUILD_WORKSPACE_DIRECTORY", "TF_CONFIG")
# {command on a finished run: its further flags}.
_LOOKS = {
  experiment_lib.SOURCE_OR_NOT: ("--picture={folder}/pictures/source-or-not.png",),
}


class Slot(NamedTuple):
  """A part of the machine, for one run at a time.

  Attributes:
    cores: the numbers of its CPU cores.
    gpu: its GPU, for CUDA_VISIBLE_DEVICES; empty without one.
  """

  cores: tuple[int, ...]
  gpu: str = ""


class Places(NamedTuple):
  """The folders of runs.

  Attributes:
    folder: holds run folders, logs and trained source networks; absolute.
    data_root: holds data sets; absolute.
  """

  folder: str
  data_root: str

  def run(self, job: plan.Job) -> str:
    """Returns a job's run folder."""
    return os.path.join(self.folder, job.name)

  def log(self, job: plan.Job, kind: str = "log") -> str:
    """Returns the path of a job's log; with kind "code", of its code's digest."""
    return os.path.join(self.folder, "logs", f"{job.name}.{kind}")

  @property
  def cache(self) -> str:
    """The cache of source networks."""
    return os.path.join(self.folder, "cache")

  def is_free(self, job: plan.Job) -> bool:
    """Whether no process uses the run folder; one that was stopped may still be saving."""
    try:
      with open(os.path.join(self.run(job), ".lock")) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
      return True
    except OSError:
      return False
    return True


class Worker:
  """A running job, whose commands run one after the other."""

  def __init__(self, job: plan.Job, slot: Slot, places: Places):
    """Starts the first command."""
    self.job, self.slot, self._places = job, slot, places
    self._commands = commands(job, places)
    self.started = time.monotonic()
    self._log = open(places.log(job), "ab")
    self._next()

  def _next(self) -> None:
    command = self._commands.pop(0)
    self._log.write(f"\n$ python -m {' '.join(command)}\n".encode())
    self._log.flush()
    cores = ",".join(map(str, self.slot.cores))
    child = ["tfdam.reproduction.child", str(os.getpid()), cores, *command]
    self._process = subprocess.Popen(
      [sys.executable, "-m", *child], stdin=subprocess.DEVNULL, stdout=self._log,
      stderr=self._log, cwd=runtime.LIBRARY, env=_environment(self.slot),
      start_new_session=True,
    )  # fmt: skip

  def poll(self) -> bool | None:
    """Returns None while the job runs, then whether all of its commands succeeded."""
    status = self._process.poll()
    if status is None:
      return None
    if status == 0 and self._commands:
      self._next()
      return None
    self._log.close()
    return status == 0

  def stop(self) -> None:
    """Tells the job to save and end."""
    if self._process.poll() is None:
      self._process.send_signal(signal.SIGTERM)

  def wait(self) -> None:
    """Waits until the job has ended."""
    self._process.wait()
    self._log.close()

  def reason(self) -> str:
    """Returns the job's own message on why it failed."""
    with open(self._places.log(self.job), "rb") as file:
      file.seek(max(0, os.path.getsize(file.name) - _TAIL_BYTES))
      lines = file.read().decode(errors="replace").strip().splitlines()
    errors = [i for i, line in enumerate(lines) if line.startswith("Error: ")]
    if errors:
      return "\n".join(lines[errors[-1] :])[len("Error: ") :]
    return f"{lines[-1]} (exit status {self._process.returncode})"


def begin(job: plan.Job, places: Places, code: str, same: Collection[str]) -> None:
  """Removes a job's run folder if other code began it, so that no run mixes two codes.

  Args:
    job: about to start.
    places: where runs lie.
    code: the digest of today's code.
    same: digests of code that gives the same bits.
  """
  path = places.log(job, "code")
  os.makedirs(os.path.dirname(path), exist_ok=True)
  begun = ""
  if os.path.exists(path):
    with open(path) as file:
      begun = file.read().strip()
  if os.path.isdir(places.run(job)) and begun not in (code, *same):
    shutil.rmtree(places.run(job))
  if begun != code:
    stored.write_text(path, f"{code}\n")


def _environment(slot: Slot) -> dict[str, str]:
  environment = {
    name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON
  }
  paths = [runtime.LIBRARY, environment.get("PYTHONPATH", "")]
  environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
  if slot.gpu:
    environment["CUDA_VISIBLE_DEVICES"] = slot.gpu
  return environment


def commands(job: plan.Job, places: Places) -> list[list[str]]:
  """Returns a job's commands, each a module with its arguments, in order."""
  folder = places.run(job)
  config = f"--config={runtime.config_path(job.run.config)}"
  fields = {**job.fields, "data.root": places.data_root}
  if job.run.command == experiment_lib.ORACLE:
    output = os.path.join(folder, "oracle.json")
    return [[job.run.command, config, *_flags(fields), f"--output={output}"]]
  if job.parent:
    stage = os.path.join(places.run(job.parent), "checkpoints", job.run.starts_stage)
    fields["source.init_checkpoint"] = max(glob.glob(f"{glob.escape(stage)}/[0-9]*"))
  fields["source.cache"] = places.cache
  looks = [
    [
      command,
      f"--workdir={folder}",
      *(flag.format(folder=folder) for flag in _LOOKS[command]),
    ]
    for command in job.run.then
  ]
  return [[job.run.command, config, *_flags(fields), f"--workdir={folder}"], *looks]


def _flags(fields: Mapping[str, Any]) -> list[str]:
  return [f"--config.{name}={_text(value)}" for name, value in fields.items()]


def _text(value: Any) -> str:
  return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def shown_command(job: plan.Job) -> str:
  """Returns the command that repeats a run, without the network that it starts from."""
  target = job.run.command.replace(".", ":")
  flags = " ".join(_flags(job.fields))
  return f"./bazelw run //{target} -- --config={job.run.config} {flags}"


def slots(jobs: int) -> list[Slot]:
  """Divides this machine into slots, each with neighbouring cores and a GPU if possible.

  Args:
    jobs: the number of slots; at most `most_jobs()`.
  """
  cores, gpus = sorted(os.sched_getaffinity(0)), visible_gpus()
  size = len(cores) // jobs
  return [
    Slot(tuple(cores[i * size : (i + 1) * size]), gpus[i] if gpus else "")
    for i in range(jobs)
  ]


def most_jobs() -> tuple[int, str]:
  """Returns how many runs this machine takes at a time, and what limits it.

  Returns:
    The number, and "GPUs" or "cores".
  """
  cores, gpus = len(os.sched_getaffinity(0)), len(visible_gpus())
  return (min(gpus, cores), "GPUs") if gpus else (cores, "cores")


def visible_gpus() -> list[str]:
  """Returns the numbers of the NVIDIA GPUs that this process may use."""
  chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
  if chosen is not None:
    return [part for part in chosen.split(",") if part and part != "-1"]
  found = glob.glob("/proc/driver/nvidia/gpus/*")
  return [str(i) for i in range(len(found))]
