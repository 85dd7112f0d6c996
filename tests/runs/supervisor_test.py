"""A worker's parent: signals go on to the child, which leaves or is made to."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from tfdam import runtime

_START = """
import os, signal, sys, tempfile, time
from tfdam.runs import supervisor
supervisor._PATIENCE_S = float(os.environ["PATIENCE_S"])
supervisor.start("worker:0 (a:1)")
with open(tempfile.mkstemp()[1], "w") as file:
  file.write("what a killed child cannot remove")
def ready():
  print(os.getpid(), flush=True)
def leave(code):
  def handler(number, frame):
    raise SystemExit(code)
  signal.signal(signal.SIGTERM, handler)
"""


@pytest.fixture
def supervised(tmp_path):
  """Starts a program below a supervisor; yields (process, child's number) once it is ready.

  What it leaves behind in TMPDIR fails the test.
  """
  started = []

  def start(text, patience_s=600):
    process = subprocess.Popen(
      [sys.executable, "-c", _START + textwrap.dedent(text)], text=True,
      env={**os.environ, "PYTHONPATH": runtime.PROJECT, "TMPDIR": str(tmp_path),
           "PATIENCE_S": str(patience_s)},
      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    started.append(process)
    return process, int(process.stdout.readline())

  yield start
  for process in started:
    process.kill()
    process.communicate()


def end_of(process):
  output, said = process.communicate(timeout=600)
  return process.returncode, output, said


@pytest.mark.parametrize(("number", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_child_that_hears_nothing_is_killed_and_the_status_is_the_signals(
  supervised, tmp_path, number, status
):
  process, child = supervised(
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    ready()
    time.sleep(600)
    """,
    patience_s=0.3,
  )
  process.send_signal(getattr(signal, number))
  said = f"worker:0 (a:1): {number} while it waited for the others.\n"
  assert end_of(process) == (status, "", said)
  with pytest.raises(ProcessLookupError):
    os.kill(child, 0)
  assert not list(tmp_path.iterdir())


def test_a_child_that_acts_on_a_signal_ends_as_it_likes(supervised):
  process, _ = supervised("leave(143); ready(); time.sleep(600)")
  process.send_signal(signal.SIGTERM)
  assert end_of(process) == (143, "", "")


def test_granted_time_is_not_cut(supervised):
  process, _ = supervised(
    """
    supervisor.allow(600)
    def save(number, frame):
      time.sleep(1)
      os.write(1, b"saved\\n")
      raise SystemExit(143)
    signal.signal(signal.SIGTERM, save)
    ready()
    time.sleep(600)
    """,
    patience_s=0.3,
  )
  process.send_signal(signal.SIGTERM)
  assert end_of(process) == (143, "saved\n", "")


def test_of_a_terminals_and_a_users_signal_each_comes_once(supervised):
  process, child = supervised(
    """
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(os.write(1, b"heard\\n")))
    ready()
    while not heard:
      time.sleep(0.01)
    time.sleep(1)
    """
  )
  assert os.getpgid(child) == child  # a terminal's Ctrl-C is for the parent's group
  process.send_signal(signal.SIGINT)
  assert end_of(process) == (0, "heard\n", "")


@pytest.mark.parametrize(
  ("text", "status"),
  [("sys.exit(0)", 0), ("sys.exit(2)", 2), ("sys.exit(75)", 75),
   ("os.kill(os.getpid(), signal.SIGKILL)", -9)],
)  # fmt: skip
def test_without_a_signal_the_childs_end_is_the_workers(supervised, tmp_path, text, status):
  process, _ = supervised(f"ready(); {text}")
  assert end_of(process)[0] == status
  assert not list(tmp_path.iterdir())


def test_others_that_are_gone_after_a_signal_count_as_the_signal(supervised):
  process, _ = supervised("leave(75); ready(); time.sleep(600)")
  process.send_signal(signal.SIGTERM)
  assert end_of(process)[0] == 143


def test_a_killed_parent_takes_its_child_along(supervised):
  process, _ = supervised("ready(); time.sleep(600)")
  process.kill()
  # The child holds the pipes' other ends: they end with it.
  assert end_of(process) == (-9, "", "")
