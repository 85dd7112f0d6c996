"""Publishes files: they get their final names complete and after every gate, or never."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypedDict, cast

from absl import logging

from tfdam import config as config_lib
from tfdam import files, stored

MANIFEST = "export.json"
# Increased when readers of the older format could not read a new manifest.
FORMAT = 1
LOCK = ".lock"
# Files that label images without tfdam; they are copied beside the manifest.
FOR_THE_CAR = ("client_onnx.py", "requirements-car.txt")
_STAGING = ".staging-"


class _Format(TypedDict):
  format: Literal[1]  # FORMAT


class Manifest(_Format, total=False):
  """The entries of export.json that a later export reads."""

  model: dict[str, Any]
  onnx: dict[str, Any]
  saved_model: dict[str, Any]
  files: dict[str, dict[str, Any]]
  parity: dict[str, Any]
  sizes: dict[str, Any]


@contextlib.contextmanager
def staging(folder: str) -> Iterator[str]:
  """Makes a temporary folder on the same disk as the final files; removed at the end.

  Args:
    folder: of the export; made if it is missing.

  Raises:
    config.UserError: nothing can be written there.
  """
  try:
    os.makedirs(folder, exist_ok=True)
    place = tempfile.mkdtemp(prefix=_STAGING, dir=folder)
  except OSError as error:
    raise config_lib.UserError(unwritable(folder, error)) from error
  try:
    yield place
  finally:
    shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def alone(folder: str) -> Iterator[None]:
  """Locks the folder: a second export would delete the first one's staging folder.

  Raises:
    config.UserError: another export runs there, or nothing can be written.
  """
  try:
    os.makedirs(folder, exist_ok=True)
    for name in (LOCK, MANIFEST):
      files.check_regular(os.path.join(folder, name))
    lock = open(os.path.join(folder, LOCK), "w")
  except OSError as error:
    raise config_lib.UserError(unwritable(folder, error)) from error
  with lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise config_lib.UserError(
        f"Another export runs in {folder}. Wait for it, or set another --workdir."
      ) from error
    except OSError:
      logging.warning("%s takes no locks: let no second export run there.", folder)
    yield


def unwritable(folder: str, error: Exception) -> str:
  """Returns the message for a folder that cannot be written.

  Args:
    folder: of the export.
    error: an OSError, or TensorFlow's.
  """
  # For a rename, its destination and not the staged file.
  names = (getattr(error, name, None) for name in ("filename2", "filename"))
  place = next(filter(None, names), folder)
  reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
  if os.path.abspath(place).startswith(os.path.abspath(folder)):
    remedy = (
      "the export lies in the run folder. Make it writable, with room, or set --workdir to"
      " a copy of it."
    )
  else:
    remedy = "an export needs temporary files. Make room, or set $TMPDIR to another folder."
  return f"Cannot write to {place} ({reason}): {remedy}"


def add_client(staged: str) -> None:
  """Copies the client into an export, which is then all that a car needs."""
  here = os.path.dirname(os.path.abspath(__file__))
  for name in FOR_THE_CAR:
    shutil.copyfile(os.path.join(here, name), os.path.join(staged, name))


def sweep(folder: str, staged: str) -> None:
  """Removes the staging folders of killed exports."""
  for name in os.listdir(folder):
    if name.startswith(_STAGING) and name != os.path.basename(staged):
      shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def move(staged: str, folder: str) -> None:
  """Renames staged files and version folders into place; a version is never replaced.

  Args:
    staged: the folder from `staging`.
    folder: of the export.
  """
  for source, _, names in list(os.walk(staged)):
    relative = os.path.relpath(source, staged)
    parts = relative.split(os.sep)  # saved_model/<name>/<version>
    if len(parts) == 3 and parts[0] == "saved_model":  # a version appears in one move
      os.makedirs(os.path.dirname(os.path.join(folder, relative)), exist_ok=True)
      os.rename(source, os.path.join(folder, relative))
      continue
    if not os.path.isdir(source):  # part of a version that was moved
      continue
    os.makedirs(os.path.join(folder, relative), exist_ok=True)
    for name in names:
      os.replace(os.path.join(source, name), os.path.join(folder, relative, name))


def remove_unlisted(folder: str, names: Iterable[str], manifest: Mapping[str, Any]) -> None:
  """Removes files of earlier exports that the manifest no longer lists.

  Args:
    folder: of the export.
    names: the files that exports write there; others belong to the user.
    manifest: the new one.
  """
  for name in names:
    path = os.path.join(folder, name)
    if name not in manifest["files"] and os.path.isfile(path):
      os.remove(path)


def drop_gone(folder: str, manifest: dict[str, Any]) -> None:
  """Deletes from an earlier manifest the files that were removed by hand."""

  def is_gone(name: Any) -> bool:
    return not os.path.exists(os.path.join(folder, str(name)))

  listed, onnx = manifest.get("files", {}), manifest.get("onnx", {})
  for name in list(filter(is_gone, listed)):
    del listed[name]
  for precision, entry in list(onnx.items()):
    names = [entry.get(n) for n in ("file", "golden")] if isinstance(entry, dict) else [""]
    if any(not name or is_gone(name) for name in names):
      del onnx[precision]
  if is_gone(manifest.get("saved_model", {}).get("folder", "")):
    del manifest["saved_model"]
  if not onnx:
    manifest.pop("onnx", None)


def digests(folder: str) -> dict[str, dict[str, Any]]:
  """Returns {file, relative to `folder`: {"sha256", "bytes"}} for all files, sorted."""
  paths = [
    os.path.relpath(os.path.join(place, name), folder)
    for place, _, names in os.walk(folder)
    for name in names
  ]
  found = {}
  for name in sorted(paths):
    path = os.path.join(folder, name)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
      while block := file.read(1 << 20):
        digest.update(block)
    found[name] = {"sha256": digest.hexdigest(), "bytes": os.path.getsize(path)}
  return found


def write_manifest(folder: str, manifest: Mapping[str, Any]) -> None:
  """Writes export.json in one move."""
  text = json.dumps(manifest, indent=2, allow_nan=False)
  stored.write_text(os.path.join(folder, MANIFEST), f"{text}\n")


def earlier(folder: str) -> dict[str, Any]:
  """Returns the existing manifest; empty if there is none that can be read."""
  try:
    found = stored.read(os.path.join(folder, MANIFEST), Manifest, "It is replaced.")
    return cast(dict[str, Any], found or {})
  except config_lib.UserError as error:
    logging.warning("%s", error)
    return {}
