"""Makes the virtual environment that Bazel's programs run in, and prints its folder.

python3 tools/environment.py

./bazelw and Bazel's rule (tools/bazel/python_environment.bzl) call this. It looks for a
Python that fits, installs venv with apt if Debian has split it off, and installs the
stack's lock file with pip. Only complete environments are used, and later starts find them.
Errors that a user can mend are one line, with exit status 2.

  TFDAM_STACK    tf215 or tf221; default: tf215 on Python 3.9 to 3.11, else tf221
  TFDAM_PYTHON   the Python to take; default: python3, else the newest one that fits
  TFDAM_CACHE    where environments are kept; default: ~/.cache/tfdam

It runs on any Python from 3.6 on, without any packages.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# {stack: the first and the last Python with wheels for it}, as in tfdam/stack.py.
STACKS = {"tf215": ((3, 9), (3, 11)), "tf221": ((3, 10), (3, 13))}
NEWEST = (3, 13)
ARCHITECTURES = ("x86_64", "AMD64", "aarch64", "arm64")
# The size of an environment, with what pip unpacks while it installs.
NEEDED_GB = 4
_WHOLE = "whole"
_ASK = """
import importlib.util as u, json, platform, sys
print(json.dumps({"version": sys.version_info[:2], "full": platform.python_version(),
                  "executable": sys.executable, "bits": sys.maxsize > 2**32,
                  "venv": all(u.find_spec(m) for m in ("venv", "ensurepip"))}))
