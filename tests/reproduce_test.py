"""The command as a user types it: runs, a kill in the middle, and what is refused."""

import json
import os
import re
import signal
import time

import pytest

from tests import programs, synthetic

_EXPERIMENT = """
from tfdam import experiment as experiment_lib

FIELDS = {
  "source.steps": 60, "source.global_batch_size": 16, "adapt.steps": 60,
  "adapt.global_batch_size": 16, "adapt.discriminator_units": (16, 16),
  "loop.log_every": 5, "loop.checkpoint_every": 20, "loop.watch_every": 0,
}


def get_experiment():
  rows = [
    row("gam", "gam", "adapted"), row("none", "gam", "source_only"),
    row("adda", "adda", "adapted"), row("svhn", "gam", "adapted", "svhn_to_mnist"),
  ]
  columns = ("test", "transductive", "paper")
  table = experiment_lib.Table("digits", "Digits", columns, tuple(rows), "accuracy, %")
  return experiment_lib.Experiment("own", "Own experiment", "Tiny.", (table,), seeds=2)


def row(name, method, stage, pair="mnist_to_usps"):
  run = experiment_lib.Run(f"configs/digits/{pair}.py:release,{method}", FIELDS)
  splits = ("test", "transductive")
  cells = {split: experiment_lib.score(run, stage, split) for split in splits}
  return experiment_lib.Row(name, name.upper(), {**cells, "paper": "95.7"})
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  """MNIST and USPS, but no SVHN."""
  folder = tmp_path_factory.mktemp("data")
  synthetic.write_mnist(folder)
  synthetic.write_usps(folder, gain=0.6, offset=0.2)
  return str(folder)


@pytest.fixture
def experiment(tmp_path):
  path = tmp_path / "own.py"
  path.write_text(_EXPERIMENT)
  return f"--experiment={path}"


def start(workdir, root, *flags):
  return programs.start(str(workdir), root, *flags, module="tfdam.reproduce")


def run(workdir, root, *flags):
  process = start(workdir, root, *flags)
  output, _ = process.communicate(timeout=programs.TIMEOUT_S)
  return process.returncode, output


def records(workdir):
  folder = os.path.join(workdir, "results", "runs")
  return {
    name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)
  }


def table(workdir):
  with open(os.path.join(workdir, "results", "own.md")) as file:
    return file.read()


def test_a_kill_repeats_no_finished_run_and_changes_no_number(tmp_path, root, experiment):
  killed, whole = tmp_path / "killed", tmp_path / "whole"
  process = start(killed, root, experiment)
  results = killed / "results" / "runs"
  while process.poll() is None and not (results.is_dir() and len(os.listdir(results)) == 2):
    time.sleep(0.05)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  before = records(killed)
  assert 0 < len(before) < 4
  status, output = run(killed, root, experiment)
  # SVHN is not there: said, and the rest is run.
  assert status == 1
  assert "SVHN: expected in" in output
  assert "tfdam.download svhn fetches them" in output
  after = records(killed)
  assert len(after) == 4
  assert {name: after[name] for name in before} == before
  assert run(whole, root, experiment, "--jobs=2")[0] == 1
  assert table(killed) == table(whole)
  assert re.search(r"\| GAM \| \d+\.\d\d ± \d+\.\d\d \| .* \| 95.7 \|", table(whole))
  assert "| SVHN | failed | failed | 95.7 |" in table(whole)
  assert "SVHN: no result. Data sets are missing." in table(whole)
  # One source network a seed: each row's runs have seen its very scores.
  networks = {}
  for name in after:
    with open(results / name) as file:
      record = json.load(file)
    networks.setdefault(record["seed"], set()).add(record["source_network"])
  assert [len(found) for found in networks.values()] == [1, 1]
  # Nothing is left to do, and nothing is done; documentation takes the same table.
  page = tmp_path / "page.md"
  page.write_text("<!-- own/digits -->\n<!-- end -->\n")
  status, output = run(
    killed, root, experiment, f"--into={page}", "--rows=gam,none,adda", "--dry_run=False"
  )
  assert status == 0, output
  assert "starts" not in output
  assert records(killed) == after
  assert "| GAM |" in page.read_text()
  # Older code's records count once one of them was seen to come out the same.
  for name in after:
    with open(results / name) as file:
      text = file.read()
    with open(results / name, "w") as file:
      file.write(re.sub(r'"code": "\w+"', '"code": "older"', text))
  rows = "--rows=gam,none,adda"
  status, output = run(killed, root, experiment, rows, "--dry_run")
  assert "4 runs," in output
  status, output = run(killed, root, experiment, rows, "--check_bits")
  assert status == 0, output
  assert "Code older gave the same bits" in output
  status, output = run(killed, root, experiment, rows, "--dry_run")
  assert "0 runs are left to do." in output


@pytest.mark.parametrize(
  ("flags", "words"),
  [
    (["--experiment=tabel1"], "no experiment 'tabel1'"),
    ([], "--experiment is missing; expected one of"),
    (["--experiment=table1", "--rows=mnist_to_usps_gan"], "Did you mean"),
    (["--experiment=table1", "--seeds=0"], "seeds"),
    (["--experiment=table1", "--jobs=1000"], "but this machine has"),
    (["--experiment=table1", "--into=x.md", "--limit_steps=3"], "only results in"),
    (["table1"], "Did you mean --experiment=table1?"),
  ],
)
def test_what_cannot_be_run_is_refused(tmp_path, root, flags, words):
  assert words in programs.refused(
    str(tmp_path / "work"), root, *flags, module="tfdam.reproduce"
  )


def test_results_of_another_version_are_refused(tmp_path, root):
  folder = tmp_path / "results" / "runs"
  folder.mkdir(parents=True)
  (folder / "x.json").write_text('{"version": 0}')
  results = f"--results={tmp_path / 'results'}"
  message = programs.refused(
    str(tmp_path / "work"), root, "--experiment=table1", results, module="tfdam.reproduce"
  )
  assert "version 0; this tfdam reads version 1. Set --results" in message


def test_documentation_without_a_place_for_a_table_is_refused(tmp_path, root):
  page = tmp_path / "page.md"
  page.write_text("nothing\n")
  message = programs.refused(
    str(tmp_path / "work"), root, "--experiment=table1", "--report_only", f"--into={page}",
    module="tfdam.reproduce",
  )  # fmt: skip
  assert "has no place for a table" in message
