"""Runs whose source images are in the target's look."""

import os
import shutil

import numpy as np
import pytest

from tests import in_process, street_folders, synthetic
from tfdam.vocabulary import Stage

# Two steps of either training, in one of which a run can be cut off.
_TINY = {
  "source__steps": 2, "adapt__steps": 2, "loop__checkpoint_every": 1, "loop__log_every": 1,
}  # fmt: skip


def digits(style, **fields):
  fields = {"data__source": "usps", "data__target": "mnist", **fields}
  return synthetic.small_config(**{**_TINY, "data__source_style": style, **fields})


def streets(style):
  return synthetic.scenes_config(
    **_TINY, data__source="streets/sim", data__target="camvid", data__source_limit=8,
    data__classes="sky,building,road,car", data__source_style=style,
  )  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp("data")
  street_folders.write_camvid(root, train=5, test=2)
  return synthetic.write_all(root)


def same(one, other, stage):
  """Whether two runs ended a stage with the same bits."""
  first, second = (in_process.weights(str(path), stage) for path in (one, other))
  assert first.keys() == second.keys()
  return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("config", "style"), [(digits, "fourier"), (streets, "lab")])
def test_a_run_cut_off_ends_with_the_same_bits(root, tmp_path, config, style):
  whole, cut = tmp_path / "whole", tmp_path / "cut"
  results = in_process.execute(config(style), root, str(whole))
  assert list(results["stages"]) == list(Stage)
  shutil.copytree(whole, cut)
  # As if killed in the second step of source training, and again in that of adaptation.
  for stage in ("source_only", "adapted"):
    shutil.rmtree(cut / "checkpoints" / stage / "00000002")
    assert os.listdir(cut / "checkpoints" / stage)
  shutil.rmtree(cut / "checkpoints" / "gaussian")
  os.remove(cut / "results.json")
  again = in_process.execute(config(style), root, str(cut))
  assert again["stages"] == results["stages"]
  assert all(same(whole, cut, stage) for stage in Stage)


def test_without_the_targets_labels_a_run_is_the_same(tmp_path):
  root = synthetic.write_all(tmp_path / "data")
  in_process.execute(digits("fourier"), root, str(tmp_path / "with"))
  for name in ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
    os.remove(os.path.join(root, "mnist", name))
  in_process.execute(digits("fourier"), root, str(tmp_path / "without"))
  assert all(same(tmp_path / "with", tmp_path / "without", stage) for stage in Stage)


def test_moments_are_those_of_styled_images(root, tmp_path):
  """One source network, trained without a style: what is matched to it differs."""
  trained = str(tmp_path / "trained")
  fields = {"adapt__steps": 0, "match__enabled": False}
  in_process.execute(digits("none", **fields), root, trained)
  fields = {"adapt__steps": 0, "source__steps": 0, "source__init_checkpoint": trained}
  for style in ("none", "lab"):
    in_process.execute(digits(style, **fields), root, str(tmp_path / style))
  assert same(tmp_path / "none", tmp_path / "lab", "source_only")
  assert not same(tmp_path / "none", tmp_path / "lab", "gaussian")
