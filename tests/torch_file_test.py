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


def read(path):
  with open(path, "rb") as file:
    return torch_file.read(file)


@pytest.fixture(params=torch_files.FORMS)
def write(request, tmp_path):
  return lambda values: torch_files.write(tmp_path / "net.pth", values, request.param)


def assert_same(found, wanted):
  assert list(found) == list(wanted)
  for name, array in wanted.items():
    assert found[name].dtype == array.dtype
    np.testing.assert_array_equal(found[name], array)


def test_tensors_come_as_they_were_written(write):
  assert_same(read(write(VALUES)), VALUES)


def test_weights_among_other_things_are_found(write):
  path = write({"epoch": 7, "state_dict": VALUES, "scores": {"top1": 75.5}})
  assert_same(read(path), VALUES)


def test_views_of_a_storage_are_followed(write):
  base = np.arange(24, dtype=np.float32)
  views = {"turned": base.reshape(4, 6).T, "later": base[10:20:3]}
  for view in views.values():
    assert view.base is base
  assert_same(read(write(views)), views)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
  path = torch_files.write(tmp_path / "net.pth", {"wide": np.arange(12.0)})
  repacked(path, lambda name, old: old[:-8] if "data/" in name else old)
  with pytest.raises(ValueError, match="reaches beyond its storage"):
    read(path)


def repacked(path, change, kind=zipfile.ZIP_STORED):
  """Writes an archive again, each member through `change(name, content)`."""
  with zipfile.ZipFile(path) as archive:
    contents = {name: archive.read(name) for name in archive.namelist()}
  with zipfile.ZipFile(path, "w", kind) as archive:
    for name, content in contents.items():
      archive.writestr(name, change(name, content))
  return path


def test_small_files_take_little_memory(tmp_path):
  """An archive that inflates, and a tensor of one value, repeated."""
  path = torch_files.write(tmp_path / "net.pth", {"wide": np.zeros(10**6)})
  repacked(path, lambda name, content: content, zipfile.ZIP_DEFLATED)
  with pytest.raises(ValueError, match="the archive is compressed"):
    read(path)
  repeated = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (10**9,), (0,))
  tensor = torch_file._Tensor(
    torch_file._Storage("0", repeated.dtype), 0, repeated.shape, repeated.strides
  )
  with pytest.raises(ValueError, match="larger than its storage"):
    torch_file._array(tensor, {"0": b"1234"})


def test_bytes_of_another_order_are_refused(tmp_path):
  path = torch_files.write(tmp_path / "net.pth", VALUES)
  with zipfile.ZipFile(path, "a") as archive:
    archive.writestr("archive/byteorder", "big")
  with pytest.raises(ValueError, match="another order of bytes"):
    read(path)


def test_types_that_numpy_lacks_say_what_to_save(tmp_path):
  path = torch_files.write(tmp_path / "net.pth", VALUES)
  # A name of the same length, as pickles have it.
  repacked(path, lambda _, content: content.replace(b"FloatStorage", b"Flo16Storage"))
  with pytest.raises(ValueError, match=r"values of torch\.Flo16Storage: save .*float32"):
    read(path)


def test_a_pickle_cannot_change_the_reader(tmp_path):
  with torch_files._torch() as torch:
    rebuild = torch._utils._rebuild_tensor_v2
    content = pickle.dumps(rebuild, 2)[:-1] + b"}X\x01\x00\x00\x00aK\x01sb."
  path = tmp_path / "net.pth"
  torch_files.write(path, VALUES)
  repacked(path, lambda name, old: content if name.endswith("data.pkl") else old)
  with pytest.raises(ValueError, match="no attribute"):
    read(path)


class Evil:
  def __reduce__(self):
    return os.system, ("true",)


@pytest.mark.parametrize("form", torch_files.FORMS)
def test_what_a_pickle_would_run_is_refused(form, tmp_path):
  path = torch_files.write(tmp_path / "evil.pth", {"weight": Evil()}, form)
  with pytest.raises(ValueError, match=r"holds (posix|os)\.system, which is no tensor"):
    read(path)


def test_other_files_say_what_they_are_not(tmp_path):
  path = tmp_path / "other.pth"
  for content, said in (
    (b"", "Ran out of input"),
    (b"no pickle at all", "pickle|unpickl|load key"),
    (pickle.dumps(1) + pickle.dumps(2), "does not begin as PyTorch's files do"),
    (pickle.dumps(print), "is no tensor"),
  ):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
      read(path)
  torch_files.write(path, [1, 2])
  with pytest.raises(ValueError, match="no dictionary of tensors"):
    read(path)


def test_a_file_cut_off_anywhere_is_an_error(write):
  path = write(VALUES)
  with open(path, "rb") as file:
    content = file.read()
  for end in range(0, len(content), 7):
    with open(path, "wb") as file:
      file.write(content[:end])
    with pytest.raises(ValueError):
      read(path)
