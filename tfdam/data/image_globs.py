"""Finds the images that match a glob pattern, each once, and leaves none out silently.

`*`, `?` and `[...]` match within one name; `**` matches folders to any depth. Hidden names
match only if the pattern has the dot. Unlike with Python's glob:
- a folder is read only once, however many links or `**` lead to it; circular links are not
  followed;
- a folder that may not be read is an error;
- names match in either Unicode form, and their endings in any case (places.key).
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable

from absl import logging

from tfdam import files
from tfdam.data import places, scene_files


def find(folder: str, pattern: str) -> list[str]:
  """Returns the paths of the images below `folder` that match, sorted.

  Raises:
    config.UserError: one of the folders may not be listed.
  """
  *parents, last = (part for part in pattern.split("/") if part not in ("", "."))
  if last == "**":
    parents, last = [*parents, last], "*"
  on_disk = places.Finder()
  folders = [folder]
  for part in parents:
    folders = _once(_below(folders, part, on_disk))
  paths = [path for inner in _once(folders) for path in _matches(inner, last, on_disk)]
  return sorted(path for path in paths if scene_files.is_image(path))


def _below(folders: list[str], part: str, on_disk: places.Finder) -> Iterable[str]:
  for folder in folders:
    if part == "**":
      yield from (inner for inner, _ in files.walk(folder))
    else:
      yield from filter(files.is_folder, _matches(folder, part, on_disk))


def _matches(folder: str, part: str, on_disk: places.Finder) -> Iterable[str]:
  """Returns the paths in `folder`, of any kind, whose names match a part of a pattern."""
  if not glob.has_magic(part):
    path = on_disk(os.path.join(folder, part))
    return [path] if places.is_there(path) else []
  is_match = re.compile(fnmatch.translate(places.key(part))).match
  return [
    os.path.join(folder, name)
    for name in files.list_folder(folder)
    if is_match(places.key(name)) and (not name.startswith(".") or part.startswith("."))
  ]


def _once(folders: Iterable[str]) -> list[str]:
  """Returns each real folder once, by the path with the fewest links, or by the first."""
  chosen: dict[str, str] = {}
  for path in sorted(set(folders)):
    real = os.path.realpath(path)
    other = chosen.setdefault(real, path)
    if other != path:
      if _num_links(path) < _num_links(other):
        chosen[real], path = path, other
      logging.info("%s is %s by a link: left out.", files.shown(path), chosen[real])
  return sorted(chosen.values())


def _num_links(path: str) -> int:
  """Returns how many of a path's parts are links."""
  num_links, above = 0, ""
  while path != above:
    num_links += os.path.islink(path)
    path, above = os.path.dirname(path), path
  return num_links
