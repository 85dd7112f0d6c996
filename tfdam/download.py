"""Fetches the official files of data sets and checks them.

./bazelw run //tfdam:download -- mnist usps svhn
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
import urllib.parse
from collections.abc import Iterator
from typing import Any

from absl import flags, logging

from tfdam import config as config_lib
from tfdam import progress, runtime
from tfdam.data import downloads

_DATA_ROOT = flags.DEFINE_string(
  "data_root", "", "Folder of data sets, if not $TFDAM_DATA or data/."
)
_MIRROR = flags.DEFINE_string(
  "mirror", "", "URL below which <data set>/<file> is, instead of the official places."
)
# A server that does not answer for so long counts as gone; Python would wait for ever.
_TIMEOUT_S = 60.0


def main(argv: list[str]) -> None:
  names = argv[1:]
  downloads.check_names(names)
  if _MIRROR.value and not _is_url(_MIRROR.value):
    raise config_lib.UserError(
      f"--mirror is '{_MIRROR.value}'; expected a URL that starts with http:// or https://."
    )
  socket.setdefaulttimeout(_TIMEOUT_S)
  root = runtime.data_root(config_lib.Data(root=_DATA_ROOT.value))
  for name in names:
    lines = downloads.fetch(name, root, _MIRROR.value)
    while line := _next(lines, f"downloading {name}"):
      print(line, flush=True)


def _next(lines: Iterator[str], title: str) -> str:
  """The next line; until it is there, how much has come is told."""
  with (
    progress.waiting(title) as teller,
    contextlib.redirect_stdout(_Counted(teller, title)),
  ):
    return next(lines, "")


class _Counted(io.TextIOBase):
  """Reads what Keras prints of a download: its bar would come through a pipe, too."""

  def __init__(self, teller: Any, title: str):
    self._teller, self._title = teller, title

  def write(self, text: str) -> int:
    found = re.search(r"(\d+)/(\d+) \[", text)
    if found:
      done, total = (int(number) / 1e6 for number in found.groups())
      self._teller.now(f"{self._title}: {done:.1f} of {total:.1f} MB")
    elif text.strip(" \b\r\n"):
      logging.info("%s", text.strip())
    return len(text)


def _is_url(text: str) -> bool:
  try:
    return urllib.parse.urlsplit(text).scheme in ("http", "https")
  except ValueError:  # An incomplete IPv6 address.
    return False


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
