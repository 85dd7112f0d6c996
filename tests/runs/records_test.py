"""A run's metrics: lines that can be read again, whatever has become of the file."""

import os

import pytest
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.runs import records, run_folder


def make(path):
  return records.Records(run_folder.RunFolder(str(path)))


def test_damaged_lines_are_left_out_and_counted(tmp_path, caplog):
  make(tmp_path).write("adapted", 5, {"loss/a": 1.0}, "p")
  path = tmp_path / "metrics.jsonl"
  whole = path.read_bytes()
  damaged = [
    b"\n", b"null\n", b"3\n", b"[]\n", b"{}\n", b"\xff\n", whole.replace(b"5", b"[]"),
    whole.replace(b"adapted", b"\xe9"), b"[" * 100_000 + b"\n", whole.replace(b"1.0", b"}"),
  ]  # fmt: skip
  path.write_bytes(b"".join(damaged) + whole + whole[:-5])  # a kill cut the last one
  record = make(tmp_path)
  assert [line["step"] for line in record.read("adapted", "p")] == [5]
  assert f"metrics.jsonl: {len(damaged)} damaged lines are left out (line 1" in caplog.text
  record.forget_after("adapted", 5)
  assert path.read_bytes() == whole
  caplog.clear()
  assert record.has("adapted", "p")
  assert caplog.text == ""


def test_a_pipe_in_the_files_place_is_told(tmp_path):
  os.mkfifo(tmp_path / "metrics.jsonl")
  for use in (lambda r: r.read("adapted", "p"), lambda r: r.forget_after("adapted", 1)):
    with pytest.raises(config_lib.UserError, match="metrics.jsonl is a named pipe"):
      use(make(tmp_path))


def test_a_pipe_among_tensorboards_files_is_told(tmp_path):
  make(tmp_path).write("adapted", 5, {"loss/a": 1.0}, "p")
  (path,) = (tmp_path / "summaries" / "adapted").glob("*tfevents*")
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(config_lib.UserError, match="tfevents.* is a named pipe"):
    make(tmp_path).forget_after("adapted", 1)


def test_what_tensorboards_files_hold_beside_events_is_left_out(tmp_path):
  make(tmp_path).write("adapted", 5, {"loss/a": 1.0}, "p")
  (path,) = (tmp_path / "summaries" / "adapted").glob("*tfevents*")
  whole = path.read_bytes()
  for content in (b"", b"x" * 100, whole[:-1], whole + b"\0" * 100, whole[50:]):
    path.write_bytes(content)
    make(tmp_path).forget_after("adapted", -1)


@pytest.mark.parametrize("name", ["summaries", "summaries/adapted"])
def test_a_file_where_tensorboards_folder_must_be_is_told(tmp_path, name):
  place = tmp_path / name
  place.parent.mkdir(exist_ok=True)
  place.write_text("")
  with pytest.raises((config_lib.UserError, OSError), match="summaries"):
    make(tmp_path).write("adapted", 5, {"loss/a": 1.0}, "p")


def test_a_point_that_was_not_written_is_not_in_the_lines_either(tmp_path, monkeypatch):
  def refuse(*_, **__):
    raise tf.errors.ResourceExhaustedError(None, None, "/s/x; No space left on device")

  record = make(tmp_path)
  monkeypatch.setattr(tf.summary, "scalar", refuse)
  with pytest.raises(tf.errors.ResourceExhaustedError):
    record.write("adapted", 5, {"loss/a": 1.0}, "p")
  assert not record.has("adapted", "p")
