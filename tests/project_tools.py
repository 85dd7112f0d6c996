"""The programs in tools/, as modules: they are no package."""

import importlib.util
import pathlib

from tfdam import runtime


def load(name):
  """tools/NAME.py."""
  path = pathlib.Path(runtime.PROJECT) / "tools" / f"{name}.py"
  spec = importlib.util.spec_from_file_location(name, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module
