"""What files claim to hold, held against what they and this machine can.

A header may claim any size, and deflate (in gzip, npz, HDF5 and MATLAB files) packs zeros
a thousandfold: claims are refused before memory is asked for.
"""

from __future__ import annotations

from tfdam import config as config_lib
from tfdam import files, memory

# Deflate makes at most so many bytes of one.
DEFLATE = 1032
# What to take where there is too little memory.
IMAGES = "Take fewer or smaller images"
NETWORK = "Take a smaller network"
# What of a member's or an array's name an error quotes.
_LONGEST_NAME = 200


def check(
  path: str, what: str, claimed: int, stored: int, ratio: int = 1, remedy: str = IMAGES
) -> None:
  """Checks what a file's header says that it holds.

  Args:
    path: the file, for errors.
    what: is claimed, for errors.
    claimed: bytes, unpacked.
    stored: bytes that the file has for it.
    ratio: how many bytes one of these may be unpacked to.
    remedy: what mends it where there is too little memory.

  Raises:
    config.UserError: the file cannot hold so much, or this machine.
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
