"""HDF5 files that another library will read; see tests/data/claims_test.py, too."""

import os

import h5py
import numpy as np
import pytest

from tfdam import config as config_lib
from tfdam import hdf5


def weights(path):
  """A file in the layout of Keras' weights."""
  with h5py.File(path, "w") as file:
    file.attrs["layer_names"] = ["conv", "dense"]
    for name in file.attrs["layer_names"]:
      file[f"{name}/{name}/kernel:0"] = np.ones((3, 4), np.float32)
      file[f"{name}/{name}/step"] = 1
  return path


def test_weights_are_all_right(tmp_path):
  hdf5.check(str(weights(tmp_path / "a.h5")))


def test_an_array_anywhere_that_claims_more_than_it_can_hold(tmp_path):
  with h5py.File(weights(tmp_path / "a.h5"), "a") as file:
    file.create_dataset("dense/dense/bias:0", (10**12,), "f4")
  with pytest.raises(config_lib.UserError, match="claims 4,000,000,000,000 bytes.*bias:0"):
    hdf5.check(str(tmp_path / "a.h5"))


def test_a_link_anywhere_to_another_file(tmp_path):
  weights(tmp_path / "b.h5")
  with h5py.File(weights(tmp_path / "a.h5"), "a") as file:
    file["conv/other"] = h5py.ExternalLink("b.h5", "/conv")
  with pytest.raises(ValueError, match="conv/other leads elsewhere"):
    hdf5.check(str(tmp_path / "a.h5"))


def test_groups_in_a_circle_are_looked_at_once(tmp_path):
  with h5py.File(weights(tmp_path / "a.h5"), "a") as file:
    file["conv/up"] = file["/"]
  hdf5.check(str(tmp_path / "a.h5"))


def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "a.h5")
  with pytest.raises(config_lib.UserError, match="is a named pipe"):
    hdf5.check(str(tmp_path / "a.h5"))
