"""Safe access to users' files: special or unreadable ones, link cycles, full disks, names.

Imports no TensorFlow.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from typing import BinaryIO

import rich.markup
from absl import logging

from tfdam import config as config_lib

_KINDS = {
  stat.S_IFDIR: "a folder",
  stat.S_IFIFO: "a named pipe",
  stat.S_IFSOCK: "a socket",
  stat.S_IFCHR: "a character device",
  stat.S_IFBLK: "a block device",
}
# {the system's error number: what to do about it}.
_REMEDIES = {
  errno.ENOSPC: "Make room there, or choose a folder on another disk.",
  errno.EDQUOT: "Make room there, or choose a folder on another disk.",
  errno.EFBIG: "Raise the limit of a file's size (ulimit -f), or choose another disk.",
  errno.EROFS: "Choose a folder that can be written.",
  errno.EACCES: "Give this user the right to it, or choose another.",
  errno.EPERM: "Give this user the right to it, or choose another.",
  errno.EIO: "Is the disk, or the network to it, in order?",
  errno.ESTALE: "Is the disk, or the network to it, in order?",
  errno.EMFILE: "Raise the limit of open files (ulimit -n).",
  errno.ENFILE: "End other programs.",
  errno.ENAMETOOLONG: "Choose a shorter name.",
  errno.ELOOP: "Mend the links, which lead back to themselves.",
}
# Matches messages of writers that leave out the system's reason.
_SAYS_FULL = re.compile(r"\d+ requested and \d+ written")


def check_regular(path: str) -> None:
  """Raises config.UserError if `path` exists and is not a regular file.

  Links are followed. This is checked because reading a pipe or a device may never end.
  """
  try:
    mode = os.stat(path).st_mode
  except ValueError as error:  # A NUL character.
    raise config_lib.UserError(
      f"'{shown(path)}' cannot be a path ({error}); expected the path of a file."
    ) from error
  except OSError:
    return  # Opening it will raise the reason.
  _check_mode(path, mode)


def open_regular(path: str) -> BinaryIO:
  """Opens a file to read its bytes; never waits for the other end of a pipe.

  Raises:
    config.UserError: it is a folder, a pipe, a socket or a device.
    OSError: it cannot be opened.
  """
  check_regular(path)
  # Check again after opening: the file may have been replaced in between.
  file = os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
  try:
    _check_mode(path, os.fstat(file.fileno()).st_mode)
  except config_lib.UserError:
    file.close()
    raise
  return file


def list_folder(path: str) -> list[str]:
  """The names in a folder, sorted.

  Raises:
    config.UserError: it may not be listed, or is not a folder.
  """
  try:
    return sorted(os.listdir(path))
  except OSError as error:
    raise config_lib.UserError(
      f"The folder {shown(path)} cannot be listed: {error.strerror}."
      f" {_remedy(error.errno, 'Expected a folder that this user may read.')}"
    ) from error


def is_folder(path: str) -> bool:
  """Whether `path` is a folder, or a link to one.

  Raises:
    config.UserError: this user has no right to find out.
  """
  try:
    return stat.S_ISDIR(os.stat(path).st_mode)
  except ValueError:  # A NUL character.
    return False
  except OSError as error:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
      return False
    raise config_lib.UserError(
      f"{shown(path)} cannot be accessed: {error.strerror}."
      f" {_remedy(error.errno, 'Expected a path that this user may read.')}"
    ) from error


def walk(folder: str) -> Iterator[tuple[str, list[str]]]:
  """Yields `folder` and every folder below it, each with the sorted names of its files.

  Links to folders are followed last. So each real folder comes once, under its own path if
  that is below `folder`. Folders that contain `folder`, and hidden folders, are skipped.

  Raises:
    config.UserError: a folder may not be listed.
  """
  waiting, links = [folder], list[str]()
  seen, above = set(), os.path.realpath(folder)
  while above != os.path.dirname(above):
    above = os.path.dirname(above)
    status = os.stat(above)
    seen.add((status.st_dev, status.st_ino))
  while waiting or links:
    is_link = not waiting
    here = waiting.pop() if waiting else links.pop(0)
    status = os.stat(here)
    if (status.st_dev, status.st_ino) in seen:
      if is_link:
        logging.info("%s leads to a folder that is read already: left out.", shown(here))
      continue
    seen.add((status.st_dev, status.st_ino))
    names, folders = [], []
    for name in list_folder(here):
      path = os.path.join(here, name)
      if not is_folder(path):
        names.append(name)
      elif name.startswith("."):
        continue
      elif os.path.islink(path):
        links.append(path)
      else:
        folders.append(path)
    waiting += reversed(folders)
    yield here, names


def shown(name: str) -> str:
  """Any name as one printable line; control characters and non-UTF-8 bytes are escaped."""
  return "".join(map(_shown_character, name))


def markup(name: str) -> str:
  """The same for rich, which would take words in brackets for markup."""
  return rich.markup.escape(shown(name))


def problem(error: BaseException) -> str | None:
  """Explains an error of the file system, and says what to do.

  Args:
    error: an OSError, or what TensorFlow, NumPy or HDF5 raised instead of one.

  Returns:
    Two sentences; None for an error of another kind.
  """
  number, path = _number(error), _path(error)
  if number is None and not (isinstance(error, OSError) and path):
    return None
  reason = os.strerror(number) if number else str(error)
  place = f"{shown(path)}: {reason}" if path else reason
  return f"{place}. {_remedy(number, 'Mend that, or choose another.')}"


def _check_mode(path: str, mode: int) -> None:
  if not stat.S_ISREG(mode):
    kind = _KINDS.get(stat.S_IFMT(mode), "no file")
    raise config_lib.UserError(
      f"{shown(path)} is {kind}; expected a file. Put a file in its place."
    )


def _remedy(number: int | None, otherwise: str) -> str:
  return _REMEDIES.get(number or 0, otherwise)


def _number(error: BaseException) -> int | None:
  """The system's error number, which TensorFlow and HDF5 give only in their text."""
  is_tensorflows = hasattr(error, "error_code") and hasattr(error, "op")
  if not isinstance(error, OSError) and not is_tensorflows:
    return None
  if isinstance(error, OSError) and error.errno:
    return error.errno
  said = str(error)
  if _SAYS_FULL.search(said):
    return errno.ENOSPC
  return next((number for number in _REMEDIES if os.strerror(number) in said), None)


def _path(error: BaseException) -> str:
  """The path of the file, if the error has it; else ""."""
  if isinstance(error, OSError):
    name = error.filename2 or error.filename
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else ""
  # "{{function_node ...}} /run/checkpoints/x; No space left on device [Op:SaveV2]"
  # Names of devices have slashes too: "..._device_/job:localhost/replica:0".
  found = re.search(r"(?:^|\s)(/[^;]*); ", str(error))
  return found.group(1) if found else ""


def _shown_character(character: str) -> str:
  if character.isprintable():
    return character
  if "\udc80" <= character <= "\udcff":  # Python's form of a byte that is not UTF-8.
    return f"\\x{ord(character) - 0xDC00:02x}"
  return character.encode("unicode_escape", "surrogatepass").decode()


def digest(path: str) -> str:
  """The SHA-256 digest of a file, in hexadecimal."""
  found = hashlib.sha256()
  with open(path, "rb") as file:
    while block := file.read(1 << 20):
      found.update(block)
  return found.hexdigest()
