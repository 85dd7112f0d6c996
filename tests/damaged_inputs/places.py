"""What may stand in a file's place, or a folder's, that is none."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import socket
from collections.abc import Callable

Replacement = Callable[[pathlib.Path, random.Random], None]

_OTHER_TYPES = (
  b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
  b"\x7fELF\x02\x01\x01" + bytes(57),
  b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
  b"PK\x03\x04\x14" + bytes(40),
  b"\x89HDF\r\n\x1a\n" + bytes(80),
  b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93.",  # a pickle
  b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1234\n",
)


def missing(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)


def empty(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  path.touch()


def of_another_type(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  path.write_bytes(rng.choice(_OTHER_TYPES))


def directory(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  path.mkdir()


def fifo(path: pathlib.Path, rng: random.Random) -> None:
  """A pipe without a writer: who opens it waits for ever."""
  _remove(path)
  os.mkfifo(path)


def unix_socket(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  with socket.socket(socket.AF_UNIX) as bound:
    # Its path may have 107 bytes; a folder's descriptor makes any short.
    folder = os.open(path.parent, os.O_RDONLY)
    bound.bind(f"/proc/self/fd/{folder}/s")
    os.rename(path.parent / "s", path)
    os.close(folder)


def endless_device(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  path.symlink_to("/dev/zero")


def link_to_itself(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  path.symlink_to(path.name)


def link_to_nothing(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  path.symlink_to("gone")


def link_to_folder(path: pathlib.Path, rng: random.Random) -> None:
  _remove(path)
  path.symlink_to(path.parent)


def unreadable(path: pathlib.Path, rng: random.Random) -> None:
  path.chmod(0)


def a_link(path: pathlib.Path, rng: random.Random) -> None:
  """The file itself, kept elsewhere: nothing is wrong."""
  kept = path.parent / f".kept-{path.name}"
  path.rename(kept)
  path.symlink_to(kept.name)


# None of these is a file with the content that is looked for.
REPLACEMENTS: dict[str, Replacement] = {
  function.__name__: function
  for function in (
    missing, empty, of_another_type, directory, fifo, unix_socket, endless_device,
    link_to_itself, link_to_nothing, link_to_folder, unreadable,
  )
}  # fmt: skip


def unlistable(path: pathlib.Path, rng: random.Random) -> None:
  path.chmod(0o311)


def unenterable(path: pathlib.Path, rng: random.Random) -> None:
  path.chmod(0o644)


def unwritable(path: pathlib.Path, rng: random.Random) -> None:
  path.chmod(0o555)


def linked_to_its_parent(path: pathlib.Path, rng: random.Random) -> None:
  """Two links, so that the paths below are without number."""
  for name in ("again", "once-more"):
    (path / name).symlink_to("..")


def linked_to_itself_within(path: pathlib.Path, rng: random.Random) -> None:
  (path / "loop").symlink_to("loop")


def with_special_files(path: pathlib.Path, rng: random.Random) -> None:
  for ending in (".png", ".npz", ".json"):
    os.mkfifo(path / f"pipe{ending}")


def with_hidden_files(path: pathlib.Path, rng: random.Random) -> None:
  """What other systems leave: nothing is wrong."""
  for name in (".DS_Store", "._000.png", "Thumbs.db"):
    (path / name).write_bytes(b"\x00\x05\x16\x07")


FOLDERS: dict[str, Replacement] = {
  function.__name__: function
  for function in (
    missing, empty, directory, fifo, unix_socket, endless_device, link_to_itself,
    link_to_nothing, link_to_folder, unreadable, unlistable, unenterable, unwritable,
    linked_to_its_parent, linked_to_itself_within, with_special_files, with_hidden_files,
  )
}  # fmt: skip


# Names that a file system takes and programs stumble over.
NAMES: dict[str, str] = {
  "space": "a b", "umlaut": "Z\u00fcrich", "decomposed": "Zu\u0308rich",
  "emoji": "\U0001f697", "no_utf8": os.fsdecode(b"caf\xe9"), "newline": "a\nb",
  "escape": "a\x1b[31mb", "tab": "a\tb", "quote": "a'b\"c", "backslash": "a\\b",
  "brackets": "[bold]a[red]", "bracket": "a[b", "star": "a*b", "question": "a?b",
  "braces": "{split}", "dash": "-a", "flag": "--help", "dollar": "$HOME", "tilde": "~",
  "percent": "%s%n", "colon": "a:b", "comma": "a,b", "equals": "a=b", "plus": "a+b",
  "hash": "#a", "dot": ".a", "long": "a" * 200, "longest": "a" * 255, "number": "10",
  "right_to_left": "\u202eabc", "surrogate_bytes": os.fsdecode(b"\xed\xa0\x80"),
  "only_space": " ", "nul_like": "a\\0b",
}  # fmt: skip


def _remove(path: pathlib.Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  elif os.path.lexists(path):
    path.unlink()
