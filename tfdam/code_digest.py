"""Digests of code that change with what it does, not with what it says."""

from __future__ import annotations

import ast
import glob
import hashlib
import io
import os
import tokenize
from collections.abc import Iterable

_WITH_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def of(root: str, patterns: Iterable[str]) -> str:
  """Returns a digest of Python files.

  Comments, docstrings and the messages of errors do not count.

  Args:
    root: a folder.
    patterns: of paths below it.
  """
  paths = sorted(
    path for pattern in patterns for path in glob.glob(os.path.join(root, pattern))
  )
  digest = hashlib.sha256()
  for path in paths:
    with open(path, encoding="utf-8") as file:
      digest.update(os.path.relpath(path, root).encode())
      digest.update(bare(file.read()).encode())
  return digest.hexdigest()


def bare(code: str) -> str:
  """Returns a module's text without comments, docstrings and messages of errors.

  The text itself is used because a syntax tree differs between versions of Python.
  """
  # In bytes, as positions in a syntax tree are.
  lines = [line.encode() for line in code.splitlines()]
  kept: set[int] = set()  # lines whose ends are inside of strings, and count as they are
  for token in tokenize.generate_tokens(io.StringIO(code).readline):
    number, column = token.start
    if token.type == tokenize.COMMENT:
      before = lines[number - 1].decode()[:column]
      lines[number - 1] = before.encode()
    elif token.end[0] > number:
      kept.update(range(number - 1, token.end[0] - 1))
  left_out: list[tuple[ast.stmt, bytes]] = []  # with what takes their places
  for node in ast.walk(ast.parse(code)):
    if isinstance(node, _WITH_DOCSTRINGS) and ast.get_docstring(node) is not None:
      left_out.append((node.body[0], b""))
    elif isinstance(node, ast.Raise):
      left_out.append((node, b"raise"))
  # From behind, so that positions before stay true.
  for found, instead in sorted(left_out, key=lambda each: _place(each[0]), reverse=True):
    _blank(lines, kept, found, instead)
  return "".join(
    f"{line.decode()}\n" if number in kept else f"{line.decode().rstrip()}\n"
    for number, line in enumerate(lines)
    if number in kept or line.strip()
  )


def _place(node: ast.stmt) -> tuple[int, int]:
  return node.lineno, node.col_offset


def _blank(lines: list[bytes], kept: set[int], node: ast.stmt, instead: bytes) -> None:
  """Replaces a statement, and nothing before or behind it on its lines."""
  assert node.end_lineno is not None
  assert node.end_col_offset is not None
  first, last = node.lineno - 1, node.end_lineno - 1
  behind = lines[last][node.end_col_offset :]
  lines[first] = lines[first][: node.col_offset] + instead + behind
  for number in range(first + 1, last + 1):
    lines[number] = b""
  kept.difference_update(range(first, last + 1))
