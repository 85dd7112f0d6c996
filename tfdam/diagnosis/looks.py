"""Quick checks of the machine, none of which changes it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from packaging import requirements

from tfdam import cluster as cluster_lib
from tfdam import config as config_lib
from tfdam import runtime, stack

PACKAGES = (
  "tensorflow", "keras", "tf-keras", "tensorflow-addons", "tf2onnx", "onnx",
  "onnxruntime-gpu", "onnxruntime", "numpy", "protobuf", "absl-py",
)  # fmt: skip
_TIMEOUT_S = 10.0  # for a program to print its version


def cores() -> int:
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def memory() -> int:
  try:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  except (AttributeError, OSError, ValueError):
    return 0


def instructions() -> frozenset[str]:
  try:
    with open("/proc/cpuinfo") as file:
      lines = [line for line in file if line.startswith(("flags", "Features"))]
  except OSError:
    return frozenset()
  return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()


def installed() -> dict[str, str]:
  found = {}
  for name in PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def stack_here() -> str:
  """Returns the installed stack, or else the one that this Python would get."""
  found = stack.installed()
  return found if found in stack.STACKS else stack.default(sys.version_info[:2])


def pins(stack_name: str) -> dict[str, str]:
  """Returns {package: the version that tfdam asks for}, from the lock or from metadata.

  The lock comes first, as the metadata of an editable install may be out of date.
  """
  wanted = [requirements.Requirement(line) for line in _lock_lines(stack_name)]
  if not wanted:
    try:
      lines = importlib.metadata.requires("tfdam") or []
    except importlib.metadata.PackageNotFoundError:
      lines = []
    wanted = [requirements.Requirement(line) for line in lines]
  return {
    one.name: str(one.specifier)
    for one in wanted
    if one.name in PACKAGES and _counts(one, stack_name)
  }


def _counts(one: requirements.Requirement, stack_name: str) -> bool:
  """Whether a requirement is for this machine and stack, which is an extra in metadata."""
  return not one.marker or any(one.marker.evaluate({"extra": e}) for e in ("", stack_name))


def _lock_lines(stack_name: str) -> Iterator[str]:
  """Returns a lock file's requirements, without their hashes."""
  path = os.path.join(runtime.PROJECT, "requirements", f"{stack_name}.lock")
  try:
    with open(path) as file:
      lines = file.read().splitlines()
  except OSError:
    return
  for line in lines:
    if line[:1].isalnum():
      yield line.rstrip(" \\")


def gpus() -> tuple[tuple[str, ...], str]:
  """Returns what nvidia-smi lists, and its error."""
  program = shutil.which("nvidia-smi")
  if not program:
    return (), ""
  query = "--query-gpu=name,driver_version,memory.total"
  output, error = _ask([program, query, "--format=csv,noheader"])
  return tuple(output.splitlines()), error


def bazel() -> dict[str, Any]:
  """Finds the Bazel that ./bazelw would take; the order of search is the same."""
  named = os.environ.get("TFDAM_BAZEL", "")
  # A name with a folder is relative to the user's current folder, as in a shell.
  place = runtime.resolve_path(named) if os.sep in named else named
  names = [place] if named else ["bazelisk", "bazel", "bazel-bootstrap"]
  program = next(filter(None, map(shutil.which, names)), "")
  is_root = hasattr(os, "geteuid") and os.geteuid() == 0
  can_install = shutil.which("apt-get") and (is_root or shutil.which("sudo"))
  version, error = _bazel_version(program) if program else ("", "")
  return {
    "program": program,
    "version": version,
    "error": error,
    "named": named,
    "can_install": bool(can_install),
  }


def _bazel_version(program: str) -> tuple[str, str]:
  """Returns a Bazel's version and its error; one of them is empty."""
  if os.path.basename(program).startswith("bazelisk"):
    # Not asked: bazelisk might download a Bazel to answer.
    return os.environ.get("USE_BAZEL_VERSION") or "that of .bazeliskrc", ""
  output, error = _ask([program, "--version"])
  version = output.partition(" ")[2]
  if version == "no_version":  # Debian's build does not know its own version
    version, _ = _ask(["dpkg-query", "-W", "-f", "${Version}", "bazel-bootstrap"])
  return version, error


