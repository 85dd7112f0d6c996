"""The manifest of an earlier export, and what stands in its place."""

import json
import os

import pytest

from export import publish
from tfdam import config as config_lib

WHOLE = {"format": 1, "model": {"name": "a"}, "files": {"x": {"bytes": 1}}, "new": [1]}


def test_a_whole_one_is_read_with_what_a_later_version_added(tmp_path):
  assert publish.earlier(str(tmp_path)) == {}
  publish.write_manifest(str(tmp_path), WHOLE)
  assert publish.earlier(str(tmp_path)) == WHOLE


@pytest.mark.parametrize(
  "content",
  [
    b"", b"{", b"null", b"[]", b"\xff", b"[" * 100_000, b'{"format": 2}', b'{"model": {}}',
    b'{"format": "1"}', b'{"format": 1, "model": []}', b'{"format": 1, "files": {"x": 3}}',
    b'{"format": 1, "files": null}', b'{"format": 1, "onnx": [1]}',
    b'{"format": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
  ],
)  # fmt: skip
def test_a_damaged_one_is_replaced_and_said(tmp_path, caplog, content):
  (tmp_path / "export.json").write_bytes(content)
  assert publish.earlier(str(tmp_path)) == {}
  assert "export.json is damaged" in caplog.text
  assert "It is replaced." in caplog.text


@pytest.mark.parametrize("name", ["export.json", ".lock"])
def test_what_is_no_file_in_its_place_is_told_before_the_work(tmp_path, name):
  for make, kind in ((os.mkdir, "a folder"), (os.mkfifo, "a named pipe")):
    make(tmp_path / name)
    with pytest.raises(config_lib.UserError, match=f"{name} is {kind}"):
      with publish.alone(str(tmp_path)):
        pass
    os.rmdir(tmp_path / name) if kind == "a folder" else os.remove(tmp_path / name)


def test_what_has_gone_is_dropped_whatever_its_names_are(tmp_path):
  manifest = {
    "format": 1, "files": {"a\0": {}, "\udcff": {}, "here": {}, "gone": {}},
    "onnx": {"float32": 3, "int8": {"file": [], "golden": "here"}},
    "saved_model": {"folder": {}},
  }  # fmt: skip
  (tmp_path / "here").write_text("")
  publish.drop_gone(str(tmp_path), manifest)
  assert json.dumps(manifest) == '{"format": 1, "files": {"here": {}}}'
