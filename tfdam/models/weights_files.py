"""What readers of trained weights share: where packages keep them, and what errors say."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

from tfdam import config as config_lib
from tfdam import files


def in_package(package: str, file: str) -> list[str]:
  """Returns where a file of a package would lie; empty if the package is not installed.

  The package is not imported, since it may need what is not installed.
  """
  spec = importlib.util.find_spec(package)
  folders = (spec and spec.submodule_search_locations) or ()
  return [os.path.join(folder, file) for folder in folders]


def absent(weights: str, names: Sequence[str]) -> config_lib.UserError:
  """Returns the error for a file that is absent.

  Args:
    weights: `model.weights`.
    names: what it may be besides a file.
  """
  return config_lib.UserError(
    f"model.weights is '{files.shown(weights)}', but there is no such file.",
    f"Set model.weights to one, {', '.join(f'to {name}' for name in names)}, or to ''.",
  )


def unreadable(
  error: Exception, path: str, whose: str, remedy: str
) -> config_lib.UserError:
  """Returns the error for a file that cannot be read.

  Args:
    error: what reading it raised.
    path: of the file.
    whose: what it was taken for, such as "VGG16's".
    remedy: what mends it.
  """
  said = files.problem(error) if isinstance(error, OSError) else ""
  reason = str(error).splitlines()[0] if str(error) else type(error).__name__
  return config_lib.UserError(
    said or f"model.weights {files.shown(path)} cannot be read as {whose} ({reason}).",
    remedy,
  )
