"""Finds files and folders in the folder of a data set.

If a file lies where a folder is expected, that is an error and not the same as no folder,
which often means "no labels". Names may be in either Unicode form (macOS separates letters
and their marks, NFD; others combine them, NFC), and their endings in any case.
"""

from __future__ import annotations

import os
import unicodedata

from tfdam import config as config_lib
from tfdam import files


def is_there(path: str) -> bool:
  """Whether anything has this name, of whatever kind, even a broken link.

  Raises:
    config.UserError: its folder may not be searched, or the name is not valid.
  """
  try:
    os.lstat(path)
  except (FileNotFoundError, NotADirectoryError):
    return False
  except (OSError, ValueError) as error:
    raise config_lib.UserError(
      f"Whether {path} is there cannot be seen"
      f" ({getattr(error, 'strerror', error)}). Give this user the right to its folder."
    ) from error
  return True


def is_folder(path: str) -> bool:
  """Whether `path` is a folder.

  Raises:
    config.UserError: it is something else, such as a file or a broken link.
  """
  if files.is_folder(path):
    return True
  if is_there(path):
    kind = "a link to nothing" if os.path.islink(path) else "no folder"
    raise config_lib.UserError(
      f"{path} is {kind}; expected a folder. Mend it or take it away."
    )
  return False


def find(folder: str, *names: str) -> str | None:
  """Returns the path of the first of `names` that `folder` holds; None if it has none.

  The path may be of any kind: reading it says whether it is a file (files.open_regular).
  """
  paths = (os.path.join(folder, name) for name in names)
  return next((path for path in paths if is_there(path)), None)


def composed(name: str) -> str:
  """Returns a name in the Unicode form in which names are compared, NFC."""
  return unicodedata.normalize("NFC", name)


def key(name: str) -> str:
  """Returns a key that is equal for all spellings of a file's name or path."""
  stem, ending = os.path.splitext(composed(name))
  return stem + ending.lower()


class Finder:
  """Finds paths as they are spelled on the disk.

  Folders are listed only for names that do not exist as given, and only once.
  """

  def __init__(self):
    self._names: dict[str, dict[str, str]] = {}

  def __call__(self, path: str) -> str:
    """Returns `path` as the disk spells it; parts that do not exist stay as given.

    Raises:
      config.UserError: one of its folders may not be listed, or is no folder.
    """
    if is_there(path):
      return path
    folder, name = os.path.split(path)
    if folder == path or not name:
      return path
    folder = self(folder)
    return os.path.join(folder, self._listed(folder).get(key(name), name))

  def _listed(self, folder: str) -> dict[str, str]:
    if folder not in self._names:
      names = files.list_folder(folder) if is_folder(folder) else []
      self._names[folder] = {key(name): name for name in reversed(names)}
    return self._names[folder]
