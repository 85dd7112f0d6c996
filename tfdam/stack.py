"""The stack of this environment, and legacy Keras, which newer TensorFlow lacks.

  tf215   TensorFlow 2.15 with tensorflow-addons    Python 3.9 to 3.11
  tf221   TensorFlow 2.21 with tf-keras             Python 3.10 to 3.13

From TensorFlow 2.16 on, `tf.keras` is Keras 3 unless TF_USE_LEGACY_KERAS is set before its
first use. Importing tfdam sets this variable, here and nowhere else.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Mapping

# {stack: its release of TensorFlow}.
STACKS: Mapping[str, str] = {"tf215": "2.15", "tf221": "2.21"}
# {stack: the first and the last Python version for which it has wheels}.
PYTHONS: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
  "tf215": ((3, 9), (3, 11)),
  "tf221": ((3, 10), (3, 13)),
}
OTHER = "other"
_VARIABLE = "TF_USE_LEGACY_KERAS"
# TensorFlow goes by several names; all of them are imported as `tensorflow`.
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly")


def tensorflow_version() -> str:
  """The version of the installed TensorFlow, without importing it; "" if there is none."""
  for name in _DISTRIBUTIONS:
    try:
      return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return ""


def installed() -> str:
  """The stack in this environment; OTHER for another TensorFlow, "" for none."""
  version = tensorflow_version()
  for name, release in STACKS.items():
    if version == release or version.startswith(f"{release}."):
      return name
  return OTHER if version else ""


def default(python: tuple[int, int]) -> str:
  """The stack that is set up for a Python version if none is chosen."""
  return "tf215" if python <= PYTHONS["tf215"][1] else "tf221"


def use_legacy_keras() -> None:
  """Makes `tf.keras` Keras 2: tf-keras, or TensorFlow 2.15's own Keras.

  Raises:
    ImportError: the program has already used TensorFlow with Keras 3.
  """
  version = tensorflow_version()
  if not version:
    return  # tfdam.doctor reports it.
  if _release(version) < (2, 16):
    # Its own Keras is Keras 2; with the variable, it would look for tf-keras.
    os.environ.pop(_VARIABLE, None)
    return
  os.environ[_VARIABLE] = "1"
  if "tensorflow" not in sys.modules:
    return
  # TensorFlow chooses at the first use of `tf.keras`, which may be now.
  made_by = sys.modules["tensorflow"].keras.Model.__module__.partition(".")[0]
  if made_by != "tf_keras":
    raise ImportError(
      f"TensorFlow {version} was imported with Keras 3 before tfdam, which needs tf-keras:"
      f" import tfdam first, or set {_VARIABLE}=1 before the program starts."
    )


def _release(version: str) -> tuple[int, int]:
  """Parses a version: (2, 21) for "2.21.0rc1"."""
  major, minor = version.split(".")[:2]
  return int(major), int(minor)
