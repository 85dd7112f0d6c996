"""`python -m tfdam.train` as a user runs it: errors, results, evaluation."""

import gzip
import json
import os
import re

import pytest

from tests import programs, synthetic

_CUT = (
  *programs.SMALL,
  "--config.data.target_skew=odd",
  "--config.data.target_limit=100",
  "--config.source.steps=5",
  "--config.adapt.steps=5",
  "--config.loop.watch_every=0",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cut(root, tmp_path_factory):
  """A run whose target was cut twice, and all that it and its evaluation printed."""
  workdir = tmp_path_factory.mktemp("runs") / "cut"
  code, output = programs.run(workdir, root, *_CUT)
  assert code == 0, output
  code, more = programs.run(workdir, root, module="tfdam.evaluate")
  assert code == 0, more
  return workdir, output + more


def test_a_cut_target_is_scored_on_what_was_adapted_to_and_says_so(cut):
  workdir, output = cut
  results = json.loads((workdir / "results.json").read_text())["stages"]
  assert results["adapted"]["transductive"]["num_images"] == 100
  assert results["adapted"]["test"]["num_images"] == 50
  notes = json.loads((workdir / "run.json").read_text())["notes"]
  for said in ("half of the odd labels dropped, 113 images", "limited to 100 of 113"):
    assert [note for note in notes if said in note]
    assert re.search(f"^Note: .*{said}", output, re.M)


def test_evaluate_gives_the_results_again(cut):
  workdir, output = cut
  assert "tfdam.evaluate --workdir=" in output
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


def test_evaluate_without_data_keeps_what_it_had(cut, tmp_path):
  workdir, _ = cut
  before = (workdir / "evaluation.json").read_text()
  message = programs.refused(workdir, str(tmp_path / "none"), module="tfdam.evaluate")
  assert "none/usps" in message
  assert (workdir / "evaluation.json").read_text() == before


def test_a_folder_of_another_config_is_refused_untouched(cut, root):
  workdir, _ = cut
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()}
  message = programs.refused(workdir, root, *_CUT, "--config.seed=1")
  assert "seed: 0 there, 1 now" in message
  assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()} == before


def test_a_run_folder_alone_is_continued_with_its_config(cut, root):
  """The config of no flags is another one."""
  workdir, _ = cut
  results = json.loads((workdir / "results.json").read_text())["stages"]
  here = f"--config.data.root={root}"
  code, output = programs.run(workdir, None, here)
  assert code == 0, output
  assert "mnist to usps, release gam, seed 0" in output
  assert json.loads((workdir / "results.json").read_text())["stages"] == results
  message = programs.refused(workdir, None, here, "--config.seed", "1")
  assert "seed: 0 there, 1 now" in message


def test_without_data_it_ends_before_tensorflow_starts(tmp_path):
  # A tensorflow that cannot be imported proves that it was not.
  (tmp_path / "tensorflow.py").write_text("raise SystemExit('tensorflow was imported')")
  message = programs.refused(
    *(tmp_path / "run", str(tmp_path / "none"), "--config.augment.shear=0.2"), cwd=tmp_path
  )
  for part in (
    "augment.shear is 0.2, which changes nothing",
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
    ("--config.adapt.discriminator_units=a,b", "adapt.discriminator_units"),
    ("--config.adapt.discriminator_units=0", "discriminator_units is 0; expected at least"),
    ("--config.adapt.gan_weight", "has no value"),
    ("--wrokdir=x", "Did you mean: workdir"),
    ("--config=configs/digits/recipes.py", "get_config"),
  ],
)
def test_a_wrong_flag_is_refused_and_nothing_written(root, tmp_path, flag, said):
  assert said in programs.refused(tmp_path / "run", root, flag)
  assert not (tmp_path / "run").exists()


def test_a_damaged_target_label_file_is_found_before_the_first_step(tmp_path):
  root = synthetic.write_all(tmp_path / "data")
  path = tmp_path / "data" / "usps" / "zip.test.gz"
  with gzip.open(path, "rt") as file:
    text = file.read()
  with gzip.open(path, "wt") as file:
    file.write(text.replace(text[:6], "10.000", 1))
  assert "label 10; expected 0 to 9" in programs.refused(tmp_path / "run", root)
  assert not (tmp_path / "run").exists()


def test_without_data_and_flags_it_adapts_procedural_streets(tmp_path):
  """But for flags that make it short. Its folder lies where the user stands."""
  short = (
    "--config.data.height=48", "--config.data.width=64", "--config.data.source_limit=8",
    "--config.data.target_limit=8", "--config.model.width=0.1",
    "--config.model.weights=", "--config.source.steps=2",
    "--config.source.cache=off", "--config.adapt.steps=2", "--config.adapt.warmup_steps=0",
    "--config.match.max_images=8",
  )  # fmt: skip
  code, output = programs.run(None, None, *short, cwd=tmp_path)
  assert code == 0, output
  folder = tmp_path / "runs" / "streets-gam"
  results = json.loads((folder / "results.json").read_text())
  assert list(results["stages"]) == ["source_only", "gaussian", "adapted"]
  assert results["stages"]["adapted"]["test"]["num_images"] == 300
  pictures = {path.name for path in (folder / "pictures").iterdir()}
  assert pictures == {
    "panels.png", "activations-source_only.png", "activations-adapted.png"
  }  # fmt: skip
  picture = "Picture: runs/streets-gam/pictures/panels.png"
  for said in ("mIoU", picture, "Next: ", "--workdir=runs/streets-gam"):
    assert said in output
  code, output = programs.run(folder, None, module="tfdam.evaluate")
  assert code == 0, output
  assert "bicyclist" in output
  again = json.loads((folder / "evaluation.json").read_text())
  assert again["stages"] == results["stages"]


def test_a_config_file_with_a_mistake_is_named(root, tmp_path):
  for content, said in (
    ("config.adapt.stepz = 3", "Did you mean"),
    ("config.adapt.steps = 'three'", "steps"),
    ("config.seed = -1", "at least 0"),
    ("nonsense(", "SyntaxError"),
    ("confg.adapt.steps = 3", "line 5, raises NameError"),
    ("open('/no/such/file')", "/no/such/file"),
    ("config = None", "expected its fields, as get_config"),
  ):
    path = tmp_path / "mine.py"
    path.write_text(
      "from tfdam import config as config_lib\n\ndef get_config(options=None):\n"
      f"  config = config_lib.default()\n  {content}\n  return config\n"
    )
    assert said in programs.refused(tmp_path / "run", root, f"--config={path}")


def test_a_config_file_is_read_as_it_is_now_and_leaves_no_bytecode(
  root, tmp_path, monkeypatch
):
  """Of one size and one second, as a script may write them."""
  monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
  path = tmp_path / "mine.py"
  for seed in (-1, -2):
    path.write_text(
      "from tfdam import config as config_lib\n\ndef get_config(options=None):\n"
      f"  config = config_lib.default()\n  config.seed = {seed}\n  return config\n"
    )
    os.utime(path, (1_700_000_000, 1_700_000_000))
    said = programs.refused(tmp_path / "run", root, f"--config={path}")
    assert f"seed is {seed}" in said
  assert os.listdir(tmp_path) == ["mine.py"]


def test_evaluate_wants_a_run_folder(root, tmp_path):
  assert "--workdir" in programs.refused(None, root, module="tfdam.evaluate")
  assert "no run folder" in programs.refused(tmp_path, root, module="tfdam.evaluate")
