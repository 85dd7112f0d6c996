"""`python -m tests.bad_disk KIND PATH MODULE FLAG...`: a program and a disk that refuses.

  full ENDING       no file grows any more once one is written whose path ends so, or a
                    folder made, or a file renamed to it
  read_only FOLDER  nothing is written or made there
  secret FOLDER     it cannot be listed

Audit hooks see all that Python itself opens, makes and renames; what TensorFlow's C++
writes meets the limit of a file's size, as any program does.
"""

import errno
import os
import resource
import runpy
import sys

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> None:
  kind, path, module = sys.argv[1:4]
  sys.argv[:4] = [module]
  sys.addaudithook(lambda event, arguments: _HOOKS[kind](path, event, arguments))
  runpy.run_module(module, run_name="__main__", alter_sys=True)


def _full(ending: str, event: str, arguments) -> None:
  if _written(event, arguments).endswith(ending):
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))


def _read_only(folder: str, event: str, arguments) -> None:
  path = _written(event, arguments)
  if path.startswith(folder):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


def _secret(folder: str, event: str, arguments) -> None:
  if event in ("os.listdir", "os.scandir") and arguments[0] == folder:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)


def _written(event: str, arguments) -> str:
  """The path that an event writes to; empty for any other event."""
  path = ""
  writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
  if writes or event == "os.mkdir":
    path = arguments[0]
  elif event == "os.rename":
    path = arguments[1]
  return path if isinstance(path, str) else ""


_HOOKS = {"full": _full, "read_only": _read_only, "secret": _secret}


if __name__ == "__main__":
  main()
