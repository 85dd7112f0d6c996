"""The commands' names, and how to type them in each way of running them."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
# The folder from which `import tfdam` works.
LIBRARY = os.path.dirname(_PACKAGE)
# An installed tfdam contains the project's folders configs/ and export/ (setup.py).
IS_INSTALLED = os.path.isdir(os.path.join(_PACKAGE, "configs"))
# The folder that contains configs/: the checkout, or the installed package.
PROJECT = _PACKAGE if IS_INSTALLED else LIBRARY


class Command(NamedTuple):
  """A command.

  Attributes:
    target: its module in a checkout, as in Bazel's labels and for `python -m`.
    does: one line for the list of commands.
    entry: the function of the module that runs it.
  """

  target: str
  does: str
  entry: str = "run"


# {name: command}; `tfdam NAME` and the script tfdam-NAME run it (pyproject.toml).
COMMANDS: Mapping[str, Command] = {
  "train": Command("tfdam.train", "trains on the source and adapts to the target"),
  "translate": Command(
    "tfdam.translate", "gives the source's images the target's look, as a data set"
  ),
  "evaluate": Command("tfdam.evaluate", "scores the networks of a run again"),
  "report": Command("tfdam.report", "writes the report of a run, or of several"),
  "export": Command("export.run", "turns a run's network into ONNX and a SavedModel"),
  "client-onnx": Command(
    "export.client_onnx", "labels pictures with an exported ONNX file", "main"
  ),
  "client-serving": Command(
    "export.client_serving", "has a TensorFlow Serving label pictures", "main"
  ),
  "gap": Command("tfdam.gap", "shows which layers of a network differ between domains"),
  "oracle": Command("tfdam.oracle", "says what a mismatch of labels alone may cost"),
  "source-or-not": Command(
    "tfdam.source_or_not", "plays the paper's game with a run's activations"
  ),
  "reproduce": Command("tfdam.reproduce", "runs a table or a figure of the paper"),
  "download": Command("tfdam.download", "fetches and checks official data sets"),
  "doctor": Command("tfdam.doctor", "says what works on this machine"),
}


def line(target: str, arguments: str = "") -> str:
  """The command line that runs a command in the same way as this program was run.

  Args:
    target: as in Command.
    arguments: the arguments, quoted for a shell.
  """
  if "BUILD_WORKSPACE_DIRECTORY" in os.environ:
    # export/run.py is the target //export:export.
    label = "//export" if target == "export.run" else f"//{target.replace('.', ':')}"
    return f"./bazelw run {label}" + (f" -- {arguments}" if arguments else "")
  # The script's name. Within the command `tfdam`, sys.argv[0] is "tfdam NAME".
  program = os.path.basename(sys.argv[0]).partition(" ")[0]
  name = next((name for name, one in COMMANDS.items() if one.target == target), "")
  if name and (program == "tfdam" or program.startswith("tfdam-")):
    return f"tfdam {name} {arguments}".rstrip()
  return f"python -m {module(target)} {arguments}".rstrip()


def module(target: str) -> str:
  """A command's module; when installed, those of export are inside the package."""
  is_moved = IS_INSTALLED and target.startswith("export.")
  return f"tfdam.{target}" if is_moved else target


def importable(target: str) -> str:
  """A command's module for import here: scripts have no checkout on Python's path."""
  inner = f"tfdam.{target}"
  is_moved = target.startswith("export.") and importlib.util.find_spec("tfdam.export")
  return inner if is_moved else target


def as_typed(bazel_line: str) -> str:
  """Converts `./bazelw run //X -- ARGUMENTS`, from a docstring, to the form of `line`."""
  found = re.fullmatch(r"\./bazelw run //([\w:]+)(?: -- (.*))?", bazel_line)
  assert found, bazel_line
  label, arguments = found.groups()
  target = "export.run" if label == "export" else label.replace(":", ".")
  return line(target, arguments or "")
