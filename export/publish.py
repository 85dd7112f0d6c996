"""Files appear under their final names whole, after every gate, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from tfdam import config as config_lib

MANIFEST = "export.json"
# Raised when readers of an older manifest could not make sense of a new one.
FORMAT = 1
_STAGING = ".staging-"


@contextlib.contextmanager
def staging(folder: str) -> Iterator[str]:
  """A folder beside the final places, on the same disk; removed at the end.

  Args:
    folder: the export's, made if need be.

  Raises:
    config.UserError: nothing can be written there.
  """
  try:
    os.makedirs(folder, exist_ok=True)
    place = tempfile.mkdtemp(prefix=_STAGING, dir=folder)
  except OSError as error:
    raise config_lib.UserError(
      f"Cannot write to {folder} ({error.strerror}): the export lies in the run folder."
      " Make it writable, or set --workdir to a copy of it."
    ) from error
  try:
    yield place
  finally:
    shutil.rmtree(place, ignore_errors=True)


def sweep(folder: str) -> None:
  """Removes what exports that were killed left in staging."""
  for name in os.listdir(folder) if os.path.isdir(folder) else ():
    if name.startswith(_STAGING):
      shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def move(staged: str, folder: str) -> list[str]:
  """Renames staged files and version folders into place; never over a version.

  Args:
    staged: what `staging` gave.
    folder: the export's.

  Returns:
    Paths of all files, relative to `folder`, sorted.
  """
  moved = []
  for source, _, names in list(os.walk(staged)):
    relative = os.path.relpath(source, staged)
    if os.path.basename(source).isdecimal():  # a version appears in one move
      os.makedirs(os.path.dirname(os.path.join(folder, relative)), exist_ok=True)
      moved += _files_below(source, staged)
      os.rename(source, os.path.join(folder, relative))
      continue
    if not os.path.isdir(source):  # below a version that has gone
      continue
    os.makedirs(os.path.join(folder, relative), exist_ok=True)
    for name in names:
      os.replace(os.path.join(source, name), os.path.join(folder, relative, name))
      moved.append(os.path.normpath(os.path.join(relative, name)))
  return sorted(moved)


def _files_below(folder: str, base: str) -> list[str]:
  return [
    os.path.relpath(os.path.join(place, name), base)
    for place, _, names in os.walk(folder)
    for name in names
  ]


def digests(folder: str, files: list[str]) -> dict[str, dict[str, Any]]:
  """{file: {"sha256", "bytes"}} of files below a folder."""
  found = {}
  for name in files:
    path = os.path.join(folder, name)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
      while block := file.read(1 << 20):
        digest.update(block)
    found[name] = {"sha256": digest.hexdigest(), "bytes": os.path.getsize(path)}
  return found


def write_manifest(folder: str, manifest: Mapping[str, Any]) -> None:
  """Writes export.json in one move."""
  partial = os.path.join(folder, f"{MANIFEST}.partial")
  with open(partial, "w") as file:
    json.dump(manifest, file, indent=2)
    file.write("\n")
    file.flush()
    os.fsync(file.fileno())
  os.replace(partial, os.path.join(folder, MANIFEST))


def earlier(folder: str) -> dict[str, Any]:
  """The manifest that is there; empty if there is none that can be read."""
  try:
    with open(os.path.join(folder, MANIFEST)) as file:
      found = json.load(file)
  except (OSError, ValueError):
    return {}
  is_known = isinstance(found, dict) and found.get("format") == FORMAT
  return found if is_known else {}
