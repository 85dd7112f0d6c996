"""Two worker processes on one machine's loopback train one run, as a user starts them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests import in_process, programs, synthetic
from tfdam import runtime

_SMALL = (
  "--config=configs/digits/mnist_to_usps.py",
  "--config.source.steps=20",
  "--config.source.global_batch_size=16",
  "--config.adapt.steps=20",
  "--config.adapt.global_batch_size=16",
  "--config.adapt.discriminator_units=(32,32)",
  "--config.loop.log_every=5",
  "--config.loop.checkpoint_every=10",
  "--config.loop.watch_every=20",
  "--config.loop.score_every=10",
  # All that replicas talk about: moving statistics and averages, the gate, information
  # maximisation. Source images are moved by chance, in shares; adaptation's are not
  # (workers_test.py moves them), so that it keeps the source's taps.
  "--config.model.name=lenet_bn",
  "--config.source.augment=True",
  "--config.adapt.batch_norm=train",
  "--config.adapt.ema_momentum=0.9",
  "--config.adapt.gate_accuracy=0.4",
  "--config.adapt.information_weight=0.1",
  "--config.adapt.spectral_norm=True",
  # A bias below a batch norm has no gradient but rounding, which Adam would magnify.
  "--config.source.epsilon=1e-3",
  "--config.adapt.epsilon=1e-3",
)
_TIMEOUT_S = programs.TIMEOUT_S


def start(workdir, root, tf_config, *flags, killed=""):
  """One process of a run, its output in `<workdir>.<worker>.log`.

  Args:
    killed: the first argument of `tests.killed`; empty: it is not.
  """
  environment = {
    **os.environ, "PYTHONPATH": runtime.PROJECT, "TFDAM_DATA": root,
    "TFDAM_CACHE": f"{workdir}.cache",
  }  # fmt: skip
  environment.pop("TF_CONFIG", None)
  if tf_config:
    environment["TF_CONFIG"] = json.dumps(tf_config)
  worker = tf_config["task"]["index"] if tf_config else "alone"
  program = ["tests.killed", killed] if killed else ["tfdam.train"]
  with open(f"{workdir}.{worker}.log", "w") as log:
    process = subprocess.Popen(
      [sys.executable, "-m", *program, f"--workdir={workdir}", *_SMALL, *flags],
      env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
  process.log = log.name
  return process


def said(process):
  with open(process.log) as file:
    return file.read()


def wait(process):
  """Its exit status."""
  return process.wait(timeout=_TIMEOUT_S)


def child_of(process):
  """The process that trains, below the one that was started."""
  with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
    return int(file.read())


@contextlib.contextmanager
def two_workers(workdir, root, *flags, of_second=(), killed=("", "")):
  """Yields both processes; none of them outlives the test.

  Args:
    of_second: flags that the second worker alone is given.
    killed: of each; see `start`.
  """
  cluster = {"worker": programs.free_addresses(2)}
  tasks = [{"type": "worker", "index": index} for index in range(2)]
  started = [
    start(workdir, root, {"cluster": cluster, "task": task}, *flags, *own, killed=word)
    for task, own, word in zip(tasks, ((), of_second), killed)
  ]
  try:
    yield started
  finally:
    for process in started:
      process.kill()
      process.wait()


def wait_for_lines(process, workdir, count):
  """Returns when the run has written so many lines of metrics, and goes on."""
  programs.wait_for_lines(process, workdir, count)
  assert process.poll() is None, said(process)


def execute_alone(path, root):
  """The same run in one process of its own, on two logical CPU devices.

  Not in this one, which computes without op determinism: under load it rounds otherwise.
  """
  alone = start(path, root, None, "--config.runtime.num_replicas=2")
  assert wait(alone) == 0, said(alone)


def assert_same_weights(one, other, atol=0.0):
  for stage in ("source_only", "gaussian", "adapted"):
    first, second = in_process.weights(one, stage), in_process.weights(other, stage)
    assert sorted(first) == sorted(second)
    for name in first:
      assert abs(first[name] - second[name]).max() <= atol, f"{stage}: {name}"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def unbroken(root, tmp_path_factory):
  """The run folder and both processes of a run that nothing disturbed."""
  workdir = tmp_path_factory.mktemp("unbroken") / "run"
  with two_workers(workdir, root) as workers:
    for worker in workers:
      assert wait(worker) == 0, said(worker)
  return workdir, workers


def test_two_workers_end_with_the_weights_of_one_process_on_two_devices(
  unbroken, root, tmp_path
):
  execute_alone(tmp_path / "run", root)
  # With Adam.
  assert_same_weights(unbroken[0], tmp_path / "run", atol=1e-6)
  results = [
    json.loads((path / "results.json").read_text())["stages"]
    for path in (unbroken[0], tmp_path / "run")
  ]
  assert results[0] == results[1]


def test_workers_of_unlike_configs_do_not_train(root, tmp_path):
  faster = ("--config.adapt.target_learning_rate=0.5",)
  with two_workers(tmp_path / "run", root, of_second=faster) as workers:
    for worker in workers:
      assert wait(worker) == 2, said(worker)
      assert re.search(r"worker:1 \(127.0.0.1:\d+\) was started with another", said(worker))
  assert "adapt.target_learning_rate: 0.5 here, 0.0002 there" in said(workers[1])
  assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_chief_alone_writes_and_prints(unbroken):
  workdir, (chief, other) = unbroken
  assert sorted(os.listdir(workdir)) == [
    ".lock", "checkpoints", "config.json", "gaussian.json", "metrics.jsonl",
    "pictures", "report.html", "report.json", "results.json", "run.json", "summaries",
  ]  # fmt: skip
  assert not list(workdir.rglob("*.partial"))
  session = json.loads((workdir / "run.json").read_text())["sessions"][0]
  assert session["devices"] == ["worker:0/CPU:0", "worker:1/CPU:0"]
  assert "accuracy, %" in said(chief)
  # A line a stage, beside warnings and what TensorFlow 2.21's C++ says at every start.
  noise = r"W\d{4} |[IWE]0000 |WARNING: All log messages before absl::InitializeLog"
  lines = [line for line in said(other).splitlines() if not re.match(noise, line)]
  assert [line.split(": ")[1].split(" ")[0] for line in lines] == [
    "waiting", "source_only", "gaussian", "adapted",
  ]  # fmt: skip


# In source training the one, in adaptation the other.
@pytest.mark.parametrize("killed", [("3", ""), ("", "7")])
def test_after_a_signal_to_one_worker_and_the_death_of_another_it_ends_the_same(
  unbroken, root, tmp_path, killed
):
  """One story of three starts, as each costs seconds."""
  workdir = tmp_path / "run"
  rarely = "--config.loop.checkpoint_every=1000"
  with two_workers(workdir, root, rarely, killed=("", "1:SIGTERM")) as workers:
    for worker in workers:
      assert wait(worker) == 143, said(worker)
    (saved,) = (workdir / "checkpoints" / "source_only").iterdir()
    assert f"SIGTERM at step {int(saved.name)} of source_only: saved" in said(workers[1])

  with two_workers(workdir, root, killed=killed) as workers:
    lost = killed.index(max(killed))
    assert wait(workers[lost]) == -signal.SIGKILL
    survivor = workers[1 - lost]
    # Its connection breaks or the heartbeat stops: 1 to 11 s were seen. Without notice it
    # would wait for ever.
    assert wait(survivor) == 75, said(survivor)
    output = said(survivor)
  error = rf"Error: worker:{lost} \(127.0.0.1:\d+\) no longer answers"
  resumable = r"The run was saved at step (\d+) of (\w+): start all workers again"
  assert re.search(error, output)
  step, stage = re.search(resumable, output).groups()
  assert "Traceback" not in output

  with two_workers(workdir, root) as workers:
    for worker in workers:
      assert wait(worker) == 0, said(worker)
    if stage != "gaussian":
      assert f"{stage}: resumed at step {step}" in said(workers[0])
  assert_same_weights(unbroken[0], workdir)
  lines = [(path / "metrics.jsonl").read_text() for path in (unbroken[0], workdir)]
  assert lines[0] == lines[1]


@pytest.mark.parametrize(("number", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_worker_that_waits_for_one_that_never_comes_leaves_on_a_signal(
  root, tmp_path, number, status
):
  task = {"type": "worker", "index": 0}
  cluster = {"worker": programs.free_addresses(2)}
  worker = start(tmp_path / "run", root, {"cluster": cluster, "task": task})
  try:
    while "waiting for" not in said(worker) and worker.poll() is None:
      time.sleep(0.1)
    time.sleep(1)  # now in C++, most likely; before it the end is the same
    worker.send_signal(getattr(signal, number))
    assert wait(worker) == status, said(worker)
  finally:
    worker.kill()
  assert "Traceback" not in said(worker)


def test_a_worker_leaves_on_a_signal_while_another_stands_still(root, tmp_path):
  long = "--config.source.steps=100000"
  with two_workers(tmp_path / "run", root, long) as workers:
    wait_for_lines(workers[0], tmp_path / "run", 1)
    os.kill(child_of(workers[1]), signal.SIGSTOP)
    for worker in workers:
      worker.send_signal(signal.SIGTERM)
    for worker in workers:
      assert wait(worker) == 143, said(worker)
