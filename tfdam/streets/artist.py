"""A process that draws scenes for another one: it reads orders and writes scenes.

  python -m tfdam.streets.artist

It ends at the end of its input, so it never outlives the process that started it.
"""

from __future__ import annotations

import signal
import struct
import sys
from typing import BinaryIO

from tfdam.streets import scene

# The fields of an Order.
FORMAT = struct.Struct("<?IIHH")


def main(orders: BinaryIO, scenes: BinaryIO) -> None:
  """Draws scenes until the orders end.

  Args:
    orders: each a `scene.Order`, packed by FORMAT.
    scenes: each scene's picture and then its classes are written here, as bytes.
  """
  while True:
    packed = orders.read(FORMAT.size)
    if len(packed) < FORMAT.size:
      return
    picture, classes = scene.draw(scene.Order(*FORMAT.unpack(packed)))
    scenes.write(picture.tobytes() + classes.tobytes())
    scenes.flush()


if __name__ == "__main__":
  # Ctrl-C is handled by the process that gives the orders.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    main(sys.stdin.buffer, sys.stdout.buffer)
  except BrokenPipeError:
    sys.exit(1)
