"""Checks that the config of a Keras network names only Keras' own or registered objects.

A config is JSON that names classes and functions. Keras 2 imports any module that it names,
and calls what it finds there. From HDF5 files and SavedModels it also runs the bytecode of
Lambda layers, even in safe mode. So a config is checked before Keras sees it.
Imports no TensorFlow.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

from tfdam import config as config_lib
from tfdam import files
from tfdam.keras_files import errors as keras_errors
from tfdam.keras_files import order as keras_order

_KERAS = ("keras", "tf_keras")
# Modules whose initializers Keras 2 uses directly, as in its own EfficientNetV2.
_INITIALIZERS = ("tensorflow.python.ops.init_ops", "tensorflow.python.ops.init_ops_v2")
# Layers of Keras that run another file or another framework's pickle.
_FOREIGN = {"TFSMLayer", "ReloadedLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
# Modules with Keras' functions of tensors. Functions elsewhere may read or download files.
_FUNCTIONS = {
  "activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers"
}  # fmt: skip
# The same for TensorFlow, whose functions may be layers of a functional model (Keras 2).
_OPS = {
  "__operators__", "bitwise", "dtypes", "image", "linalg", "math", "nn", "quantization",
  "ragged", "random", "signal", "sparse", "strings",
}  # fmt: skip
_OP_LAYERS = ("TFOpLambda", "SlicingOpLambda")
_NO_OPS = {
  "Print", "import_graph_def", "load_library", "load_op_library", "matching_files", "print",
  "numpy_function", "py_func", "py_function", "read_file", "write_file",
}  # fmt: skip


def check(path: str, config: Any, find: Callable[[str], Any]) -> dict[str, Any]:
  """Checks everything that a config names.

  Args:
    path: the file that it comes from, for errors.
    config: parsed JSON.
    find: returns the class or function that the user registered under a name, else None.

  Returns:
    {name in the config: the registered object}, for Keras' `custom_objects`.

  Raises:
    config.UserError: the config holds code, names objects that are neither Keras' own nor
      registered, or has layers that wait for each other.
  """
  found: dict[str, Any] = {}
  unknown: list[str] = []
  for entry in _entries(config):
    if _holds_code(entry, find):
      raise config_lib.UserError(
        f"{files.shown(path)} holds Python code ({_described(entry)}), which is never run"
        " from a file. Make it a layer of its own class with"
        " @keras.saving.register_keras_serializable(), or use Keras' layers (Rescaling,"
        " Normalization, Resizing), and save the network again."
      )
    stuck = keras_order.waiting(entry.get("config"))
    if stuck:
      said = ", ".join(f"'{name}'" for name in stuck[:3])
      error = ValueError(f"{said} take what no layer gives, or wait for each other")
      raise keras_errors.damaged(path, error)
    if not _is_known(entry):
      name = _name(entry)
      known = find(name)
      if known is not None:
        found[name] = known
      elif _is_foreign(entry):
        unknown.append(_described(entry))
  if unknown:
    raise keras_errors.not_registered(path, sorted({*unknown}))
  return found


def _entries(config: Any) -> Iterator[dict[str, Any]]:
  """Yields every class and function that a config names, at any depth."""
  waiting = [config]
  if isinstance(config, dict):
    # Keras ignores these when it does not compile.
    waiting = [{**config, "compile_config": None, "training_config": None}]
  while waiting:
    part = waiting.pop()
    if isinstance(part, dict):
      if isinstance(part.get("class_name"), str):
        yield part
      waiting += part.values()
    elif isinstance(part, list):
      waiting += part


def _name(entry: dict[str, Any]) -> str:
  """The name under which an entry may be registered."""
  names = [entry.get("registered_name"), entry["class_name"]]
  if entry["class_name"] == "function":
    names.insert(0, entry.get("config"))
  return next((name for name in names if name and isinstance(name, str)), "")


def _holds_code(entry: dict[str, Any], find: Callable[[str], Any]) -> bool:
  if entry["class_name"] == "__lambda__":
    return True
  if entry["class_name"] != "Lambda":
    return False
  config = entry.get("config")
  function = config.get("function") if isinstance(config, dict) else None
  # Keras 2 writes bytecode for every function; Keras 3 writes names of registered ones.
  is_named = isinstance(function, dict) and function.get("class_name") == "function"
  return not is_named or find(_name(function)) is None  # type: ignore[arg-type]


def _is_known(entry: dict[str, Any]) -> bool:
  """Whether an entry's module is Keras', and it is a class or a function of tensors."""
  module = str(entry.get("module", ""))
  return module.partition(".")[0] in _KERAS and not _is_foreign(entry)


def _is_foreign(entry: dict[str, Any]) -> bool:
  """Whether an entry is not Keras' own, or is a function of something but tensors.

  Without a module, or with "builtins", Keras looks a name up among its own objects; Keras 2
  then also looks among Python's built-in functions.
  """
  name, config = entry["class_name"], entry.get("config")
  module, is_function = str(entry.get("module", "builtins")), name == "function"
  package, *parts = module.split(".")
  if name in _FOREIGN:
    return True
  if name in _OP_LAYERS and isinstance(config, dict):
    return not _is_safe_op(str(config.get("function")))
  if module == "builtins":
    return is_function and hasattr(builtins, _name(entry))
  if name == "__typespec__":
    return package != "tensorflow" or not str(entry.get("spec_name")).endswith("Spec")
  if module in _INITIALIZERS:
    return is_function
  if package not in _KERAS:
    return True
  # Keras may find a function under the name of a class.
  is_class = name[:1].isupper() and "." not in name
  return not (_FUNCTIONS.intersection(parts[:2]) if is_function else is_class)


def _is_safe_op(name: str) -> bool:
  """Whether a TensorFlow function computes with tensors, such as "math.add", not files."""
  parts = name.split(".")
  if parts[0] == "compat":
    parts = parts[2:]
  return bool(parts) and (parts[0] in _OPS if len(parts) > 1 else parts[0] not in _NO_OPS)


def _described(entry: dict[str, Any]) -> str:
  """Describes a class or function, with its module and the layer's name if known."""
  name, config = entry["class_name"], entry.get("config")
  module = entry.get("module")
  if name == "function":
    said = f"the function '{_name(entry)}'"
  elif name in _OP_LAYERS and isinstance(config, dict):
    return keras_errors.short(f"tf.{config.get('function')}")
  else:
    said = f"'{entry.get('registered_name') or name}'"
  if isinstance(module, str):
    said += f" of {module}"
  own = config.get("name") if isinstance(config, dict) else None
  return keras_errors.short(f"{said} (layer '{own}')" if isinstance(own, str) else said)
