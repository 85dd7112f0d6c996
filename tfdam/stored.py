"""Files that tfdam writes whole or not at all, and checks when it reads them back.

Imports no TensorFlow. The structure of each file is a TypedDict next to the code that
writes it; msgspec checks a file's content against it. Other keys are kept, as a later
version may have written them.
"""

# No `from __future__ import annotations`: these annotations are evaluated at run time, also
# by Python 3.9, which does not have `X | None`.
import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Annotated, Optional, TypeVar

import msgspec

from tfdam import config as config_lib
from tfdam import files

# A score, a loss or a rate; null if it was infinite or nan.
Number = Optional[float]
# A number of steps, images or bytes.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

_T = TypeVar("_T")
# Far more than the size of any of these files.
_MOST_BYTES = 2**28
# Fewer digits than the largest float has, and more than any number here needs.
_MOST_DIGITS = 300


class DamagedError(ValueError):
  """Says why some content is not what tfdam writes."""


def read(path: str, kind: type[_T], remedy: str) -> Optional[_T]:
  """The content of a JSON file; None if there is no such file.

  Args:
    path: the file.
    kind: the type of its content, such as a TypedDict.
    remedy: what to do if it is damaged.

  Raises:
    config.UserError: it is damaged.
  """
  try:
    with files.open_regular(path) as file:
      return parse(file.read(_MOST_BYTES), kind)
  except FileNotFoundError:
    return None
  except DamagedError as error:
    raise config_lib.UserError(
      f"{files.shown(path)} is damaged ({error}). {remedy}"
    ) from error


def parse(content: bytes, kind: type[_T]) -> _T:
  """Parses and checks JSON.

  Raises:
    DamagedError: it is not JSON, or not of this type.
  """
  try:
    # msgspec's own parser refuses lone surrogates, by which undecodable names are written.
    found = json.loads(
      content.decode(), parse_constant=_number, parse_float=_number, parse_int=_whole
    )
    msgspec.convert(found, kind)
  except (ValueError, RecursionError, msgspec.ValidationError) as error:
    raise DamagedError(str(error).replace(" - at `$", " at `")) from error
  return found  # With the keys that `kind` does not name.


def _number(text: str) -> Number:
  """Parses a number; None for NaN and infinity, which earlier versions wrote."""
  number = float(text)
  return number if math.isfinite(number) else None


def _whole(text: str) -> int:
  """Parses a whole number; refuses those beyond floats, with which msgspec cannot cope."""
  if len(text) > _MOST_DIGITS:
    raise ValueError(f"it has a number of {len(text):,} digits")
  return int(text)


def write_text(path: str, text: str) -> None:
  """Replaces a file atomically: readers find the old or the new one, even after a kill."""
  with replacing(path) as partial, open(partial, "w", encoding="utf-8") as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: str, name: str = "") -> Iterator[str]:
  """Yields a temporary path; what the body writes there then replaces `path`.

  If the body fails, `path` is kept, and the temporary file is removed, as the disk may be
  full.

  Args:
    path: the file to replace.
    name: name of the temporary file, in the same folder; empty for `path`'s name with
      ".partial".
  """
  partial = os.path.join(os.path.dirname(path), name) if name else f"{path}.partial"
  with naming(path, partial):
    try:
      with contextlib.suppress(FileNotFoundError):
        os.remove(partial)  # A killed process may have left it, or it may be a FIFO.
      yield partial
      os.replace(partial, path)
    except BaseException:
      with contextlib.suppress(OSError):
        os.remove(partial)
      raise


@contextlib.contextmanager
def naming(path: str, written: str = "") -> Iterator[None]:
  """Adds the file's name to an OSError; Python does so when opening, but not writing.

  Args:
    path: the name to report.
    written: the name under which the body writes the file.
  """
  try:
    yield
  except OSError as error:
    if error.errno is not None and error.filename in (None, written):
      error.filename = path
    raise
