"""Writes requirements/<stack>.lock and site.lock from pyproject.toml, with hashes.

uv run --no-project --with tomli tools/lock.py     # needs uv and a package index

Versions that a lock file has already are kept where they fit; --upgrade takes the newest.
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
# {stack: the oldest Python of it}.
STACKS = {"tf215": "3.9", "tf221": "3.10"}
COMMAND = "python tools/lock.py"


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
  options = parser.parse_args()
  project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
  for stack, python in STACKS.items():
    # One version for all Pythons where there is one: fewer combinations to try.
    more = ["--fork-strategy", "fewest"] if stack == "tf215" else []
    write(stack, python, requirements(project, stack), options.upgrade, *more)
  site = project["optional-dependencies"]["site"]
  write("site", max(STACKS.values()), site, options.upgrade)


def write(name, python, lines, is_upgrade, *more):
  """One lock file.

  Args:
    python: the oldest one that it is for.
    lines: what is installed.
    is_upgrade: whether versions that it has already may change.
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
  """What a stack installs for development: the project's own lines, with its TensorFlow."""
  extras = project["optional-dependencies"]
  lines = [*project["dependencies"], *extras[stack], *extras["dev"]]
  lines = [line for line in lines if not line.startswith("tfdam[")]
  # Each extra that differs by stack says which by the Python that takes it by default.
  (tensorflow,) = (line for line in extras[stack] if line.startswith("tensorflow=="))
  release = re.match(r"tensorflow==(\d+\.\d+)\.", tensorflow).group(1)
  (serving,) = (line for line in extras["serving"] if f"=={release}." in line)
  return [*lines, serving.partition(";")[0]]


if __name__ == "__main__":
  main()
