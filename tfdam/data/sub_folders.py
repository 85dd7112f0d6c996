"""Finds images that lie deeper than a data set reads, such as in one folder per camera."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tfdam import files

_SHOWN = 5


def names(folder: str) -> list[str]:
  """Returns the names of a folder's visible sub-folders, sorted; none without a folder."""
  if not os.path.isdir(folder):
    return []
  # scandir tells each entry's kind with its name, which saves a call per image.
  with os.scandir(folder) as entries:
    found = [entry.name for entry in entries if entry.is_dir()]
  return sorted(name for name in found if not name.startswith("."))


def images(folder: str, endings: tuple[str, ...]) -> dict[str, int]:
  """Returns {sub-folder, relative to `folder`: its number of images}, at any depth."""
  counts = {}
  for name in names(folder):
    for here, inside in files.walk(os.path.join(folder, name)):
      count = sum(i.lower().endswith(endings) and not i.startswith(".") for i in inside)
      if count:
        counts[os.path.relpath(here, folder)] = count
  return counts


def listing(counts: Mapping[str, int]) -> str:
  """Returns counts as text, such as "12 in front, 12 in left"."""
  shown = [f"{count:,} in {files.shown(name)}" for name, count in counts.items()]
  return ", ".join(shown[:_SHOWN] + ["..."] * (len(shown) > _SHOWN))
