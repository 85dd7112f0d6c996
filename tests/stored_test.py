"""What tfdam has written itself is read back as it was written, or is called damaged."""

import errno
import json
import os
import re
from typing import TypedDict

import pytest

from tfdam import config as config_lib
from tfdam import stored


class Step(TypedDict):
  step: stored.Count
  names: list[str]
  rates: dict[str, stored.Number]


WHOLE = {"step": 3, "names": ["a"], "rates": {"loss": 0.5}}


def parse(content):
  text = content if isinstance(content, bytes) else json.dumps(content).encode()
  return stored.parse(text, Step)


def test_what_is_whole_is_read_with_what_a_later_version_added():
  assert parse(WHOLE) == WHOLE
  later = {**WHOLE, "rates": {"loss": 1}, "new": {"x": [1, None]}}
  assert parse(later) == later


def test_names_that_are_no_utf_8_are_read():
  assert parse({**WHOLE, "names": ["caf\udce9"]})["names"] == ["caf\udce9"]


@pytest.mark.parametrize("digits", [400, 1000, 5000])
def test_a_number_longer_than_any_float_is_damage(digits):
  content = b'{"step": 0, "names": [], "rates": {"a": 1%s}}' % (b"0" * digits)
  with pytest.raises(stored.DamagedError, match="digits"):
    parse(content)


def test_what_is_no_number_is_none_as_earlier_versions_wrote_it():
  content = b'{"step": 0, "names": [], "rates": {"a": NaN, "b": -Infinity, "c": 1e999}}'
  assert parse(content)["rates"] == {"a": None, "b": None, "c": None}


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"step": "3"}, "Expected `int`, got `str` at `.step`"),
    ({"step": 3.0}, "Expected `int`, got `float`"),
    ({"step": True}, "Expected `int`, got `bool`"),
    ({"step": None}, "Expected `int`, got `null`"),
    ({"step": -1}, "Expected `int` >= 0"),
    ({"step": [3]}, "Expected `int`, got `array`"),
    ({"names": {}}, "Expected `array`, got `object` at `.names`"),
    ({"names": ["a", 1]}, r"Expected `str`, got `int` at `.names\[1\]`"),
    ({"rates": {"a": "x"}}, "Expected `float | null`, got `str`"),
    ({"step": float("nan")}, "Expected `int`, got `null`"),
    ({"st\udc80p": 1}, "surrogates not allowed"),
  ],
)
def test_values_of_another_type_are_named(changes, said):
  with pytest.raises(stored.DamagedError, match=re.compile(said.replace("|", r"\|"))):
    parse({**WHOLE, **changes})


@pytest.mark.parametrize("key", list(WHOLE))
def test_a_missing_value_is_named(key):
  with pytest.raises(stored.DamagedError, match=f"missing required field `{key}`"):
    parse({name: value for name, value in WHOLE.items() if name != key})


@pytest.mark.parametrize(
  "content",
  [
    b"", b" ", b"{", b"null", b"[]", b"3", b'"x"', b"\xff\xfe", b"\0" * 100,
    json.dumps(WHOLE).encode()[:-1], json.dumps(WHOLE).encode() + b"}",
    json.dumps(WHOLE).encode().replace(b"a", b"\xe9"),
    b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000,
    b'{"step": 3, "new": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"step": ' + b"9" * 10_000 + b"}",
  ],
)  # fmt: skip
def test_what_is_no_such_json_is_damaged(content):
  with pytest.raises(stored.DamagedError, match="."):
    parse(content)


def test_every_cut_and_every_bit_is_read_or_told():
  whole = json.dumps(WHOLE).encode()
  contents = [whole[:end] for end in range(len(whole))]
  for i in range(len(whole)):
    contents += [whole[:i] + bytes([whole[i] ^ 1 << b]) + whole[i + 1 :] for b in range(8)]
  for content in contents:
    try:
      read = parse(content)
    except stored.DamagedError:
      continue
    assert isinstance(read["step"], int)


def test_reading_says_which_file_and_what_mends_it(tmp_path):
  path = str(tmp_path / "a.json")
  assert stored.read(path, Step, "Remove it.") is None
  (tmp_path / "a.json").write_text('{"step": {}}')
  with pytest.raises(
    config_lib.UserError, match=r"a.json is damaged \(Expected `int`.*\). Remove it."
  ):
    stored.read(path, Step, "Remove it.")
  os.remove(path)
  os.mkfifo(path)
  with pytest.raises(config_lib.UserError, match="a.json is a named pipe"):
    stored.read(path, Step, "Remove it.")


def test_a_folder_that_is_not_there_is_told_by_the_files_own_name(tmp_path):
  path = str(tmp_path / "gone" / "a.json")
  with pytest.raises(FileNotFoundError) as raised:
    stored.write_text(path, "1")
  assert raised.value.filename == path


def test_text_is_replaced_whole(tmp_path):
  path = tmp_path / "a.json"
  for text in ("1", "2"):
    stored.write_text(str(path), text)
    assert path.read_text() == text
  os.mkfifo(f"{path}.partial")  # opening it would wait for a reader
  stored.write_text(str(path), "3")
  assert path.read_text() == "3"
  assert os.listdir(tmp_path) == ["a.json"]


def test_a_write_that_fails_leaves_what_was_there_and_names_it(tmp_path):
  path = tmp_path / "a.json"
  path.write_text("old")

  def replace():
    with stored.replacing(str(path)) as partial:
      with open(partial, "w") as file:
        file.write("new")
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  with pytest.raises(OSError, match="No space left") as raised:
    replace()
  assert raised.value.filename == str(path)
  assert path.read_text() == "old"
  assert os.listdir(tmp_path) == ["a.json"]
