"""A process that draws scenes for another one: orders come in, scenes go out.

  python -m tfdam.streets.artist

It ends when its input does, so it never outlives the process that started it.
"""

from __future__ import annotations

import signal
import struct
import sys
from typing import BinaryIO

from tfdam.streets import scene

# An Order, field by field.
FORMAT = struct.Struct("<?IIHH")


def main(orders: BinaryIO, scenes: BinaryIO) -> None:
  """Draws until no order comes any more.

  Args:
    orders: `scene.Order`s, each as FORMAT packs it.
    scenes: gets the bytes of each picture, then those of its classes.
  """
  while True:
    packed = orders.read(FORMAT.size)
    if len(packed) < FORMAT.size:
      return
    picture, classes = scene.draw(scene.Order(*FORMAT.unpack(packed)))
    scenes.write(picture.tobytes() + classes.tobytes())
    scenes.flush()


if __name__ == "__main__":
  # Ctrl-C is for the process that gives the orders.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    main(sys.stdin.buffer, sys.stdout.buffer)
  except BrokenPipeError:
    sys.exit(1)
