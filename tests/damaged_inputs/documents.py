"""Damage inside JSON and YAML: values of another type, and texts that trip parsers."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

# Texts that stand for a value in JSON.
OTHER_VALUES: dict[str, str] = {
  "null": "null", "true": "true", "minus_one": "-1", "zero": "0", "half": "0.5",
  "huge": "1e300", "beyond_int64": "9" * 25, "thousand_digits": "9" * 1000, "nan": "NaN",
  "infinite": "-Infinity", "empty_text": '""', "text": '"text"', "number_as_text": '"7"',
  "newline": '"a\\nb"', "nul": '"a\\u0000b"', "surrogate": '"\\ud800"',
  "brackets": '"[red]a[/red]"', "long_text": '"' + "a" * 5000 + '"',
  "up": '"../../../etc/passwd"', "absolute": '"/dev/zero"', "empty_list": "[]",
  "list": "[1, 2]", "list_of_null": "[null]", "empty_object": "{}",
  "object": '{"a": {"b": []}}',
}  # fmt: skip

_MARK = "\u2302 the value"

Path = tuple[Any, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
  """Yields where every value of a document stands; of a list the first two and the last."""
  if path:
    yield path
  if isinstance(value, dict):
    keys: list[Any] = list(value)
  elif isinstance(value, list):
    keys = sorted({0, 1, len(value) - 1} & set(range(len(value))))
  else:
    return
  for key in keys:
    yield from paths(value[key], (*path, key))


def changed(document: Any, path: Path, text: str) -> bytes:
  """A document as JSON, with a text in the place of one value."""
  other = copy.deepcopy(document)
  _parent(other, path)[path[-1]] = _MARK
  return json.dumps(other, indent=2).replace(json.dumps(_MARK), text).encode()


def without(document: Any, path: Path) -> bytes:
  """A document as JSON that lacks one value."""
  other = copy.deepcopy(document)
  del _parent(other, path)[path[-1]]
  return json.dumps(other, indent=2).encode()


def shown(path: Path) -> str:
  return ".".join(map(str, path)).replace("/", "_")


def _parent(document: Any, path: Path) -> Any:
  for key in path[:-1]:
    document = document[key]
  return document


_DEEP = b"[" * 50_000 + b"]" * 50_000
# {name: (function of the file's bytes, whether it means the same)}.
JSON_TEXTS: dict[str, tuple[Any, bool]] = {
  "compact": (lambda c: json.dumps(json.loads(c)).encode(), True),
  "spaces_around": (lambda c: b"\n\n " + c + b"\n \n", True),
  "windows_lines": (lambda c: c.replace(b"\n", b"\r\n"), True),
  "sorted": (lambda c: json.dumps(json.loads(c), sort_keys=True).encode(), False),
  "byte_order_mark": (lambda c: b"\xef\xbb\xbf" + c, False),
  "utf_16": (lambda c: c.decode().encode("utf-16"), False),
  "latin_1": (lambda c: c.replace(b'": ', b'\xe9": ', 1), False),
  "bad_byte_at_end": (lambda c: c + b"\xff\n", False),
  "nul_inside": (lambda c: c.replace(b",", b",\0", 1), False),
  "nul_only": (lambda c: bytes(len(c)), False),
  "deep_lists": (lambda c: b"[" * 100_000 + b"]" * 100_000, False),
  "deep_objects": (lambda c: b'{"a":' * 100_000 + b"1" + b"}" * 100_000, False),
  "deep_unclosed": (lambda c: b"[" * 1_000_000, False),
  "deep_below_a_key": (lambda c: b'{"deep": ' + _DEEP + b"," + c.lstrip()[1:], False),
  "null": (lambda c: b"null", False), "number": (lambda c: b"7", False),
  "text": (lambda c: b'"text"', False), "list": (lambda c: b"[" + c + b"]", False),
  "empty_list": (lambda c: b"[]", False), "empty_object": (lambda c: b"{}", False),
  "long_number": (lambda c: b"9" * 100_000, False),
  "two_documents": (lambda c: c + c, False),
  "trailing_comma": (lambda c: c.rstrip().rstrip(b"}") + b",}", False),
  "single_quotes": (lambda c: c.replace(b'"', b"'"), False),
  "comment": (lambda c: b"// a comment\n" + c, False),
  "only_spaces": (lambda c: b" \n", False),
}  # fmt: skip


def twice_the_same_key(content: bytes, rng: random.Random) -> bytes:
  """The first key again, with another value, at the end of the object."""
  key = next(iter(json.loads(content)))
  return content.rstrip()[:-1].rstrip() + f', {json.dumps(key)}: "again"}}\n'.encode()


# Entries of a dataset.yaml and what may stand there instead; {} is the rest of the file.
YAML_VALUES: dict[str, str] = {
  "null": "", "tilde": "~", "true": "yes", "number": "7", "float": "1.5", "huge": "1e400",
  "octal": "010", "sexagesimal": "1:30", "date": "2001-12-14", "no_date": "2001-99-99",
  "timestamp": "!!timestamp x", "bool": "!!bool x", "int": "!!int abc",
  "float_tag": "!!float x", "binary": "!!binary '*'", "binary_good": "!!binary aGVsbG8=",
  "set": "!!set {a, b}", "omap": "!!omap [a: 1]", "pairs": "!!pairs [a: 1]",
  "python": "!!python/object/apply:os.system ['true']",
  "python_name": "!!python/name:os.system", "unknown_tag": "!own x", "list": "[a, b]",
  "empty_list": "[]", "mapping": "{a: b}", "empty_mapping": "{}", "list_key": "{[a]: b}",
  "mapping_key": "{{a: b}: c}", "nul": '"a\\0b"', "surrogate": '"\\ud800"',
  "newline": '"a\\nb"', "escape": '"a\\e[31mb"', "up": "../x", "absolute": "/etc/passwd",
  "device": "/dev/zero", "braces": "'{split'", "fields": "'{split}{split}{nothing}'",
  "stars": "'**/**/*.png'", "all": "'**'", "bracket": "'[a'", "backslash": "'a\\b'",
  "empty_text": "''", "space": "' '", "long": "'" + "a/" * 3000 + "'",
  "undefined_alias": "*a", "recursive": "&a [*a]", "recursive_mapping": "&a {b: *a}",
  "merge": "{<<: 7}", "merge_text": "{<<: text}", "folded": ">\n  a\n  b", "tab": "\ta",
  "document": "\n---\na", "unclosed": "{a: b", "unclosed_quote": "'a",
  "deep": "[" * 400 + "]" * 400, "deeper": "[" * 20_000,
  "deep_mapping": "{a: " * 400 + "1" + "}" * 400, "percent": "%a", "at": "@a",
  "backtick": "`a`",
}  # fmt: skip

_BOMB = "".join(
  f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 9)}]\n" for i in range(10)
)
YAML_TEXTS: dict[str, tuple[Any, bool]] = {
  "comments": (lambda c: b"# mine\n" + c + b"# end\n", True),
  "document_marks": (lambda c: b"---\n" + c + b"...\n", True),
  "windows_lines": (lambda c: c.replace(b"\n", b"\r\n"), True),
  "as_json": (lambda c: json.dumps(_load(c)).encode(), False),
  "byte_order_mark": (lambda c: b"\xef\xbb\xbf" + c, False),
  "utf_16": (lambda c: c.decode().encode("utf-16"), False),
  "latin_1": (lambda c: c + b"# caf\xe9\n", False),
  "nul_inside": (lambda c: c.replace(b"\n", b"\0\n", 1), False),
  "escape_inside": (lambda c: c + b"# \x1b[31m\n", False),
  "tabs": (lambda c: c.replace(b"  ", b"\t"), False),
  "two_documents": (lambda c: c + b"---\n" + c, False),
  "alias_bomb": (lambda c: _BOMB.encode() + c, False),
  "alias_bomb_in_ids": (lambda c: c + b"ignored: &a [1, 2]\n" + _BOMB.encode(), False),
  "billion_keys": (lambda c: c + b"".join(b"k%d: 1\n" % i for i in range(20_000)), False),
  "long_line": (lambda c: c + b"# " + b"a" * 2_000_000 + b"\n", False),
  "twice_a_key": (lambda c: c + b"images: again/*.png\n", False),
  "unknown_key": (lambda c: c + b"imagse: x\n", False),
  "number_as_key": (lambda c: c + b"7: x\n", False),
  "null_as_key": (lambda c: c + b"~: x\n", False),
  "date_as_key": (lambda c: c + b"2001-12-14: x\n", False),
  "deep_at_top": (lambda c: b"[" * 5000, False),
  "list_at_top": (lambda c: b"- a\n- b\n", False),
  "number_at_top": (lambda c: b"7\n", False), "null_at_top": (lambda c: b"~\n", False),
  "directive": (lambda c: b"%YAML 9.9\n---\n" + c, False),
  "tag_directive": (lambda c: b"%TAG ! tag:x,2000:\n---\n" + c, False),
}  # fmt: skip


def yaml_with(content: bytes, key: str, value: str) -> bytes:
  """A dataset.yaml whose entry of one key has another value; a new key comes last."""
  lines, kept, skips = content.decode().splitlines(), [], False
  for line in lines:
    if not line.startswith(" "):
      skips = line.startswith(f"{key}:")
    if not skips:
      kept.append(line)
  return "\n".join([*kept, f"{key}: {value}", ""]).encode()


def _load(content: bytes) -> Any:
  import yaml

  return yaml.safe_load(content)
