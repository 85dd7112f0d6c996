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
  lines = code.splitlines()
  for node in ast.walk(ast.parse(code)):
    if isinstance(node, _WITH_DOCSTRINGS) and ast.get_docstring(node) is not None:
      text = node.body[0]
      assert text.end_lineno is not None
      for number in range(text.lineno - 1, text.end_lineno):
        lines[number] = ""
    if isinstance(node, ast.Raise):
      assert node.end_lineno is not None
      first = node.lineno - 1
      lines[first] = lines[first].encode()[: node.col_offset].decode() + "raise"
      for number in range(first + 1, node.end_lineno):
        lines[number] = ""
  for token in tokenize.generate_tokens(io.StringIO(code).readline):
    number, column = token.start
    if token.type == tokenize.COMMENT and lines[number - 1]:
      lines[number - 1] = lines[number - 1][:column]
  kept = (line.rstrip() for line in lines)
  return "".join(f"{line}\n" for line in kept if line)
