"""`python -m tfdam.source_or_not` on a small run: the game, its picture, and its errors."""

import json
import os
import pty
import subprocess

import pytest
from PIL import Image

from tests import in_process, programs, synthetic
from tfdam import config as config_lib
from tfdam.metrics import gap
from tfdam.runs import machine_player, run_folder

_MODULE = {"module": "tfdam.source_or_not"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def workdir(root, tmp_path_factory):
  """A run without adaptation."""
  path = tmp_path_factory.mktemp("runs") / "small"
  in_process.execute(synthetic.small_config(adapt__steps=0), root, str(path))
  return path


def test_rounds_are_printed_drawn_and_played_by_the_machine(root, workdir):
  code, output = programs.run(
    workdir, root, "--reveal", "--picture=rounds.png", "--rounds=3", "--images=20",
    cwd=workdir, stdin=subprocess.DEVNULL, **_MODULE,
  )  # fmt: skip
  assert code == 0, output
  assert "Round 3 of 3" in output
  assert output.count("Answer: ") == 3
  assert "of 3 times." in output
  assert "Picture: rounds.png" in output
  with Image.open(workdir / "rounds.png") as picture:
    assert picture.width > 500
  content = json.loads((workdir / "source_or_not.json").read_text())
  assert (content["num_images"], content["seed"]) == (20, 0)
  gaps = machine_player.read(run_folder.RunFolder(str(workdir)))
  assert list(gaps) == ["source_only", "gaussian"]
  for found in gaps.values():
    assert [row.layer for row in found.rows] == ["conv1", "conv2", "fc3", "fc4"]
    assert all(0 <= row.auc <= 1 for row in found.rows)
  # Targets are dimmer: the first layer tells them.
  (first, *_) = gaps["source_only"].rows
  assert first.shape == (12, 12, 20)
  assert first.auc > 0.6
  assert f"{first.auc:.3f}" in output


def test_a_player_at_a_terminal_is_asked(root, workdir):
  ours, theirs = pty.openpty()
  try:
    os.write(ours, b"s\nmaybe\nd\nq\n")
    code, output = programs.run(
      workdir, root, "--rounds=5", "--images=20", stdin=theirs, **_MODULE
    )
  finally:
    os.close(theirs)
    os.close(ours)
  assert code == 0, output
  assert output.count("One domain or two?") == 4
  assert "of 2 times; the machine," in output
  assert "played by the machine" in output


@pytest.mark.parametrize(("flags", "said"), [
  ((), "standard input is no terminal that could answer. Set --reveal"),
  (("--picture=rounds.jpg",), "--picture is 'rounds.jpg'; expected a file's name that"),
  (("--picture=/proc/x/rounds.png",), "--picture to a folder that can be written"),
  (("--reveal", "--stage=adapted"), "no checkpoint of stage adapted. Set --stage to one"),
  (("--reveal", "rounds"), "'rounds' is no flag"),
])  # fmt: skip
def test_mistakes_are_told(root, workdir, flags, said):
  assert said in programs.refused(
    workdir, root, *flags, stdin=subprocess.DEVNULL, cwd=workdir, **_MODULE
  )


def test_a_folder_without_a_run_is_told(root, tmp_path):
  assert "Which run?" in programs.refused(None, root, "--reveal", **_MODULE)
  assert "no run folder" in programs.refused(tmp_path, root, "--reveal", **_MODULE)


def make_gap(auc):
  return gap.Gap((gap.LayerGap("conv1", 0, (12, 12, 20), 20, 0.25, auc, 3, 0.75),))


def test_what_was_written_is_read_and_damage_is_told(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  assert machine_player.read(folder) is None
  gaps = {"source_only": make_gap(0.5), "adapted": make_gap(float("nan"))}
  machine_player.write(folder, gaps, 64, 3)
  again = machine_player.read(folder)
  assert again["source_only"] == gaps["source_only"]
  assert again["adapted"].table == gaps["adapted"].table
  path = tmp_path / "source_or_not.json"
  path.write_text(path.read_text().replace("0.25", '"much"'))
  with pytest.raises(config_lib.UserError, match="source_or_not.json is damaged.*Remove"):
    machine_player.read(folder)
