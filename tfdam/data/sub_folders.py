"""Images that lie deeper than a data set looks for them, one folder a camera, say."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tfdam import files

_SHOWN = 5


def names(folder: str) -> list[str]:
  """Names of a folder's sub-folders, sorted, without hidden ones; none if it is none."""
  if not os.path.isdir(folder):
    return []
  # Their kind comes with their names: no look at each of thousands of images.
  with os.scandir(folder) as entries:
    found = [entry.name for entry in entries if entry.is_dir()]
  return sorted(name for name in found if not name.startswith("."))


def images(folder: str, endings: tuple[str, ...]) -> dict[str, int]:
  """{sub-folder, relative to `folder`: how many images lie in it}, at any depth."""
  counts = {}
  for name in names(folder):
    for here, inside in files.walk(os.path.join(folder, name)):
      count = sum(i.lower().endswith(endings) and not i.startswith(".") for i in inside)
      if count:
        counts[os.path.relpath(here, folder)] = count
  return counts


def listing(counts: Mapping[str, int]) -> str:
  """As text: "12 in front, 12 in left"."""
  shown = [f"{count:,} in {files.shown(name)}" for name, count in counts.items()]
  return ", ".join(shown[:_SHOWN] + ["..."] * (len(shown) > _SHOWN))