def _ask(command: Sequence[str]) -> tuple[str, str]:
  """Returns what a program prints, and its error; one of them is empty."""
  workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY", runtime.PROJECT)
  try:
    done = subprocess.run(
      command, cwd=workspace, capture_output=True, text=True, timeout=_TIMEOUT_S
    )
  except (OSError, subprocess.TimeoutExpired) as error:
    return "", f"{os.path.basename(command[0])}: {type(error).__name__}"
  said = (done.stdout.strip() or done.stderr.strip()).splitlines()
  if done.returncode:
    return "", said[-1] if said else f"exit status {done.returncode}"
  return done.stdout.strip(), ""


def data_sets(root: str) -> tuple[dict[str, tuple[str, str]] | None, str]:
  """Returns Facts.data_sets and Facts.data_error."""
  if not os.path.isdir(root):
    return None, ""
  try:
    # Imported here because it needs NumPy and other packages, which may be broken.
    from tfdam import data
  except Exception as error:
    return {}, f"{type(error).__name__}: {error}"
  found = {}
  for name, module in data.DATASETS.items():
    # Skipped: a user's own sets, which can have any name; drawn sets, which have no files;
    # and parts of a set, which have the whole set's folder.
    if module.INFO.own or not module.INFO.files or module.INFO.folder:
      continue
    _, place = data.locate(name, root)
    if os.path.isdir(place):
      found[name] = _data_set(data, name, root)
  return found, ""


def _data_set(data: Any, name: str, root: str) -> tuple[str, str]:
  """Returns what is missing or "", and where to get it, judged by files' names alone."""
  module, place = data.locate(name, root)
  info = module.INFO
  unlabelled = [split for split in info.files if not module.has_labels(place, split)]
  missing, files = "", info.label_files or info.files
  try:
    data.check_files(config_lib.Data(source=name, target=name), root)
  except config_lib.UserError:
    missing, files = "images", info.files
  if unlabelled and not missing:
    missing = f"{' and '.join(unlabelled)} labels"
  expected = "; ".join(dict.fromkeys(files.values()))
  remedy = f"Expected {expected}, from {info.where}."
  if info.downloads:
    remedy = f"Run {runtime.command('tfdam.download', name)}. {remedy}"
  return missing, remedy if missing else ""


def folder(path: str) -> dict[str, Any]:
  """Checks a folder that exists, or that is made when it is needed."""
  there = path
  while not os.path.isdir(there) and os.path.dirname(there) != there:
    there = os.path.dirname(there)
  return {
    "path": path,
    "writable": os.access(there, os.W_OK | os.X_OK),
    "free": shutil.disk_usage(there).free,
  }


def cache() -> dict[str, Any]:
  """Checks the cache that runs share, and measures its size."""
  try:
    path = runtime.cache_root()
  except config_lib.UserError:  # there is no home folder
    return {"path": "~/.cache/tfdam", "writable": False, "free": 0, "size": 0}
  return {**folder(path), "size": size(path)}


def size(path: str) -> int:
  """Returns the size of all files below a folder, in bytes."""
  total = 0
  for at, _, names in os.walk(path):
    for name in names:
      with contextlib.suppress(OSError):  # a run may have removed it just now
        total += os.lstat(os.path.join(at, name)).st_size
  return total


def cluster() -> tuple[str, str]:
  """Returns a description of TF_CONFIG, and what is wrong with it; both may be empty."""
  try:
    workers = cluster_lib.from_environment()
  except config_lib.UserError as error:
    return "", str(error)
  if not workers:
    return "", ""
  # Without addresses: the report may be published.
  task = workers.tasks[workers.index]
  return f"{len(workers.tasks)} workers, of which this is {task}", ""
