"""Starts the project's programs as a user does, each in a process of its own; waits."""

import contextlib
import os
import socket
import subprocess
import sys
import time

from tfdam import runtime

_DIGITS = "--config=configs/digits/mnist_to_usps.py"
# A run of seconds.
SMALL = (
  "--config.source.steps=60",
  "--config.source.global_batch_size=16",
  "--config.adapt.steps=60",
  "--config.adapt.global_batch_size=16",
  "--config.loop.log_every=5",
  "--config.loop.checkpoint_every=20",
  "--config.source.cache=off",
)

# For a hang to end the test: no program here takes a tenth of it on an idle machine.
TIMEOUT_S = 600


def start(
  workdir, root, *flags, module="tfdam.train", cwd=None, python=sys.executable, before=(),
  stdin=None,
):  # fmt: skip
  """Starts a command of tfdam in a process of its own.

  Args:
    before: words that come before all flags.
    stdin: what the command reads; None: what this process does.
  """
  environment = {
    **os.environ,
    "PYTHONPATH": runtime.PROJECT,
    "TFDAM_DATA": root or "/no/such/folder",
    "PYTHONUNBUFFERED": "1",
  }
  for variable in ("BUILD_WORKING_DIRECTORY", "TFDAM_STACK"):
    environment.pop(variable, None)
  if module in ("tfdam.train", "tests.killed", "tests.bad_disk") and root:
    flags = (_DIGITS, *flags)  # a later --config wins
  flags = (f"--workdir={workdir}", *flags) if workdir else flags
  return subprocess.Popen(
    [python, "-m", module, *map(str, before), *flags], env=environment, text=True, cwd=cwd,
    stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
  )  # fmt: skip


def run(workdir, root, *flags, **options):
  process = start(workdir, root, *flags, **options)
  output, _ = process.communicate(timeout=TIMEOUT_S)
  return process.returncode, output


def refused(workdir, root, *flags, **options):
  """The message of a run that must end with status 2 and no traceback."""
  code, output = run(workdir, root, *flags, **options)
  assert code == 2, output
  assert "Traceback" not in output
  return output


def lines_written(workdir):
  """Lines of metrics that a run has written so far."""
  try:
    with open(os.path.join(workdir, "metrics.jsonl")) as file:
      return sum(1 for _ in file)
  except FileNotFoundError:
    return 0


def wait_for_lines(process, workdir, count):
  """Returns when a run has written so many lines of metrics, or has ended."""
  deadline = time.monotonic() + TIMEOUT_S
  while lines_written(workdir) < count and process.poll() is None:
    assert time.monotonic() < deadline, "the run does not get on"
    time.sleep(0.005)


def free_addresses(count):
  """ "127.0.0.1:port" of so many ports that nothing listens on."""
  with contextlib.ExitStack() as held:
    sockets = [held.enter_context(socket.socket()) for _ in range(count)]
    for probe in sockets:
      probe.bind(("127.0.0.1", 0))
    return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in sockets]
