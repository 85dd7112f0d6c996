"""HDF5 files that another library will read; see tests/data/claims_test.py, too."""

import io
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


def test_bfloat16_and_truth_values_are_numbers_and_rows_of_fields_are_none(tmp_path):
  with h5py.File(weights(tmp_path / "a.h5"), "a") as file:
    file["half"] = np.zeros(3, "V2")  # as Keras 3 stores bfloat16
    file["mask"] = np.zeros(3, bool)
  hdf5.check(str(tmp_path / "a.h5"))
  for name, kind in {"rows": [("a", "f4")], "texts": h5py.string_dtype()}.items():
    with h5py.File(tmp_path / "a.h5", "a") as file:
      file.create_dataset(name, (3,), kind)
    with pytest.raises(ValueError, match=f"{name} is .* no numbers"):
      hdf5.check(str(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "a.h5", "a") as file:
      del file[name]


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


def test_groups_are_not_followed_without_end(tmp_path):
  with h5py.File(weights(tmp_path / "a.h5"), "a") as file:
    group = file
    for _ in range(2_000):  # by name, each of them is found from the top: minutes
      group = group.create_group("a")
  with pytest.raises(ValueError, match="nested deeper than 200"):
    hdf5.check(str(tmp_path / "a.h5"))


def test_a_heap_that_hdf5_would_read_for_ever(tmp_path):
  path = weights(tmp_path / "a.h5")
  with h5py.File(path, "a") as file:
    file.attrs["config"] = "a text of any length" * 9
  hdf5.check(str(path))
  content = path.read_bytes()
  heap = content.index(b"GCOL")
  path.write_bytes(content[: heap + 16] + bytes(99) + content[heap + 115 :])
  with pytest.raises(ValueError, match=f"at byte {heap:,} has free space of no length"):
    hdf5.check(str(path))
  with pytest.raises(ValueError, match="free space of no length"):
    hdf5.check_stream("a.zip", io.BytesIO(path.read_bytes()))


def test_a_heap_is_found_wherever_it_lies(tmp_path, monkeypatch):
  heap = b"GCOL\1\0\0\0" + (64).to_bytes(8, "little") + bytes(48)
  for before in (0, 1, 5, 8, 9, 15, 16, 17, 99):
    for block in (8, 9, 16, 64):
      monkeypatch.setattr(hdf5, "_BLOCK", block)
      with pytest.raises(ValueError, match=f"at byte {before} has"):
        hdf5._check_heaps(io.BytesIO(bytes(before) + heap))
    assert hdf5._check_heaps(io.BytesIO(bytes(before) + heap[:20])) == before + 20


def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "a.h5")
  with pytest.raises(config_lib.UserError, match="is a named pipe"):
    hdf5.check(str(tmp_path / "a.h5"))
