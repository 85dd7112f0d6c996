"""From a command's words to the program of this project that they start; its flags."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tfdam import commands, runtime
from tfdam import config as config_lib

# {Bazel's label: its module}.
LABELS = {
  # export/run.py is the target of its package's own name.
  "//export" if one.target == "export.run" else f"//{one.target.replace('.', ':')}":
  one.target for one in commands.COMMANDS.values()
}  # fmt: skip
# Packages of this project, as the first part of a module's name.
_OURS = ("tfdam", "export", "benchmarks", "tests")
# Of absl, and of every command.
_COMMON_FLAGS = ("verbosity", "help", "helpfull")
_LEFT_OPEN = "..."


class Call(NamedTuple):
  """A program of this project with its command line.

  Attributes:
    module: as in `python -m`; or the path of a program that is no module.
    in_car: whether it is to run where an export was copied to.
  """

  module: str
  arguments: tuple[str, ...]
  in_car: bool = False

  def values(self, name: str) -> list[str]:
    """What a flag is set to, as often as it is."""
    start = f"--{name}="
    return [word[len(start) :] for word in self.arguments if word.startswith(start)]

  def value(self, name: str, default: str = "") -> str:
    """What a flag is set to last."""
    return [default, *self.values(name)][-1]


def of_words(words: Sequence[str]) -> Call | None:
  """The program that a command starts; None: it is none of this project's.

  Raises:
    ValueError: it is typed as no program of this project is.
  """
  program, *rest = words
  if program == "./bazelw" and rest[:1] == ["run"]:
    return _of_bazel(rest[1:])
  if program == "tfdam" or program.startswith("tfdam-"):
    return _of_script(program, rest)
  if program in ("python", "python3") and rest[:1] == ["-m"] and rest[1:]:
    module = rest[1]
    return Call(module, tuple(rest[2:])) if module.split(".")[0] in _OURS else None
  if program in ("python", "python3") and rest and rest[0].endswith(".py"):
    # Without a folder it is a script that the page has a reader save.
    return _of_file(rest[0], rest[1:]) if "/" in rest[0] else None
  return None


def _of_bazel(rest: Sequence[str]) -> Call:
  label, *arguments = rest
  if label == "//...":
    raise ValueError("'./bazelw run' takes one program")
  if label not in LABELS:
    raise ValueError(
      f"'{label}' is no program (tfdam/commands.py).{config_lib.nearest(label, LABELS)}"
    )
  if arguments and arguments[0] != "--":
    raise ValueError(
      f"'{arguments[0]}' stands before the -- that Bazel's arguments end with"
    )
  return Call(LABELS[label], tuple(arguments[1:]))


def _of_script(program: str, rest: Sequence[str]) -> Call:
  if program == "tfdam":
    name, *rest = rest or ["--help"]
  else:
    name = program.partition("-")[2]
  command = commands.COMMANDS.get(name.replace("_", "-"))
  if command is None:
    hint = config_lib.nearest(name, commands.COMMANDS)
    raise ValueError(f"tfdam has no command '{name}'.{hint}")
  return Call(command.target, tuple(rest))


def _of_file(path: str, arguments: Sequence[str]) -> Call:
  if not os.path.isfile(os.path.join(runtime.PROJECT, path)):
    raise ValueError(f"there is no program {path}")
  # With --model it would be the checkout's; a car has the export that it lies in.
  in_car = path == "export/client_onnx.py" and not any("--model" in a for a in arguments)
  module = path[: -len(".py")].replace("/", ".") if path.startswith("export/") else path
  return Call(module, tuple(arguments), in_car)


def problems(call: Call) -> Iterator[str]:
  """Yields what is wrong with a command line before it is run."""
  own = own_flags(call.module)
  for word in call.arguments:
    if not word.startswith("--"):
      continue
    name, _, value = word[2:].partition("=")
    if name.startswith("config."):
      field = name[len("config.") :]
      if field not in config_lib.field_names():
        hint = config_lib.nearest(field, config_lib.field_names())
        yield f"there is no field '{field}' (tfdam/config.py).{hint}"
    elif name not in {*own, *_COMMON_FLAGS, *(f"no{flag}" for flag in own)}:
      yield f"{call.module} has no flag --{name}.{config_lib.nearest(name, own)}"
    elif name == "config" and value != _LEFT_OPEN and "/" in value:
      path = value.partition(":")[0]
      if not os.path.isfile(os.path.join(runtime.PROJECT, path)):
        yield f"there is no config file {path}"


@functools.cache
def own_flags(module: str) -> tuple[str, ...]:
  """The names of a program's flags, read from its code: two programs' would collide."""
  tree = ast.parse(open(_file(module), encoding="utf-8").read())
  found = []
  for node in ast.walk(tree):
    if not (isinstance(node, ast.Call) and node.args):
      continue
    first, function = node.args[0], node.func
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
      continue
    if isinstance(function, ast.Attribute) and function.attr.startswith("DEFINE_"):
      found.append(first.value)
    elif first.value.startswith("--"):  # of argparse
      found.append(first.value[2:])
  return tuple(found)


def _file(module: str) -> str:
  """Where a program's code is."""
  if module.endswith(".py"):
    return os.path.join(runtime.PROJECT, module)
  base = os.path.join(runtime.PROJECT, *module.split("."))
  for path in (f"{base}.py", os.path.join(base, "__main__.py")):
    if os.path.isfile(path):
      return path
  raise ValueError(f"there is no module {module}")
