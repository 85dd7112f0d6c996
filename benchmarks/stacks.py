"""Times the steps on two stacks, in turn in one run.

  python -m benchmarks.stacks --other_python=PATH [--rounds=8] [--json=PATH]

--other_python is the Python of the other stack's environment (TFDAM_STACK=... python3
tools/environment.py prints its folder). Each stack runs in a separate process, which waits
while the other is measured. Ratios are computed from the medians over rounds.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from absl import flags, logging

from benchmarks import erfnet_step, lenet_step, timing
from tfdam import config as config_lib
from tfdam import runtime, stack

_OTHER = flags.DEFINE_string("other_python", "", "Python of the other stack.")
_WORKER = flags.DEFINE_bool("worker", False, "Measure on request; set by the benchmark.")


def measures() -> Mapping[str, Callable[[], float]]:
  """Returns {name: a function that measures milliseconds, or GFLOP/s}."""
  return {
    "lenet_step_ms": lenet_step.step(),
    "erfnet_step_ms": erfnet_step.step(),
    "erfnet_forward_ms": erfnet_step.forward(),
    "gemm_gflop_per_s": timing.gemm(),
  }


class Worker:
  """A stack in a separate process."""

  def __init__(self, python: str):
    self._python = python
    self._process = subprocess.Popen(
      [python, "-m", "benchmarks.stacks", "--worker"],
      cwd=runtime.PROJECT,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    self.about = self._answer()
    self.measures = self._answer()

  def measure(self, name: str) -> float:
    assert self._process.stdin
    self._process.stdin.write(f"{name}\n")
    self._process.stdin.flush()
    return self._answer()

  def close(self) -> None:
    assert self._process.stdin
    self._process.stdin.close()
    self._process.wait()

  def _answer(self) -> Any:
    assert self._process.stdout
    line = self._process.stdout.readline()
    if not line:
      raise config_lib.UserError(
        f"'{self._python}' ended. Set --other_python to the Python of an environment of the"
        " other stack."
      )
    return json.loads(line)


def work() -> None:
  """Prints the versions and what can be measured, then answers each line with a figure."""
  timing.start()
  print(json.dumps({"stack": stack.installed(), "tensorflow": tf.__version__,
                    "python": sys.version.split()[0]}), flush=True)  # fmt: skip
  made = measures()
  print(json.dumps(list(made)), flush=True)
  for line in sys.stdin:
    print(json.dumps(made[line.strip()]()), flush=True)


def main(argv: list[str]) -> None:
  del argv
  logging.set_verbosity(logging.WARNING)
  if _WORKER.value:
    work()
    return
  if not os.path.isfile(_OTHER.value):
    raise config_lib.UserError(
      f"--other_python is '{_OTHER.value}'; expected the Python of the other stack's"
      " environment."
    )
  workers = [Worker(python) for python in (sys.executable, _OTHER.value)]
  names = [worker.about["stack"] for worker in workers]
  asked = {
    f"{worker.about['stack']}/{name}": functools.partial(worker.measure, name)
    for name in workers[0].measures
    for worker in workers
  }
  figures = summary(timing.in_turn(asked, timing.ROUNDS.value), names)
  figures["versions"] = [worker.about for worker in workers]
  for worker in workers:
    worker.close()
  timing.show(figures, timing.JSON.value)


def summary(rounds: dict[str, list[float]], names: list[str]) -> dict[str, Any]:
  """Returns medians over rounds, and the second stack's times divided by the first's.

  Args:
    rounds: {"stack/measure": values}.
    names: the two stacks.
  """
  median = timing.medians(rounds)
  one, other = names
  asked = [name.partition("/")[2] for name in median if name.startswith(f"{one}/")]
  ratios = {
    f"{name}, {other} by {one}": median[f"{other}/{name}"] / median[f"{one}/{name}"]
    for name in asked
  }
  return {"median": median, "ratios": ratios, "rounds": rounds, "machine": timing.machine()}


if __name__ == "__main__":
  sys.argv[0] = "stacks"
  runtime.run(main)
