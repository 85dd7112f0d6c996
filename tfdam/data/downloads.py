"""Fetches a data set's official files; a file gets its name only once it is checked."""

from __future__ import annotations

import os
import tempfile
import urllib.error
from collections.abc import Iterator, Sequence

from tfdam import config as config_lib
from tfdam import data
from tfdam.data import examples as examples_lib


def check_names(names: Sequence[str]) -> None:
  """Raises config.UserError unless `names` are data sets that can be downloaded."""
  known = [name for name, module in data.DATASETS.items() if module.INFO.downloads]
  listing = f"Data sets that can be: {', '.join(known)}."
  if not names:
    raise config_lib.UserError(
      f"No data set is named: there is nothing to download. {listing} Name one or more,"
      f" such as '{' '.join(known[:2])}'."
    )
  for name in names:
    kind = name.partition(":")[0]
    if name in known:
      continue
    if kind in data.DATASETS and kind not in known:
      raise config_lib.UserError(
        f"'{name}' cannot be downloaded ({data.DATASETS[kind].INFO.where}). {listing}"
      )
    raise config_lib.UserError(
      f"'{name}' is no data set that can be downloaded. {listing}"
      f"{config_lib.nearest(name.lower(), known)}"
    )


def fetch(name: str, root: str, mirror: str = "") -> Iterator[str]:
  """Downloads the official files of one data set into its folder below `root`.

  Args:
    name: a data set with INFO.downloads.
    root: the folder of data sets; made if it is missing.
    mirror: a URL below which <set>/<file> lies; empty for the official servers.

  Yields:
    A line on each file, once it is there and its checksum is right.

  Raises:
    config.UserError: the folder cannot be written, another file has the name, the transfer
      fails, or the file is not the official one. Files that were right before are kept.
  """
  module, folder = data.locate(name, root)
  for download in module.INFO.downloads:
    path = os.path.join(folder, download.file)
    if os.path.lexists(path):
      _check_existing(download, path)
      yield f"{path}: already there and right, left alone"
    else:
      url = f"{mirror.rstrip('/')}/{name}/{download.file}" if mirror else download.url
      _fetch_file(download, url, folder, module.INFO.where)
      yield f"{path}: downloaded, checksum right"


def _check_existing(download: examples_lib.Download, path: str) -> None:
  # Never overwritten: the file may be a subset that the user made.
  wrong = _what_is_wrong(download, path)
  if wrong:
    raise config_lib.UserError(
      f"{path} is there but is not the official file: {wrong}. It was left alone: move or"
      " delete it and download again, or set --data_root to another folder."
    )


def _fetch_file(download: examples_lib.Download, url: str, folder: str, where: str) -> None:
  """Downloads into a hidden folder and moves the file only if its checksum is right."""
  try:
    os.makedirs(folder, exist_ok=True)
    # On the same disk, so that the move below is atomic, and under the file's own name,
    # whose ending tells its format.
    hidden = tempfile.TemporaryDirectory(prefix=".download-", dir=folder)
  except OSError as error:
    raise config_lib.UserError(
      f"Cannot write to {folder} ({error.strerror}). Set --data_root to a folder that can"
      " be written."
    ) from error
  mend = (
    f"Nothing was kept. Try again, set --mirror to a server that has {download.file}, or"
    f" put the file into {folder} by hand (from {where})."
  )
  with hidden as partial_folder:
    partial = os.path.join(partial_folder, download.file)
    _transfer(url, partial, mend)
    wrong = _what_is_wrong(download, partial)
    if wrong:
      raise config_lib.UserError(
        f"{download.file} from {url} is cut off or not the official file: {wrong}. {mend}"
      )
    os.replace(partial, os.path.join(folder, download.file))


def _transfer(url: str, path: str, mend: str) -> None:
  # TensorFlow takes seconds to start, so it is imported only when a file must be fetched.
  import tensorflow as tf

  folder, file = os.path.split(path)
  try:
    # Without `file_hash`, which covers the compressed bytes: these differ from one official
    # server to the next. get_file does not notice a transfer that ends early either.
    tf.keras.utils.get_file(file, url, cache_dir=folder, cache_subdir="")
  # Keras raises a plain Exception for HTTP errors and passes on those of sockets and disks.
  except Exception as error:
    said = error.__context__  # the original error; Keras' own message repeats the URL
    reason = said if isinstance(said, urllib.error.URLError) else error
    raise config_lib.UserError(
      f"{file} could not be downloaded from {url} ({reason}). {mend}"
    ) from error


def _what_is_wrong(download: examples_lib.Download, path: str) -> str:
  """Says how a copy differs from the official file; empty if it does not."""
  try:
    found = download.digest(path)
  except config_lib.UserError as error:
    return (
      f"expected MD5 {download.md5} of its {download.covers}, got a file that cannot be"
      f" read: {str(error).replace(path, download.file).rstrip('.')}"
    )
  if found == download.md5:
    return ""
  return (
    f"expected MD5 {download.md5} of its {download.covers}, got {found}"
    f" ({os.path.getsize(path):,} bytes)"
  )
