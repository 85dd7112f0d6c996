"""Shared by the step benchmarks: peers' processes, the machine's limit, and rounds."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import tensorflow as tf
from absl import flags

from benchmarks import peers
from tfdam import config as config_lib
from tfdam import runtime
from tfdam.training import adaptation, loop, networks

# Defined here, because two benchmarks in one process would define them twice.
ROUNDS = flags.DEFINE_integer(
  "rounds", 8, "How often each is measured.", lower_bound=1, upper_bound=1_000_000
)
JSON = flags.DEFINE_string("json", "", "File to write the figures to.")
PEER_PYTHON = flags.DEFINE_string("peer_python", "", "Python that has PyTorch.")

_GEMM_SIZE, _GEMM_SIZE_GPU = 2048, 8192

# {name: a function that runs briefly and returns one figure}.
Measures = Mapping[str, Callable[[], float]]


def start() -> None:
  """Sets up TensorFlow as in runs, with full float32 on GPUs, as in the peers."""
  runtime.start(config_lib.Runtime("none", num_replicas=1), seed=0)
  tf.config.experimental.enable_tensor_float_32_execution(False)


def step_ms(steps: Callable, iterator, count: int) -> float:
  """Returns milliseconds per step of what `loop.compile_steps` made, over `count` steps."""
  start = time.perf_counter()
  losses = steps(iterator, tf.constant(count))
  for loss in losses.values():
    loss.numpy()  # waits for a GPU
  return 1e3 * (time.perf_counter() - start) / count


def adaptation_step(
  config: config_lib.Config, batch: Mapping[str, tf.Tensor], count: int
) -> Callable[[], float]:
  """Returns a function that measures adaptation steps on one batch, in ms a step.

  Args:
    config: a whole config, with one phase.
    batch: as for AdaptStep.
    count: steps a measurement.
  """
  source = networks.build_network(config, "source")
  (phase,) = adaptation.set_up(config, source, source, source).phases
  many_steps = loop.compile_steps(phase.step, tf.distribute.get_strategy())
  iterator = iter(tf.data.Dataset.from_tensors(batch).cache().repeat())
  step_ms(many_steps, iterator, 2)
  return lambda: step_ms(many_steps, iterator, count)


class Peer:
  """A peer's script in a separate process, which waits between measurements.

  The script prints its versions as JSON, and then answers each line with a figure.
  """

  def __init__(self, python: str, script: str, *arguments: str):
    """Starts the script and waits until it is ready.

    Args:
      python: an interpreter that has what the script imports.
      script: a file in benchmarks/peers/.
      *arguments: of the script.
    """
    path = os.path.join(os.path.dirname(peers.__file__), script)
    self._process = subprocess.Popen(
      [python, path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert self._process.stdin
    assert self._process.stdout
    self._questions, self._answers = self._process.stdin, self._process.stdout
    self._name = script
    self.about = json.loads(self._answer())

  def measure(self, count: int) -> float:
    """Returns milliseconds per step, over `count` steps."""
    self._questions.write(f"{count}\n")
    self._questions.flush()
    return float(self._answer())

  def close(self) -> None:
    self._questions.close()
    self._process.wait()

  def _answer(self) -> str:
    answer = self._answers.readline()
    if not answer:
      sys.exit(f"Error: {self._name} ended. Set --peer_python to a Python with torch.")
    return answer


def gemm() -> Callable[[], float]:
  """Returns a function that measures the GFLOP/s of a large float32 matrix product."""
  size = _GEMM_SIZE_GPU if tf.config.list_physical_devices("GPU") else _GEMM_SIZE
  left = tf.random.stateless_uniform([size, size], [0, 0])

  @tf.function
  def many(count):
    total = tf.zeros([])
    for _ in tf.range(count):
      total += tf.matmul(left, left + total * 1e-30)[0, 0]
    return total

  many(tf.constant(1))

  def measure() -> float:
    start = time.perf_counter()
    many(tf.constant(5)).numpy()
    return 5 * 2 * size**3 / (time.perf_counter() - start) / 1e9

  return measure


def in_turn(measures: Measures, num_rounds: int) -> dict[str, list[float]]:
  """Measures each in turn, `num_rounds` times; returns {measure: its figures}."""
  rounds: dict[str, list[float]] = {name: [] for name in measures}
  for number in range(num_rounds):
    for name, measure in measures.items():
      rounds[name].append(measure())
    latest = ", ".join(f"{name} {values[-1]:.2f}" for name, values in rounds.items())
    print(f"round {number + 1}: {latest}", flush=True)
  return rounds


def medians(rounds: Mapping[str, list[float]]) -> dict[str, float]:
  return {name: statistics.median(values) for name, values in rounds.items()}


def machine() -> str:
  gpus = tf.config.list_physical_devices("GPU")
  names = [tf.config.experimental.get_device_details(gpu)["device_name"] for gpu in gpus]
  return ", ".join(
    [platform.system() + " " + platform.machine(), f"{os.cpu_count()} CPUs", *names]
  )


def show(figures: Mapping, path: str) -> None:
  """Prints medians with their ranges, then ratios; writes everything to `path`, if set."""
  rounds = figures["rounds"]
  for name, value in figures["median"].items():
    print(f"{name:36} {value:8.2f}  ({min(rounds[name]):.2f} to {max(rounds[name]):.2f})")
  for name, value in figures["ratios"].items():
    print(f"{name:36} {value:8.2f}")
  if path:
    with open(path, "w") as file:
      json.dump(figures, file, indent=2)
