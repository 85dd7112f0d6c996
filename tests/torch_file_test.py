"""Tensors out of PyTorch's files: both forms, views, and what is refused."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from tests import torch_files
from tfdam import torch_file

RANDOM = np.random.RandomState(0)
VALUES = {
  "weight": RANDOM.normal(size=(4, 3, 2, 1)).astype(np.float32),
  "half": RANDOM.normal(size=7).astype(np.float16),
  "count": np.array(12),
  "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture(params=torch_files.FORMS)
def write(request, tmp_path):
  return lambda values: torch_files.write(tmp_path / "net.pth", values, request.param)


def assert_same(found, wanted):
  assert list(found) == list(wanted)
  for name, array in wanted.items():
    assert found[name].dtype == array.dtype
    np.testing.assert_array_equal(found[name], array)


def test_tensors_come_as_they_were_written(write):
  assert_same(torch_file.read(write(VALUES)), VALUES)


def test_weights_among_other_things_are_found(write):
  path = write({"epoch": 7, "state_dict": VALUES, "scores": {"top1": 75.5}})
  assert_same(torch_file.read(path), VALUES)


def test_views_of_a_storage_are_followed(write):
  base = np.arange(24, dtype=np.float32)
  views = {"turned": base.reshape(4, 6).T, "later": base[10:20:3]}
  for view in views.values():
    assert view.base is base
  assert_same(torch_file.read(write(views)), views)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
  path = torch_files.write(tmp_path / "net.pth", {"wide": np.arange(12.0)})
  with zipfile.ZipFile(path) as archive:
    contents = {name: archive.read(name) for name in archive.namelist()}
  with zipfile.ZipFile(path, "w") as archive:
    for name, content in contents.items():
      archive.writestr(name, content[:-8] if "data/" in name else content)
  with pytest.raises(ValueError, match="reaches beyond its storage"):
    torch_file.read(path)


class Evil:
  def __reduce__(self):
    return os.system, ("true",)


@pytest.mark.parametrize("form", torch_files.FORMS)
def test_what_a_pickle_would_run_is_refused(form, tmp_path):
  path = torch_files.write(tmp_path / "evil.pth", {"weight": Evil()}, form)
  with pytest.raises(ValueError, match=r"holds (posix|os)\.system, which is no tensor"):
    torch_file.read(path)


def test_other_files_say_what_they_are_not(tmp_path):
  path = tmp_path / "other.pth"
  for content, said in (
    (b"", "."),
    (b"no pickle at all", "."),
    (pickle.dumps(1) + pickle.dumps(2), "does not begin as PyTorch's files do"),
    (pickle.dumps(print), "is no tensor"),
  ):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
      torch_file.read(str(path))
  torch_files.write(path, [1, 2])
  with pytest.raises(ValueError, match="no dictionary of tensors"):
    torch_file.read(str(path))
  with pytest.raises(FileNotFoundError):
    torch_file.read(str(tmp_path / "none.pth"))


def test_a_file_cut_off_anywhere_is_an_error(write):
  path = write(VALUES)
  with open(path, "rb") as file:
    content = file.read()
  for end in range(0, len(content), 7):
    with open(path, "wb") as file:
      file.write(content[:end])
    with pytest.raises(ValueError):
      torch_file.read(path)
