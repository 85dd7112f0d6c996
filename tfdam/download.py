"""Fetches the official files of data sets and checks them.

./bazelw run //tfdam:download -- mnist usps svhn
"""

from __future__ import annotations

import socket
import urllib.parse

from absl import flags

from tfdam import config as config_lib
from tfdam import runtime
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
    for line in downloads.fetch(name, root, _MIRROR.value):
      print(line, flush=True)


def _is_url(text: str) -> bool:
  try:
    return urllib.parse.urlsplit(text).scheme in ("http", "https")
  except ValueError:  # An incomplete IPv6 address.
    return False


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
