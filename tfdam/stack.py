"""Which stack this environment holds, and legacy Keras, which newer TensorFlow leaves out.

  tf215   TensorFlow 2.15 with tensorflow-addons    Python 3.9 to 3.11
  tf221   TensorFlow 2.21 with tf-keras             Python 3.10 to 3.13

From TensorFlow 2.16 on `tf.keras` is Keras 3, unless TF_USE_LEGACY_KERAS says otherwise
when it is first used. Importing tfdam sets that, here and nowhere else.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Mapping

# {stack: the release of TensorFlow}.
STACKS: Mapping[str, str] = {"tf215": "2.15", "tf221": "2.21"}
# Pythons for which each has wheels, the first and the last.
PYTHONS: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
  "tf215": ((3, 9), (3, 11)),
  "tf221": ((3, 10), (3, 13)),
}
OTHER = "other"
_VARIABLE = "TF_USE_LEGACY_KERAS"
# TensorFlow goes by several names; all of them are imported as `tensorflow`.
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly")


def tensorflow_version() -> str:
  """The installed TensorFlow's version, without importing it; "" where there is none."""
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
  """The stack that is set up on a Python when none is chosen."""
  return "tf215" if python <= PYTHONS["tf215"][1] else "tf221"


def use_legacy_keras() -> None:
  """Has `tf.keras` be Keras 2: tf-keras, or the Keras of TensorFlow 2.15 itself.

  Raises:
    ImportError: the program has used TensorFlow with Keras 3 already.
  """
  version = tensorflow_version()
  if not version:
    return  # the doctor says so
  if _release(version) < (2, 16):
    # Its own Keras is the one; the variable would make it look for tf-keras.
    os.environ.pop(_VARIABLE, None)
    return
  os.environ[_VARIABLE] = "1"
  if "tensorflow" not in sys.modules:
    return
  # TensorFlow decides when `tf.keras` is first used, which may be now.
  made_by = sys.modules["tensorflow"].keras.Model.__module__.partition(".")[0]
  if made_by != "tf_keras":
    raise ImportError(
      f"TensorFlow {version} was imported with Keras 3 before tfdam, which needs tf-keras:"
      f" import tfdam first, or set {_VARIABLE}=1 before the program starts."
    )


def _release(version: str) -> tuple[int, int]:
  """(2, 21) of "2.21.0rc1"."""
  major, minor = version.split(".")[:2]
  return int(major), int(minor)
