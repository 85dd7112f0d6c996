"""`python -m tfdam.train` as a user runs it: errors, kills, resumes, evaluation."""

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from tests import runs, synthetic
from tfdam import runtime

_DIGITS = "--config=configs/digits/mnist_to_usps.py"
_SMALL = (
  "--config.source.steps=60",
  "--config.source.global_batch_size=16",
  "--config.adapt.steps=60",
  "--config.adapt.global_batch_size=16",
  "--config.loop.log_every=5",
  "--config.loop.checkpoint_every=20",
  "--config.source.cache=off",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


def start(workdir, root, *flags, module="tfdam.train", cwd=None):
  environment = {
    **os.environ,
    "PYTHONPATH": runtime.PROJECT,
    "TFDAM_DATA": root or "/no/such/folder",
    "PYTHONUNBUFFERED": "1",
  }
  environment.pop("BUILD_WORKING_DIRECTORY", None)
  if module == "tfdam.train" and root:
    flags = (_DIGITS, *flags)  # a later --config wins
  flags = (f"--workdir={workdir}", *flags) if workdir else flags
  return subprocess.Popen(
    [sys.executable, "-m", module, *flags], env=environment, text=True, cwd=cwd,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
  )  # fmt: skip


def run(workdir, root, *flags, **options):
  process = start(workdir, root, *flags, **options)
  output, _ = process.communicate(timeout=300)
  return process.returncode, output


def refused(workdir, root, *flags, **options):
  """The message of a run that must end with status 2 and no traceback."""
  code, output = run(workdir, root, *flags, **options)
  assert code == 2, output
  assert "Traceback" not in output
  return output


def steps_written(workdir):
  try:
    with open(os.path.join(workdir, "metrics.jsonl")) as file:
      return sum(1 for line in file)
  except FileNotFoundError:
    return 0


def wait_for_lines(process, workdir, count):
  deadline = time.monotonic() + 240
  while steps_written(workdir) < count and process.poll() is None:
    assert time.monotonic() < deadline, "the run does not get on"
    time.sleep(0.005)


class KillTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.root = synthetic.write_all(os.path.join(self.folder, "data"))

  def path(self, name):
    return os.path.join(self.folder, name)

  def assert_same_run(self, one, other):
    for stage in ("source_only", "gaussian", "adapted"):
      first, second = runs.weights(one, stage), runs.weights(other, stage)
      self.assertCountEqual(first, second)
      for name in first:
        self.assertAllEqual(first[name], second[name])
    results = [json.load(open(os.path.join(path, "results.json"))) for path in (one, other)]
    self.assertEqual(results[0]["stages"], results[1]["stages"])
    self.assertEqual(results[0]["alarms"], results[1]["alarms"])
    # The curves are whole and without repeats.
    lines = [open(os.path.join(path, "metrics.jsonl")).read() for path in (one, other)]
    self.assertEqual(*lines)

  def test_killed_at_random_steps_ends_bit_identical(self):
    code, output = run(self.path("whole"), self.root, *_SMALL)
    self.assertEqual(code, 0, output)
    total = steps_written(self.path("whole"))
    self.assertGreater(total, 20)
    seed = int(time.time())
    rng = random.Random(seed)
    # Twice: in the first half (source training) and in the second (adaptation).
    kills = [rng.randrange(1, total // 2), rng.randrange(total // 2, total - 1)]
    for lines in kills:
      process = start(self.path("killed"), self.root, *_SMALL)
      wait_for_lines(process, self.path("killed"), lines)
      time.sleep(rng.uniform(0, 0.05))
      process.kill()
      process.communicate()
      self.assertEqual(
        process.returncode, -signal.SIGKILL, f"seed {seed}: ended before the kill"
      )
    code, output = run(self.path("killed"), self.root, *_SMALL)
    self.assertEqual(code, 0, output)
    self.assertIn("resumed at step", output, f"seed {seed}, kills {kills}")
    self.assert_same_run(self.path("whole"), self.path("killed"))

  def test_sigterm_saves_exits_with_143_and_resumes(self):
    long = [
      *_SMALL,
      "--config.source.steps=100000",
      "--config.loop.checkpoint_every=100000",
    ]
    process = start(self.path("run"), self.root, *long)
    wait_for_lines(process, self.path("run"), 3)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    self.assertEqual(process.returncode, 143, output)
    saved = os.listdir(os.path.join(self.path("run"), "checkpoints", "source_only"))
    self.assertLen(saved, 1)
    self.assertGreaterEqual(int(saved[0]), 15)
    process = start(self.path("run"), self.root, *long)
    wait_for_lines(process, self.path("run"), int(saved[0]) // 5 + 3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    self.assertEqual(process.returncode, 130, output)
    self.assertIn(f"resumed at step {int(saved[0])} of 100000", output)

  def test_a_truncated_newest_checkpoint_falls_back_and_ends_the_same(self):
    run(self.path("whole"), self.root, *_SMALL)
    run(self.path("cut"), self.root, *_SMALL)
    newest = os.path.join(self.path("cut"), "checkpoints", "adapted", "00000060")
    with open(os.path.join(newest, "state.data-00000-of-00001"), "r+b") as file:
      file.truncate(1_000)
    os.remove(os.path.join(self.path("cut"), "results.json"))
    code, output = run(self.path("cut"), self.root, *_SMALL)
    self.assertEqual(code, 0, output)
    self.assertIn("00000060 is not whole", output)
    self.assertIn("adapted: resumed at step 40 of 60", output)
    for name, value in runs.weights(self.path("whole")).items():
      self.assertAllEqual(runs.weights(self.path("cut"))[name], value)


def test_evaluate_gives_the_results_again(root, tmp_path):
  workdir = tmp_path / "run"
  code, output = run(workdir, root, *_SMALL)
  assert code == 0, output
  assert "tfdam.evaluate --workdir=" in output
  code, output = run(workdir, root, module="tfdam.evaluate")
  assert code == 0, output
  results = json.loads((workdir / "results.json").read_text())["stages"]
  assert json.loads((workdir / "evaluation.json").read_text())["stages"] == results
  for name in (
    "config.json",
    "run.json",
    "metrics.jsonl",
    "gaussian.json",
    "summaries/adapted",
  ):
    assert (workdir / name).exists()


def test_a_cut_target_is_scored_on_what_was_adapted_to_and_says_so(root, tmp_path):
  workdir = tmp_path / "run"
  flags = ["--config.data.target_skew=odd", "--config.data.target_limit=100"]
  code, output = run(workdir, root, *_SMALL, *flags)
  assert code == 0, output
  results = json.loads((workdir / "results.json").read_text())["stages"]
  assert results["adapted"]["transductive"]["num_images"] == 100
  assert results["adapted"]["test"]["num_images"] == 50
  notes = json.loads((workdir / "run.json").read_text())["notes"]
  for said in ("half of the odd labels dropped, 113 images", "limited to 100 of 113"):
    assert [note for note in notes if said in note]
    assert re.search(f"^Note: .*{said}", output, re.M)
  code, output = run(workdir, root, module="tfdam.evaluate")
  assert code == 0, output
  assert json.loads((workdir / "evaluation.json").read_text())["stages"] == results


def test_without_data_it_ends_before_tensorflow_starts(tmp_path):
  # A tensorflow that cannot be imported proves that it was not.
  (tmp_path / "tensorflow.py").write_text("raise SystemExit('tensorflow was imported')")
  message = refused(tmp_path / "run", str(tmp_path / "none"), cwd=tmp_path)
  for part in (
    "none/mnist",
    "none/usps",
    "train-images-idx3-ubyte",
    "https://",
    "TFDAM_DATA",
  ):
    assert part in message
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  ("flag", "said"),
  [
    ("--config.adapt.gan_wieght=1", "Did you mean 'adapt.gan_weight'"),
    ("--config.gan_weight=1", "Did you mean 'adapt.gan_weight'"),
    ("--config.adapt.taps=fc33:1", "Did you mean 'fc3'"),
    ("--config.adapt.objective=lsgan", "least_squares"),
    ("--config.data.target=upsp", "Did you mean 'usps'"),
    ("--config.data.target_limit=151", "target usps/train has 150 images"),
    ("--config=configs/digits/mnist_to_usps.py:relaese", "Did you mean 'release'"),
    (
      "--config=configs/digits/mnist_to_ups.py",
      "Did you mean 'configs/digits/mnist_to_usps.py'",
    ),
    ("configs/digits/mnist_to_usps.py", "Did you mean --config="),
    ("--config.adapt.steps=abc", "invalid literal"),
    ("--config.adapt.discriminator_units=500", "Expected a tuple"),
    ("--config.adapt.gan_weight", "has no value"),
    ("--wrokdir=x", "Did you mean: workdir"),
    ("--config=configs/digits/recipes.py", "get_config"),
  ],
)
def test_a_wrong_flag_is_refused_and_nothing_written(root, tmp_path, flag, said):
  assert said in refused(tmp_path / "run", root, flag)
  assert not (tmp_path / "run").exists()


def test_batches_that_replicas_cannot_share_are_refused(root, tmp_path):
  flags = ("--config.runtime.num_replicas=2", "--config.adapt.global_batch_size=15")
  message = refused(tmp_path / "run", root, *flags)
  assert "15, which 2 replicas cannot share" in message
  assert not (tmp_path / "run").exists()


def test_a_damaged_target_label_file_is_found_before_the_first_step(tmp_path):
  root = synthetic.write_all(tmp_path / "data")
  path = tmp_path / "data" / "usps" / "zip.test.gz"
  with gzip.open(path, "rt") as file:
    text = file.read()
  with gzip.open(path, "wt") as file:
    file.write(text.replace(text[:6], "10.000", 1))
  assert "label 10; expected 0 to 9" in refused(tmp_path / "run", root)
  assert not (tmp_path / "run").exists()


def test_a_folder_of_another_config_is_refused_untouched(root, tmp_path):
  workdir = tmp_path / "run"
  short = [*_SMALL, "--config.source.steps=5", "--config.adapt.steps=5"]
  assert run(workdir, root, *short)[0] == 0
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()}
  message = refused(workdir, root, *short, "--config.seed=1")
  assert "seed: 0 there, 1 now" in message
  assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()} == before


def test_without_data_and_flags_it_adapts_procedural_streets(tmp_path):
  """But for flags that make it short."""
  short = (
    "--config.data.height=48", "--config.data.width=64", "--config.data.source_limit=8",
    "--config.data.target_limit=8", "--config.model.width=0.1", "--config.source.steps=2",
    "--config.source.cache=off", "--config.adapt.steps=2", "--config.adapt.warmup_steps=0",
    "--config.match.max_images=8",
  )  # fmt: skip
  code, output = run(None, None, *short, cwd=tmp_path)
  assert code == 0, output
  folder = tmp_path / "runs" / "streets-gam"
  results = json.loads((folder / "results.json").read_text())
  assert list(results["stages"]) == ["source_only", "gaussian", "adapted"]
  assert results["stages"]["adapted"]["test"]["num_images"] == 300
  pictures = {path.name for path in (folder / "pictures").iterdir()}
  assert pictures == {
    "panels.png", "activations-source_only.png", "activations-adapted.png"
  }  # fmt: skip
  for said in ("mIoU", "Picture: runs/streets-gam/pictures/panels.png", "Next: "):
    assert said in output
  code, output = run(folder, None, module="tfdam.evaluate")
  assert code == 0, output
  assert "bicyclist" in output
  again = json.loads((folder / "evaluation.json").read_text())
  assert again["stages"] == results["stages"]


def test_the_default_run_folder_lies_where_the_user_stands(root, tmp_path):
  flags = [*_SMALL, "--config.source.steps=2", "--config.adapt.steps=0", "--config.seed=3"]
  code, output = run(None, root, *flags, cwd=tmp_path)
  assert code == 0, output
  assert (tmp_path / "runs" / "mnist_to_usps-release-gam" / "results.json").exists()
  assert "--workdir=runs/mnist_to_usps-release-gam" in output


def test_a_config_file_with_a_mistake_is_named(root, tmp_path):
  for content, said in (
    ("config.adapt.stepz = 3", "Did you mean"),
    ("config.adapt.steps = 'three'", "steps"),
    ("config.seed = -1", "at least 0"),
    ("nonsense(", "SyntaxError"),
  ):
    path = tmp_path / "mine.py"
    path.write_text(
      "from tfdam import config as config_lib\n\ndef get_config(options=None):\n"
      f"  config = config_lib.default()\n  {content}\n  return config\n"
    )
    assert said in refused(tmp_path / "run", root, f"--config={path}")


def test_evaluate_without_data_keeps_what_it_had(root, tmp_path):
  workdir = tmp_path / "run"
  assert (
    run(workdir, root, *_SMALL, "--config.source.steps=5", "--config.adapt.steps=5")[0] == 0
  )
  assert run(workdir, root, module="tfdam.evaluate")[0] == 0
  before = (workdir / "evaluation.json").read_text()
  message = refused(workdir, str(tmp_path / "none"), module="tfdam.evaluate")
  assert "none/usps" in message
  assert (workdir / "evaluation.json").read_text() == before


def test_evaluate_wants_a_run_folder(root, tmp_path):
  assert "--workdir" in refused(None, root, module="tfdam.evaluate")
  assert "no run folder" in refused(tmp_path, root, module="tfdam.evaluate")
