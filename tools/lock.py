"""Writes requirements/<stack>.lock and site.lock from pyproject.toml, with hashes.

uv run --no-project --with tomli tools/lock.py     # needs uv and a package index

Versions that a lock file already has are kept if they fit; --upgrade takes the newest.
"""

import argparse
import pathlib
import re
import subprocess

try:
  import tomllib
except ModuleNotFoundError:  # before Python 3.11
  import tomli as tomllib

PROJECT = pathlib.Path(__file__).resolve().parent.parent
# {stack: its oldest Python}.
STACKS = {"tf215": "3.9", "tf221": "3.10"}
COMMAND = "python tools/lock.py"


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
  options = parser.parse_args()
  project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
  for stack, python in STACKS.items():
    # One version for all Pythons if possible, for fewer combinations to test.
    more = ["--fork-strategy", "fewest"] if stack == "tf215" else []
    write(stack, python, requirements(project, stack), options.upgrade, *more)
  site = project["optional-dependencies"]["site"]
  write("site", max(STACKS.values()), site, options.upgrade)


def write(name, python, lines, is_upgrade, *more):
  """Writes one lock file.

  Args:
    name: of the file.
    python: the oldest Python that it is for.
    lines: the requirements.
    is_upgrade: whether versions that it already has may change.
    *more: arguments of uv.
  """
  lock = PROJECT / "requirements" / f"{name}.lock"
  subprocess.run(
    [
      *("uv", "pip", "compile", "-", "--output-file", str(lock), "--universal"),
      *("--python-version", python, "--generate-hashes", "--no-annotate", "--quiet"),
      *("--custom-compile-command", COMMAND, *["--upgrade"] * is_upgrade, *more),
    ],
    input="\n".join(lines),
    text=True,
    check=True,
  )
  print(lock.relative_to(PROJECT))


def requirements(project, stack):
  """Returns a stack's requirements for development, with its TensorFlow."""
  extras = project["optional-dependencies"]
  lines = [*project["dependencies"], *extras[stack], *extras["dev"]]
  lines = [line for line in lines if not line.startswith("tfdam[")]
  # The serving extra has a line for each stack, of which the marker is dropped.
  (tensorflow,) = (line for line in extras[stack] if line.startswith("tensorflow=="))
  release = re.match(r"tensorflow==(\d+\.\d+)\.", tensorflow).group(1)
  (serving,) = (line for line in extras["serving"] if f"=={release}." in line)
  return [*lines, serving.partition(";")[0]]


if __name__ == "__main__":
  main()
