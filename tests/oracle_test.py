"""`python -m tfdam.oracle` on drawn digits, and its `main` on drawn scenes."""

import os
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from tests import synthetic
from tfdam import config as config_lib
from tfdam import data, oracle, runtime
from tfdam.data import scenes


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


_DIGITS = "--config=configs/digits/mnist_to_usps.py"


def run(root, *flags):
  environment = {**os.environ, "PYTHONPATH": runtime.PROJECT, "TFDAM_DATA": str(root)}
  environment.pop("BUILD_WORKING_DIRECTORY", None)
  done = subprocess.run(
    [sys.executable, "-X", "importtime", "-m", "tfdam.oracle", _DIGITS, *flags],
    env=environment, capture_output=True, text=True, timeout=600,
  )  # fmt: skip
  assert "Traceback" not in done.stderr
  timed = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
  modules = {line.split("|")[-1].strip() for line in timed}
  said = "\n".join(line for line in done.stderr.splitlines() if line not in timed)
  return done.returncode, done.stdout, said, modules


def bound(output, name):
  return float(re.search(rf"│ {name} at most *│[ │]* ([\d.]+) │", output).group(1))


def test_prints_shares_and_bounds_of_both_domains_without_tensorflow(root):
  """Drawn digits have every class alike; half of the odd ones are dropped, of any class."""
  code, output, _, modules = run(root, "--config.data.source_skew=odd")
  assert code == 0, output
  assert "mnist to usps" in output
  rows = re.findall(r"│ (\d) +│ +([\d.]+) │ +([\d.]+) │ +([\d.]+) │", output)
  assert [row[0] for row in rows] == list("0123456789")
  shares = [float(row[1]) for row in rows]
  # All tolerances: two digits are printed, of up to ten shares.
  assert shares[::2] == pytest.approx([200 / 15] * 5, abs=0.01)
  assert sum(shares[1::2]) == pytest.approx(100 / 3, abs=0.05)
  for share, (_, _, target, recall) in zip(shares, rows):
    assert float(target) == 10.0
    assert float(recall) == pytest.approx(min(10 * share, 100), abs=0.1)
  right = sum(min(share, 10) for share in shares)
  assert bound(output, "accuracy") == pytest.approx(right, abs=0.1)
  assert "reads the target's test labels" in output
  assert "half of the odd labels dropped" in output
  assert "mIoU" not in output
  assert "tensorflow" not in modules
  assert "numpy" in modules  # the list is one


def test_equal_label_frequencies_allow_everything(root):
  _, output, _, _ = run(root)
  assert bound(output, "accuracy") == bound(output, "class accuracy") == 100.0


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["mnist_to_usps.py"], "is no flag. Did you mean --config=mnist_to_usps.py"),
    (["--config.data.target=uspss"], "'uspss' is no data set"),
    (["--config.data.root=nowhere"], "Data sets are missing"),
    (["--max_images=-1"], "max_images"),
  ],
)
def test_what_the_user_got_wrong_is_answered_with_status_2(root, flags, message):
  code, output, said, _ = run(root, *flags)
  assert (code, output) == (2, "")
  assert message in said


def test_a_target_without_test_labels_is_refused(root, tmp_path):
  images, labels = synthetic.digits(20, 28)
  (tmp_path / "mine").mkdir()
  np.savez(tmp_path / "mine" / "train.npz", images=images)
  os.symlink(os.path.join(root, "mnist"), tmp_path / "mnist")
  code, _, said, _ = run(tmp_path, "--config.data.target=npz:mine")
  assert code == 2
  assert "npz:mine" in said
  assert "has no test labels" in said


def scenes_of(maps, names=("road", "sky", "car")):
  return scenes.Scenes(
    [f"scene {i}" for i in range(len(maps))],
    lambda i: pytest.fail("no image is needed"),
    lambda i: maps[i],
    names,
    {},
    ("every 10th frame",),
  )


@pytest.fixture
def street(monkeypatch):
  """Runs `main` on label maps of two domains: (source maps, target maps, max_images)."""

  def start(source, target, max_images=0):
    config = synthetic.small_config(data__classes="road,sky,car", data__num_classes=0)
    values = config_lib.default()
    values.data.update({"classes": config.data.classes, "num_classes": 0})
    info = types.SimpleNamespace(INFO=types.SimpleNamespace(task="segmentation", own=False))
    monkeypatch.setattr(oracle, "_CONFIG", types.SimpleNamespace(value=values))
    monkeypatch.setattr(oracle, "_MAX_IMAGES", types.SimpleNamespace(value=max_images))
    monkeypatch.setattr(data, "check_files", lambda *_: None)
    monkeypatch.setattr(data, "locate", lambda *_: (info, ""))
    monkeypatch.setattr(data, "load_training", lambda *_: scenes_of(source))
    monkeypatch.setattr(data, "load_scored", lambda *_: {"test": scenes_of(target)})
    oracle.main(["oracle"])

  return start


def test_scenes_count_pixels_and_have_iou(street, capsys):
  half = np.array([[0, 0, 1, 1]], np.uint8)
  street([half], [np.array([[0, 1, 1, 255]], np.uint8), np.array([[2]], np.uint8)])
  output = capsys.readouterr().out
  assert re.search(r"│ road +│ +50.00 │ +25.00 │ +50.00 │ +100.00 │", output)
  assert re.search(r"│ sky +│ +50.00 │ +50.00 │ +100.00 │ +100.00 │", output)
  assert re.search(r"│ car +│ +0.00 │ +25.00 │ +0.00 │ +0.00 │", output)
  assert bound(output, "mIoU") == 50.0
  assert bound(output, "pixel accuracy") == 75.0
  assert bound(output, "class accuracy") == 66.67
  assert bound(output, "fwIoU") == 62.5
  assert "every 10th frame" in output
  assert "evenly spread" not in output


def test_more_scenes_than_the_limit_are_sampled_and_that_is_said(street, capsys):
  sky, road = np.array([[1]], np.uint8), np.array([[0]], np.uint8)
  # The first and the last of each.
  street([sky, road, sky], [sky, sky, sky], max_images=2)
  output = capsys.readouterr().out
  assert bound(output, "pixel accuracy") == 100.0
  assert "labels of 2 images of 3, evenly spread" in output


def test_scenes_that_are_all_ignored_are_refused(street):
  void = np.full((2, 2), scenes.IGNORED, np.uint8)
  with pytest.raises(config_lib.UserError, match=r"usps test: .* none has a label"):
    street([np.zeros((2, 2), np.uint8)], [void])
