"""`python -m tests.killed LINES[:SIGNAL] --workdir=DIR FLAG...`: train until a signal.

It comes with line LINES of DIR/metrics.jsonl, from the program itself: one from outside
would come before or after, as the machine has time. Without SIGNAL it is SIGKILL, to the
process that was started.
"""

import os
import signal
import sys

from tests import programs
from tfdam import runtime, train


def main() -> None:
  lines, _, name = sys.argv.pop(1).partition(":")
  start = runtime.start

  def start_and_wait_for_the_line(*arguments):
    strategy = start(*arguments)
    from tfdam.runs import records

    write, sent = records.Records.write, []

    def write_or_die(self, *arguments, **options):
      write(self, *arguments, **options)
      if not sent and programs.lines_written(self.folder.shared_path) >= int(lines):
        sent.append(True)
        _send(name)

    records.Records.write = write_or_die
    return strategy

  runtime.start = start_and_wait_for_the_line
  train.run()


def _send(name: str) -> None:
  if name:
    os.kill(os.getpid(), signal.Signals[name])
    return
  # One of several workers is the child of what was started, and dies with it.
  os.kill(os.getppid() if "TF_CONFIG" in os.environ else os.getpid(), signal.SIGKILL)
  signal.pause()


if __name__ == "__main__":
  main()
