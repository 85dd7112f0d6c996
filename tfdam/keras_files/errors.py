"""One-line errors for files that Keras cannot read as a network.

Keras' own errors take many lines, quote whole configs, and seldom say what to do.
Imports no TensorFlow.
"""

from __future__ import annotations

import os
import re

from tfdam import config as config_lib
from tfdam import files, memory, stack

_EXPECTED = "a network that Keras saved: a .keras or .h5 file, or a SavedModel folder"
_SAVE_AGAIN = "Save the whole network again with model.save('network.keras')."
# How Keras 2 and 3 say that they do not know a name.
_UNKNOWN = re.compile(
  r"(?:Unknown [a-z ]+: |Could not (?:locate|deserialize) (?:class |function )?|"
  r"object of type )['`]([^'`]+)"
)
# Parts of messages that do not help a user: TensorFlow's nodes, and our temporary folder.
_INNER = re.compile(
  r"\{\{.*?\}\} ?|[^\s'\"(]*/tfdam-network-\w+/|\x1b\[[\d;]*m|"
  r"^Exception encountered when calling .*\n| \[Op:.*"
)
_LONGEST, _MOST = 200, 8
_EMPTY = "''"


def no_network(path: str, said: str, remedy: str = _SAVE_AGAIN) -> config_lib.UserError:
  """The error for a path that holds no whole network.

  Args:
    path: the path.
    said: what is wrong with it, such as "is empty".
    remedy: a sentence that says what to do.
  """
  return config_lib.UserError(
    f"{files.shown(path) or _EMPTY} {said}; expected {_EXPECTED}. {remedy}"
  )


def unreadable(path: str, error: OSError) -> config_lib.UserError:
  """The error for a file that this user cannot read."""
  said = files.problem(error) or f"{files.shown(path)}: {reason(error)}."
  return config_lib.UserError(f"{said} Expected {_EXPECTED}.")


def damaged(path: str, error: Exception) -> config_lib.UserError:
  """The error for a file that is not as Keras writes it."""
  return config_lib.UserError(
    f"{files.shown(path)} is damaged, cut short, or not as Keras writes it"
    f" ({reason(error)}). Copy it again, or save the network again."
  )


def no_number(said: str, name: str) -> config_lib.UserError:
  """The error for a network with a weight that is nan.

  Args:
    said: the network's path, or an argument's name.
    name: the weight's name.
  """
  return config_lib.UserError(
    f"{said} has a weight that is not a number ({files.shown(name)}); expected numbers."
    " Take the network as it was before its loss became nan."
  )


def not_registered(path: str, names: list[str]) -> config_lib.UserError:
  """The error for classes and functions in a file that are not registered."""
  are = "is" if len(names) == 1 else "are"
  more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
  return config_lib.UserError(
    f"{files.shown(path)} needs {', '.join(names[:_MOST])}{more}, which {are}"
    " neither Keras' own nor registered. Decorate the class or function with"
    " @keras.saving.register_keras_serializable(), and import its module before the"
    " network is read."
  )


def unknown(path: str, version: str, here: str, names: list[str]) -> config_lib.UserError:
  """The error for names that Keras does not know, perhaps because it is too old."""
  if _release(version) > _release(here):
    return of_another_keras(path, version, here, f"it knows no {', '.join(names)}")
  return not_registered(path, names)


def of_another_keras(
  path: str, version: str, here: str, why: str = ""
) -> config_lib.UserError:
  """The error for a file of a newer Keras than the installed one.

  Args:
    path: the file.
    version: the version that wrote the file.
    here: the installed version.
    why: what the installed version says.
  """
  if stack.installed() == "tf221":
    remedy = f"Save the network with Keras {here}, or install the newer one"
  else:
    remedy = (
      "Take the tf221 stack, which reads Keras 2 and 3: set TFDAM_STACK=tf221, or install"
      " requirements/tf221.lock"
    )
  return config_lib.UserError(
    f"{files.shown(path)} was written by Keras {short(version)}; expected at most"
    f" Keras {here}, which the {stack.installed()} stack has{why and f' ({why})'}."
    f" {remedy}."
  )


def refused(path: str, version: str, here: str, error: Exception) -> config_lib.UserError:
  """The error for an undamaged file that Keras still cannot read.

  Args:
    path: the file.
    version: version of the Keras that wrote it; "" if unknown.
    here: the installed version.
    error: what Keras raised.
  """
  if memory.shortage(error):
    return config_lib.UserError(
      f"{files.shown(path)} is a network that does not fit into this machine's memory"
      f" ({reason(error)}). Take a smaller one, or a machine with more."
    )
  names = _UNKNOWN.findall(str(error))
  if names:
    return unknown(path, version, here, [f"'{short(names[-1])}'"])
  if _release(version) > _release(here):
    return of_another_keras(path, version, here, reason(error))
  by = f" of Keras {short(version)}" if version else ""
  return config_lib.UserError(
    f"{files.shown(path)}{by} cannot be read by Keras {here}: {reason(error)}. It is"
    " damaged, or its weights and layers do not belong together: copy it again, or save"
    " the network again, as .keras."
  )


def of_disk(path: str, error: Exception) -> OSError | None:
  """The OSError behind a failure to write a file; None for any other error.

  HDF5 gives the system's error number only in its text, in errors of many kinds.
  """
  said = re.search(r"errno = (\d+)", str(error))
  if said:
    return OSError(int(said[1]), os.strerror(int(said[1])), path)
  return error if isinstance(error, OSError) else None


def reason(error: Exception) -> str:
  """An error's text in one line: its last cause, without the whole config."""
  said = str(error).split("Exception encountered: ")[-1].split(" Full object config")[0]
  lines = _INNER.sub("", said).strip().splitlines() or [type(error).__name__]
  return short(lines[0]).rstrip(". ")


def short(text: str) -> str:
  """Makes text from a file printable, and cuts it to the length that errors may quote."""
  return files.shown(text[:_LONGEST] + ("..." if len(text) > _LONGEST else ""))


def _release(version: str) -> tuple[int, ...]:
  """Parses a version: (2, 15) for "2.15.0", () for no version."""
  return tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:2])
