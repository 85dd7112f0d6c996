"""Files that tfdam writes and reads back: whole or not at all; as written, or "damaged".

Imports no TensorFlow. The shape of each file stands beside the code that writes it, as a
TypedDict; msgspec checks what was read against it. Keys that it does not name are kept: a
later version may have written them.
"""

# No `from __future__ import annotations`: Python 3.9 evaluates what stands here.
import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Annotated, Optional, TypeVar

import msgspec

from tfdam import config as config_lib
from tfdam import files

# A score, a loss or a rate; null where it was infinite or no number.
Number = Optional[float]
# Of steps, images or bytes.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

_T = TypeVar("_T")
# Far above what any of these files holds.
_MOST_BYTES = 2**28
# More than any number that a float holds.
_MOST_DIGITS = 300


class DamagedError(ValueError):
  """Why some content is not what tfdam writes."""


def read(path: str, kind: type[_T], remedy: str) -> Optional[_T]:
  """The content of a JSON file; None if there is no such file.

  Args:
    kind: its shape, such as a TypedDict.
    remedy: what mends a damaged one.

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
  """The same of JSON in memory.

  Raises:
    DamagedError: it is no JSON, or of another shape.
  """
  try:
    # msgspec's own parser refuses undecodable names, which ours write as lone surrogates.
    found = json.loads(
      content.decode(), parse_constant=_number, parse_float=_number, parse_int=_whole
    )
    msgspec.convert(found, kind)
  except (ValueError, RecursionError, msgspec.ValidationError) as error:
    raise DamagedError(str(error).replace(" - at `$", " at `")) from error
  return found  # with the keys that `kind` does not name


def _number(text: str) -> Number:
  """None for NaN and the like, which earlier versions wrote for it."""
  number = float(text)
  return number if math.isfinite(number) else None


def _whole(text: str) -> int:
  """A whole number that a float can hold as well, which msgspec takes for granted."""
  if len(text) > _MOST_DIGITS:
    raise ValueError(f"it has a number of {len(text):,} digits")
  return int(text)


def write_text(path: str, text: str) -> None:
  """Replaces a file in one move: a reader or a kill finds the old or the new one."""
  with replacing(path) as partial, open(partial, "w", encoding="utf-8") as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: str, name: str = "") -> Iterator[str]:
  """Yields a path beside `path` for what takes its place when the body has written it.

  If the body fails, what is there stays, and what was written goes: a disk may be full.

  Args:
    name: of the file beside it; empty: `path`'s with ".partial".
  """
  partial = os.path.join(os.path.dirname(path), name) if name else f"{path}.partial"
  with naming(path, partial):
    try:
      with contextlib.suppress(FileNotFoundError):
        os.remove(partial)  # of a killed process; opening another's FIFO would wait
      yield partial
      os.replace(partial, path)
    except BaseException:
      with contextlib.suppress(OSError):
        os.remove(partial)
      raise


@contextlib.contextmanager
def naming(path: str, written: str = "") -> Iterator[None]:
  """Has an OSError say which file: Python's own does when opening, not when writing.

  Args:
    written: by what name the body knows it.
  """
  try:
    yield
  except OSError as error:
    if error.errno is not None and error.filename in (None, written):
      error.filename = path
    raise
