"""Builds wheel and sdist, installs the wheel in empty environments, and uses it there.

python tools/check_package.py python3.11 python3.13

It needs a package index, three gigabytes of disk, and some minutes for each environment.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent
_IMPORT = (
  "import importlib.util as u, tfdam; print(tfdam.__version__, tfdam.__file__);"
  " assert not u.find_spec('configs') and not u.find_spec('export'); tfdam.Network"
)
# The default run, shortened to seconds, with all of its parts.
_RUN = (
  "train", "--workdir=runs/tiny", "--config.source.steps=6", "--config.adapt.steps=6",
  "--config.adapt.warmup_steps=0", "--config.data.source_limit=16",
  "--config.data.target_limit=16",
)  # fmt: skip
_COMMANDS = (
  _RUN,
  ("evaluate", "--workdir=runs/tiny", "--stage=adapted"),
  ("report", "--workdir=runs/tiny"),
  ("export", "--workdir=runs/tiny", "--metric_images=20"),
  ("client-onnx", "--model=runs/tiny", "--image=runs/tiny/pictures/panels.png"),
  ("reproduce", "--experiment=table1", "--dry_run"),
)


def main(pythons: list[str]) -> None:
  with tempfile.TemporaryDirectory(prefix="tfdam-package-") as folder:
    place = pathlib.Path(folder)
    wheel = build(pythons[0], place)
    for python in pythons:
      with tempfile.TemporaryDirectory(dir=place) as own:
        check(python, wheel, pathlib.Path(own))


def build(python: str, place: pathlib.Path) -> pathlib.Path:
  """Builds both packages, checks them with twine, and returns the wheel."""
  tools = environment(python, place / "tools", "build", "twine")
  run(tools / "python", "-m", "build", "--outdir", place / "dist", PROJECT, cwd=place)
  packages = sorted((place / "dist").iterdir())
  run(tools / "python", "-m", "twine", "check", "--strict", *packages, cwd=place)
  (wheel,) = (path for path in packages if path.suffix == ".whl")
  return wheel


def check(python: str, wheel: pathlib.Path, place: pathlib.Path) -> None:
  """Installs the wheel and uses it, in a project that has folders named like tfdam's."""
  scripts = environment(python, place / "environment", str(wheel))
  user = place / "project"
  for name in ("configs", "export"):
    (user / name).mkdir(parents=True)
  run(scripts / "python", "-I", "-c", _IMPORT, cwd=user)
  names = sorted(path for path in scripts.iterdir() if re.match("tfdam(-|$)", path.name))
  for script in names:
    run(script, "--help", cwd=user)
  for command in _COMMANDS:
    run(scripts / "tfdam", *command, cwd=user)
  # As in a car, without tfdam.
  client = ("runs/tiny/export/client_onnx.py", "--image=runs/tiny/pictures/panels.png")
  run(scripts / "python", "-I", *client, cwd=user)


def environment(python: str, folder: pathlib.Path, *packages: str) -> pathlib.Path:
  """Makes an environment with some packages, and returns its folder of programs."""
  run(python, "-m", "venv", folder, cwd=folder.parent, make=True)
  run(folder / "bin" / "python", "-m", "pip", "install", "-q", *packages, cwd=folder)
  return folder / "bin"


def run(*command: str | os.PathLike[str], cwd: pathlib.Path, make: bool = False) -> None:
  """Runs a program, and prints how long it took; exits if it fails."""
  if make:
    cwd.mkdir(parents=True, exist_ok=True)
  # Variables of the shell must not lead to a checkout.
  hidden = ("PYTHONPATH", "TFDAM_DATA", "TFDAM_STACK")
  variables = {name: value for name, value in os.environ.items() if name not in hidden}
  variables["TFDAM_CACHE"] = str(cwd / "cache")
  start = time.monotonic()
  done = subprocess.run(
    command, cwd=cwd, env=variables, text=True, stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT, check=False,
  )  # fmt: skip
  shown = " ".join(map(str, command))
  print(f"{time.monotonic() - start:6.1f} s, exit status {done.returncode}: {shown}")
  if done.returncode:
    sys.exit(done.stdout)


if __name__ == "__main__":
  main(sys.argv[1:] or [sys.executable])
