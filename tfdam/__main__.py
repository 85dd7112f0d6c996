"""The command `tfdam`: lists the commands, and runs one of them.

tfdam train --workdir=runs/streets
python -m tfdam train --workdir=runs/streets
"""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Sequence

import tfdam
from tfdam import commands, files, usage
from tfdam import config as config_lib


def main(argv: Sequence[str] | None = None) -> int | None:
  """Runs a command; returns its exit status, or None if the command returns none."""
  program, *rest = sys.argv if argv is None else argv
  if rest[:1] == ["help"] and len(rest) > 1:
    rest = [rest[1], "--help"]
  if not rest or rest[0] in ("-h", "-help", "--help", "help"):
    print(listing())
    return 0
  name, arguments = rest[0], rest[1:]
  if name == "--version":
    print(f"tfdam {tfdam.__version__}")
    return 0
  command = commands.COMMANDS.get(name.replace("_", "-"))
  if command is None:
    shown, hint = files.shown(name), config_lib.nearest(name, commands.COMMANDS)
    said = f"There is no command '{shown}'.{hint} tfdam --help lists them."
    print(f"Error: {said}", file=sys.stderr)
    return 2
  # absl's flags, error messages and suggested commands are based on sys.argv.
  sys.argv[:] = [f"{program} {name}", *arguments]
  module = importlib.import_module(commands.importable(command.target))
  return getattr(module, command.entry)()


def listing() -> str:
  """All commands, a line each, or more on a narrow terminal."""
  width, indent = usage.columns(), 4 + max(map(len, commands.COMMANDS))
  lines = [
    textwrap.fill(
      f"  {name:{indent - 4}}  {one.does}", width, subsequent_indent=" " * indent
    )
    for name, one in commands.COMMANDS.items()
  ]
  return "\n".join(
    [
      "usage: tfdam COMMAND [FLAGS]",
      "",
      textwrap.fill(
        "Deep activation matching: adapts a network to a domain without labels.", width
      ),
      "",
      *lines,
      "",
      textwrap.fill(
        "tfdam COMMAND --help lists a command's flags. Without any, tfdam train adapts a"
        " network from one kind of drawn streets to another: some minutes on two cores.",
        width,
      ),
    ]
  )


if __name__ == "__main__":
  sys.exit(main())
