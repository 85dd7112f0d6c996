"""`python -m tests.killed LINES --workdir=DIR FLAG...`: tfdam.train until a kill.

It comes with line LINES of DIR/metrics.jsonl, from the program itself: one from outside
would come before or after, as the machine has time.
"""

import os
import signal
import sys

from tests import programs
from tfdam import runtime, train


def main() -> None:
  lines = int(sys.argv.pop(1))
  runtime.set_environment()  # before TensorFlow is imported, as every entry point does
  from tfdam.training import records

  write = records.Records.write

  def write_or_die(self, *arguments, **options):
    write(self, *arguments, **options)
    if programs.lines_written(self.folder.shared_path) >= lines:
      os.kill(os.getpid(), signal.SIGKILL)

  records.Records.write = write_or_die
  train.run()


if __name__ == "__main__":
  main()