"""


class SetupError(Exception):
  """The set-up failed; the message says what came, what was expected, and the remedy."""


class Python:
  """A Python on this machine that works."""

  def __init__(self, name, facts):
    self.name = name
    self.executable = facts["executable"]
    self.version = tuple(facts["version"])
    self.full = facts["full"]
    self.is_64_bit = facts["bits"]
    self.has_venv = facts["venv"]

  def fits(self, stack):
    return self.is_64_bit and bool(stacks_of(self.version, stack))

  def __str__(self):
    return f"{self.name} is Python {self.full}"


def main():
  argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
  try:
    print(environment())
  except SetupError as error:
    print(f"Error: {error}", file=sys.stderr)
    sys.exit(2)
  except KeyboardInterrupt:
    sys.exit(130)


def environment():
  """Returns the folder of a complete environment, which is made if needed."""
  chosen = os.environ.get("TFDAM_STACK", "")
  if chosen and chosen not in STACKS:
    raise SetupError(
      "TFDAM_STACK is '{}'; expected {}. Unset it for this Python's default.".format(
        chosen, " or ".join(sorted(STACKS))
      )
    )
  if platform.machine() not in ARCHITECTURES:
    raise SetupError(
      f"This machine is {platform.machine()}; TensorFlow has wheels for x86-64 and 64-bit"
      " Arm alone: take another machine."
    )
  python = find_python(chosen)
  stack = stacks_of(python.version, chosen)[0]
  lock_file = os.path.join(PROJECT, "requirements", stack + ".lock")
  folder = os.path.join(root(), folder_name(stack, python, lock_file))
  if is_whole(folder):
    return folder
  try:
    os.makedirs(root(), exist_ok=True)
    with open(folder + ".lock", "w") as file:
      wait_for(file, folder)
      if not is_whole(folder):
        make(folder, stack, python, lock_file)
  except OSError as error:
    raise SetupError(
      f"{error.filename or root()} cannot be written ({error.strerror}). Set TFDAM_CACHE to"
      f" a folder that can, with {NEEDED_GB} GB free."
    ) from error
  return folder


def stacks_of(version, chosen=""):
  """Returns the stacks that fit a Python, its default first; only `chosen`, if set."""
  fitting = [s for s in sorted(STACKS) if STACKS[s][0] <= version <= STACKS[s][1]]
  return [s for s in fitting if chosen in ("", s)]


def root():
  """Returns the folder of all environments."""
  cache = os.path.expanduser(os.environ.get("TFDAM_CACHE") or "~/.cache/tfdam")
  if cache.split(os.sep)[0] == "~":
    raise SetupError(
      f"{cache} is in the home folder, and there is none: HOME is not set, and the system"
      " has no entry of this user. Set HOME, or TFDAM_CACHE to a folder for environments."
    )
  # Bazel starts programs in another folder.
  base = os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd())
  return os.path.join(base, cache, "environments")


def folder_name(stack, python, lock_file):
  """Returns a name that differs for other lock files and other Pythons."""
  digest = hashlib.sha256(os.path.realpath(python.executable).encode())
  with open(lock_file, "rb") as file:
    digest.update(file.read())
  version = ".".join(map(str, python.version))
  return f"{stack}-py{version}-{digest.hexdigest()[:12]}"


def is_whole(folder):
  """Whether an environment is complete, and its Python still works."""
  if not os.path.exists(os.path.join(folder, _WHOLE)):
    return False
  return ask(os.path.join(folder, "bin", "python")) is not None


def find_python(chosen):
  """Returns TFDAM_PYTHON if set, else `python3` if it fits, else the newest that fits."""
  named = os.environ.get("TFDAM_PYTHON", "")
  if named:
    python = ask(named)
    if not python:
      raise SetupError(
        f"TFDAM_PYTHON is '{named}', which is no Python that starts. Set it to one of"
        f" {pythons(chosen)}, such as python3.11."
      )
    if not python.fits(chosen):
      raise SetupError(misfit([python], chosen))
    return python
  oldest = min(STACKS[s][0][1] for s in STACKS if chosen in ("", s))
  names = ["python3"]
  names += [f"python3.{minor}" for minor in range(NEWEST[1], oldest - 1, -1)]
  found = list(filter(None, map(ask, names)))
  fitting = [python for python in found if python.fits(chosen)]
  if not fitting:
    raise SetupError(misfit(found, chosen))
  # Prefer a Python that needs nothing from apt.
  return next((python for python in fitting if python.has_venv), fitting[0])


def ask(name):
  """Returns the Python of this name; None if there is none, or a shim without one."""
  place = name if "/" in name else shutil.which(name, path=search_path())
  if not place:
    return None
  try:
    output = subprocess.run(
      [place, "-c", _ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
    ).stdout
    return Python(name, json.loads(output.decode()))
  except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
    return None


def search_path():
  """Returns PATH, with the folder in which `uv python install` puts programs."""
  path = os.environ.get("PATH", os.defpath)
  return os.pathsep.join([path, os.path.expanduser("~/.local/bin")])


def pythons(chosen):
  """Returns the Pythons that fit, as text."""
  wanted = [STACKS[s] for s in sorted(STACKS) if chosen in ("", s)]
  first, last = min(w[0] for w in wanted), max(w[1] for w in wanted)
  return f"Python 3.{first[1]} to 3.{last[1]}"


def misfit(found, chosen):
  """Returns the message for a machine without a Python that fits."""
  seen = "; ".join(str(p) for p in found) if found else "There is no python3"
  if found and all(python.version > NEWEST for python in found):
    seen += ", for which TensorFlow has no release yet"
  elif found and not any(python.is_64_bit for python in found):
    seen += ", built for 32 bits"
  stack = f" for TFDAM_STACK={chosen}" if chosen else ""
  advised = f"3.{STACKS[chosen][1][1] if chosen else NEWEST[1]}"
  return (
    f"{seen}; expected {pythons(chosen)}{stack}. Install one beside it ('uv python install"
    f" {advised}', or your system's package python{advised}), and start again; TFDAM_PYTHON"
    " names one that is not found by itself."
  )


def wait_for(file, folder):
  """Locks the file, so that only one of several starts makes the environment."""
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    say(f"another start makes {folder}: waiting for it")
    fcntl.flock(file, fcntl.LOCK_EX)


def make(folder, stack, python, lock_file):
  """Makes an environment; removes it if that fails."""
  # A killed start may have left an incomplete one.
  shutil.rmtree(folder, ignore_errors=True)
  if free_gb(folder) < NEEDED_GB:
    raise SetupError(full_disk(folder))
  if not python.has_venv:
    install_venv(python)
  say(f"making the environment of {stack} in {folder}")
  log = folder + ".log"
  try:
    run([python.executable, "-m", "venv", folder], log, folder, progress=False)
    say(f"installing requirements/{stack}.lock (700 MB, the first time)")
    pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "install"]
    if not sys.stderr.isatty():
      pip.append("--quiet")
    run([*pip, "--require-hashes", "-r", lock_file], log, folder, progress=True)
    # Last, because this file marks the environment as complete.
    with open(os.path.join(folder, _WHOLE), "w") as file:
      file.write(f"{stack}\n")
      file.flush()
      os.fsync(file.fileno())
  except BaseException:
    shutil.rmtree(folder, ignore_errors=True)
    raise
  os.remove(log)


def run(command, log, folder, progress):
  """Runs a step; shows its progress if asked to, and keeps its errors in a log."""
  variables = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    # Otherwise a user's own packages would count as installed.
    "PYTHONNOUSERSITE": "1",
  }
  with open(log, "a") as errors:
    status = subprocess.call(
      command,
      stdin=subprocess.DEVNULL,
      stdout=sys.stderr if progress else errors,
      stderr=errors,
      env=dict(os.environ, **variables),
    )
  if status:
    raise SetupError(explained(log, folder, os.path.basename(command[0]), status))


def explained(log, folder, program, status):
  """Returns why a step failed, from its log."""
  with open(log, errors="replace") as file:
    said = file.read()
  if re.search(r"No space left on device|Errno 28|Disk quota exceeded", said):
    return full_disk(folder)
  if "DO NOT MATCH THE HASHES" in said:
    packages = sorted(set(re.findall(r"^ +([\w.-]+==[\w.+-]+)", said, re.M)))
    which = ", ".join(packages) or "pip does not say which"
    return (
      f"The package index has other files than the lock file ({which}). Unset PIP_INDEX_URL"
      f" and PIP_FIND_LINKS, or name an index that has PyPI's files; {log} has pip's words."
    )
  if re.search(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError"
    r"|Max retries exceeded|Connection broken|Network is unreachable",
    said,
  ):
    index = os.environ.get("PIP_INDEX_URL") or "https://pypi.org"
    return (
      f"The package index {index} cannot be reached. Connect this machine, or name a mirror"
      f" in PIP_INDEX_URL or a proxy in HTTPS_PROXY, and start again; {log} says more."
    )
  errors = [line for line in said.splitlines() if line.startswith("ERROR")]
  last = (errors or said.strip().splitlines() or ["it said nothing"])[-1]
  return f"{program} failed with exit status {status}: {last[:300]} ({log} has the rest)."


def free_gb(folder):
  return shutil.disk_usage(os.path.dirname(folder)).free / 1e9


def full_disk(folder):
  return (
    f"The disk of {os.path.dirname(folder)} has {free_gb(folder):.1f} GB free, and an"
    f" environment needs {NEEDED_GB}. Make room there (old environments may go), or set"
    " TFDAM_CACHE to a folder on another disk, and start again."
  )


def install_venv(python):
  """Installs venv with apt, as Debian and Ubuntu have split it off Python."""
  package = "python{}.{}-venv".format(*python.version)
  by_hand = f"{python.name} has no venv module: install it (apt-get install {package})"
  as_root = [] if os.geteuid() == 0 else ["sudo"]
  if not shutil.which("apt-get") or (as_root and not shutil.which("sudo")):
    raise SetupError(by_hand + " and start again.")
  say("installing Debian's " + package)
  apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
  for command in ([*apt, "update"], [*apt, "install", "-y", package]):
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
      said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
      why = said[-1] if said else "it said nothing"
      raise SetupError(
        f"{by_hand} and start again; here '{' '.join(command)}' failed ({why})."
      )


def say(text):
  print("bazelw: " + text, file=sys.stderr)


if __name__ == "__main__":
  main()
