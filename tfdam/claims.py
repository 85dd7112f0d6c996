"""Checks the sizes that files claim against the files' own size and this machine's memory.

A header may claim any size, and deflate (in gzip, npz, HDF5 and MATLAB files) packs zeros
a thousandfold. So impossible sizes are refused before memory is allocated.
"""

from __future__ import annotations

from tfdam import config as config_lib
from tfdam import files, memory

# Deflate unpacks one byte to at most so many.
DEFLATE = 1032
# Remedies for too little memory.
IMAGES = "Take fewer or smaller images"
NETWORK = "Take a smaller network"
# Characters of a member's or an array's name that an error quotes.
_LONGEST_NAME = 200


def check(
  path: str, what: str, claimed: int, stored: int, ratio: int = 1, remedy: str = IMAGES
) -> None:
  """Checks a size that a file's header claims.

  Args:
    path: the file, for errors.
    what: what has this size, for errors.
    claimed: bytes when unpacked.
    stored: bytes that the file has for it.
    ratio: to how many bytes one stored byte may be unpacked.
    remedy: what to do if there is too little memory.

  Raises:
    config.UserError: the file, or this machine's memory, cannot hold so much.
  """
  if claimed > stored * ratio:
    path, what = files.shown(path), files.shown(what[:_LONGEST_NAME])
    unpacked = f", which unpack to {stored * ratio:,} at most" if ratio > 1 else ""
    raise config_lib.UserError(
      f"{path} claims {claimed:,} bytes of {what}, but has {stored:,} for them{unpacked}."
      " It is truncated or damaged: get it again, or mend it."
    )
  check_memory(path, what, claimed, remedy)


def check_memory(path: str, what: str, size: int, remedy: str = IMAGES) -> None:
  """Raises config.UserError if `size` bytes are more than half of this machine's memory.

  Half, because TensorFlow keeps images a second time.
  """
  most = memory.available() // 2
  if most and size > most:
    path, what = files.shown(path), files.shown(what[:_LONGEST_NAME])
    raise config_lib.UserError(
      f"{path} holds {size:,} bytes of {what}; expected at most {most:,}, half of this"
      f" machine's memory. {remedy}, or a machine with more."
    )
