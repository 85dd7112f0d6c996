"""The text of --help: what a command does, examples, then its own flags."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType

from absl import flags

from tfdam import commands

_WIDEST = 92
# The column of flags' texts; a longer name has a line of its own.
_INDENT = 24
# Upper bounds from here on are technical limits, which do not help a reader.
_MANY = 1_000_000
_NOTE = "--helpfull lists the flags of the log and of other parts, too."


_SHORT = ("-h", "-?", "-help", "--help", "--helpshort")
_FULL = ("-helpfull", "--helpfull")


def is_asked_for(arguments: list[str]) -> bool:
  """Whether one of the arguments before a "--" asks for help."""
  return any(word in (*_SHORT, *_FULL) for word in _before_dashes(arguments))


def asked_for(arguments: list[str], module: ModuleType) -> str:
  """The help of a command: in full, where one of its arguments says so."""
  is_full = any(word in _FULL for word in _before_dashes(arguments))
  return text(module, is_full)


def _before_dashes(arguments: list[str]) -> list[str]:
  return arguments[: arguments.index("--")] if "--" in arguments else arguments


def columns() -> int:
  """How long lines of help are: as the terminal is wide, within reason."""
  return max(40, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))


def text(module: ModuleType, is_full: bool = False) -> str:
  """The help of the command that a module is, as wide as the terminal.

  Args:
    is_full: with the flags of other modules, below its own.
  """
  width = columns()
  purpose, examples = _parts(inspect.getdoc(module) or "")
  every = flags.FLAGS.flags_by_module_dict()
  own = every.get(_name(module), [])
  parts = [textwrap.fill(paragraph, width) for paragraph in purpose]
  if examples:
    parts.insert(1, "\n".join(["Examples:", *(_example(e, width) for e in examples)]))
  if own:
    parts.append("\n".join(["Flags:", *(_flag(flag, width) for flag in own)]))
  if not is_full:
    return "\n\n".join([*parts, textwrap.fill(_NOTE, width)])
  for name, others in sorted(every.items()):
    if name != _name(module):
      lines = [_flag(flag, width) for flag in others]
      parts.append("\n".join([f"Flags of {name}:", *lines]))
  return "\n\n".join(parts)


def _name(module: ModuleType) -> str:
  """A module's name in absl."""
  return sys.argv[0] if module.__name__ == "__main__" else module.__name__


def _parts(doc: str) -> tuple[list[str], list[str]]:
  """Splits a module's docstring into (paragraphs, command lines)."""
  paragraphs: list[str] = []
  examples: list[str] = []
  for part in doc.split("\n\n"):
    if not part.startswith("./bazelw run "):
      paragraphs.append(" ".join(part.split()))
      continue
    for line in part.splitlines():
      if line.startswith("./bazelw run "):
        examples.append(line)
      else:  # The rest of a long command line.
        examples[-1] += f" {line}"
  return paragraphs, [commands.as_typed(line) for line in examples]


def _example(line: str, width: int) -> str:
  """Indents a command line, and breaks it at spaces if it is too long."""
  broken = textwrap.wrap(
    line, width - 4, break_long_words=False, break_on_hyphens=False
  )  # 4: the indent and " \"
  return textwrap.indent(" \\\n  ".join(broken), "  ")


def _flag(flag: flags.Flag, width: int) -> str:
  head = f"  --[no]{flag.name}" if flag.boolean else f"  --{flag.name}={_value(flag)}"
  body = textwrap.wrap(" ".join(_said(flag)), width - _INDENT)
  if len(head) > _INDENT - 2 or not body:
    return "\n".join([head, *(" " * _INDENT + part for part in body)])
  first, *rest = body
  return "\n".join([f"{head:{_INDENT}}{first}", *(" " * _INDENT + part for part in rest)])


def _value(flag: flags.Flag) -> str:
  """The text after the equals sign: the default, or "..." if there is none."""
  default = flag.default
  if default is None or default == "" or default == []:
    return "..."
  return ",".join(map(str, default)) if isinstance(default, list) else str(default)


def _said(flag: flags.Flag) -> Iterator[str]:
  said = re.sub("^<[^>]*>: ", "", flag.help or "")  # absl puts an enum's values there
  yield re.sub(r";\s+repeat this option to specify a list of values$", "", said)
  parser = flag.parser
  if flag.boolean and flag.default:
    yield "(set by default)"
  values = getattr(parser, "enum_values", None)
  low, high = getattr(parser, "lower_bound", None), getattr(parser, "upper_bound", None)
  if values:
    yield f"({', '.join(map(str, values))})"
  elif low is not None and high is not None and high < _MANY:
    yield f"({low:,} to {high:,})"
