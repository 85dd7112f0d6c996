"""What lies where in the folder of a data set.

Something of another kind in the place of a file or folder is refused, never taken for
nothing: nothing often means "no labels". And a name may be written in another Unicode form
(macOS takes letters and their marks apart, NFD; others keep them together, NFC), its ending
in another case.
"""

from __future__ import annotations

import os
import unicodedata

from tfdam import config as config_lib
from tfdam import files


def is_there(path: str) -> bool:
  """Whether anything has this name, of whatever kind, a broken link too.

  Raises:
    config.UserError: that cannot be known.
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
  """Whether there is such a folder.

  Raises:
    config.UserError: something else has its name.
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
  """The path of the first of `names` that `folder` holds, of whatever kind.

  Whoever reads a file says if it is none (files.open_regular).
  """
  paths = (os.path.join(folder, name) for name in names)
  return next((path for path in paths if is_there(path)), None)


def composed(name: str) -> str:
  """A name in the one of Unicode's forms that all are compared in."""
  return unicodedata.normalize("NFC", name)


def key(name: str) -> str:
  """A file's name or path, equal for all ways of writing it."""
  stem, ending = os.path.splitext(composed(name))
  return stem + ending.lower()


class Finder:
  """Finds paths as they are written on the disk.

  Folders are listed once, and only for names that are not there as they stand.
  """

  def __init__(self):
    self._names: dict[str, dict[str, str]] = {}

  def __call__(self, path: str) -> str:
    """`path` as the disk has it; as it is, as far as there is none.

    Raises:
      config.UserError: a folder on the way may not be listed, or is none.
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
