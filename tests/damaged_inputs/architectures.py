"""Changes to the architecture of a Keras network: right JSON that says something odd.

Each takes the parsed config of a network of tests.damaged_inputs.networks, and changes it
in place. In all forms it is {"class_name", "config": {"name", "layers": [...]}}.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from tests.damaged_inputs import mutations, places

Change = Callable[[dict[str, Any]], None]
_DEEP = 60


def mutation(change: Change) -> mutations.Mutation:
  """A change to parsed JSON, as one to its text."""

  def mutate(content: bytes, rng) -> bytes:
    parsed = json.loads(content)
    change(parsed)
    return json.dumps(parsed).encode()

  return mutate


def layer(network: dict[str, Any], name: str) -> dict[str, Any]:
  """The layer of that name, or of a class that begins so."""
  every = network["config"]["layers"]
  found = (one for one in every if one["config"]["name"] == name)
  return next(found)


def _set(name: str, field: str, value: Any) -> Change:
  """A field of a layer's config."""

  def change(network: dict[str, Any]) -> None:
    layer(network, name)["config"][field] = value

  return change


def _class(name: str, value: Any, module: str | None = None) -> Change:
  def change(network: dict[str, Any]) -> None:
    found = layer(network, name)
    found["class_name"] = value
    found.pop("registered_name", None)
    found.pop("module", None)
    if module is not None:
      found.update(module=module, registered_name=value)

  return change


def _function(name: str, field: str, module: str, function: str) -> Change:
  entry = {"module": module, "class_name": "function", "config": function,
           "registered_name": function}  # fmt: skip
  return _set(name, field, entry)


def _of_network(field: str, value: Any) -> Change:
  def change(network: dict[str, Any]) -> None:
    network["config"][field] = value

  return change


def _without_layer(network: dict[str, Any]) -> None:
  network["config"]["layers"].remove(layer(network, "norm"))


def _layer_twice(network: dict[str, Any]) -> None:
  network["config"]["layers"].append(copy.deepcopy(layer(network, "norm")))


def _two_outputs(network: dict[str, Any]) -> None:
  ends = network["config"]["output_layers"]
  one = ends[0] if isinstance(ends[0], list) else ends
  network["config"]["output_layers"] = [one, ["pool", 0, 0]]


def _two_inputs(network: dict[str, Any]) -> None:
  every = network["config"]["layers"]
  other = copy.deepcopy(layer(network, "image"))
  other["config"]["name"] = other["name"] = "other"
  every.append(other)
  ends = network["config"]["input_layers"]
  one = ends[0] if isinstance(ends[0], list) else ends
  network["config"]["input_layers"] = [one, ["other", 0, 0]]


def _sequential(network: dict[str, Any]) -> None:
  network["class_name"] = "Sequential"


def _layer_alone(network: dict[str, Any]) -> None:
  found = copy.deepcopy(layer(network, "scores"))
  network.clear()
  network.update(found)


def _deep(network: dict[str, Any]) -> None:
  """The network in a network in a network."""
  for level in range(_DEEP):
    inner = copy.deepcopy(network)
    inner["name"] = inner["config"]["name"] = f"inner{level}"
    network["config"]["layers"] = [inner]


def _deep_value(network: dict[str, Any]) -> None:
  value: Any = 0
  for _ in range(400):
    value = {"class_name": "Constant", "config": {"value": value}, "module": "keras"}
  layer(network, "conv")["config"]["bias_initializer"] = value


def _cycle(network: dict[str, Any]) -> None:
  layer(network, "conv")["inbound_nodes"] = copy.deepcopy(
    layer(network, "scores")["inbound_nodes"]
  )


def _all_named(name: str) -> Change:
  """The network's own name, which no weight goes by."""

  def change(network: dict[str, Any]) -> None:
    network["config"]["name"] = name

  return change


def _renamed(name: str) -> Change:
  """A layer's name, wherever it stands."""

  def change(network: dict[str, Any]) -> None:
    text = json.dumps(network).replace('"pool"', json.dumps(name))
    network.clear()
    network.update(json.loads(text))

  return change


_LAMBDA = [
  "4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMEAAAAfABTACkBTqkAKQHaAXhyAQAAAHIBAAAA",
  None,
  None,
]
# What runs code, reads another file, or names what is nobody's: all of it is refused.
REFUSED: dict[str, Change] = {
  "lambda": _class("pool", "Lambda"),
  "lambda_code": lambda n: (
    _class("pool", "Lambda")(n), _set("pool", "function", _LAMBDA)(n),
    _set("pool", "function_type", "lambda")(n),
  ),
  "lambda_marshalled": _set(
    "conv", "activation", {"class_name": "__lambda__", "config": {"value": _LAMBDA[0]}}
  ),
  "module_os": _class("pool", "system", "os"), "module_odd": _class(
    "pool", "X", "a\nb\x1b"
  ),
  "module_of_mine": _class("pool", "X", "tests.damaged_inputs.networks"),
  "module_long": _class("pool", "X", "a." * 5000), "function_os": _function(
    "conv", "activation", "os", "system"
  ),
  "function_builtin": _function("conv", "activation", "builtins", "eval"),
  "function_get_file": _function("conv", "activation", "keras.utils", "get_file"),
  "function_unpickle": _function("scores", "kernel_initializer", "pickle", "loads"),
  "unknown_class": _class("pool", "NoSuchLayer"), "unknown_mine": _class(
    "pool", "Mine>NoSuchLayer"
  ),
  "unknown_odd": _class("pool", "a\nb\x1b[31m\u202e"), "unknown_long": _class(
    "pool", "a" * 20_000
  ),
  "unknown_activation": _set("conv", "activation", "no_such_function"),
  "unknown_initializer": _set("conv", "kernel_initializer", {"class_name": "NoSuch",
                                                             "config": {}}),
  "tfsm": _class("pool", "TFSMLayer", "keras.layers"), "op_write": lambda n: (
    _class("pool", "TFOpLambda")(n), _set("pool", "function", "io.write_file")(n)
  ),
  "op_unknown": lambda n: (
    _class("pool", "TFOpLambda")(n), _set("pool", "function", "math.no_such")(n)
  ),
  "class_null": _class("pool", None), "class_number": _class("pool", 7),
  "two_inputs": _two_inputs, "two_outputs": _two_outputs, "no_layers": _of_network(
    "layers", []
  ),
  "no_outputs": _of_network("output_layers", []), "without_layer": _without_layer,
  "layer_alone": _layer_alone, "cycle": _cycle,
  "filters_other": _set("conv", "filters", 7), "filters_huge": _set(
    "conv", "filters", 10**10
  ),
  "filters_beyond": _set("conv", "filters", 10**30), "filters_negative": _set(
    "conv", "filters", -4
  ),
  "filters_zero": _set("conv", "filters", 0), "filters_text": _set(
    "conv", "filters", "four"
  ),
  "units_huge": _set(
    "scores", "units", 2**40
  ),
  "kernel_huge": _set("conv", "kernel_size", [10**6, 10**6]), "kernel_rank": _set(
    "conv", "kernel_size", [3, 3, 3]
  ),
  "strides_zero": _set("conv", "strides", [0, 0]), "groups": _set("conv", "groups", 3),
  "recurrent": _class("pool", "LSTM"), "channels_first": _set(
    "conv", "data_format", "channels_first"
  ),
  "dtype_unknown": _set("conv", "dtype", "float1"),
}  # fmt: skip
# What some Keras may take for good, and some may not.
ODD: dict[str, Change] = {
  "filters_float": _set("conv", "filters", 4.5),
  "layer_twice": _layer_twice, "sequential": _sequential, "deep": _deep,
  "deep_value": _deep_value, "dtype_half": _set("conv", "dtype", "float16"),
  "dtype_text": _set("conv", "dtype", "string"), "dtype_complex": _set(
    "conv", "dtype", "complex64"
  ),
  "dilation_huge": _set("conv", "dilation_rate", [10**6, 10**6]),
  "strides_huge": _set("conv", "strides", [10**9, 10**9]), "padding": _set(
    "conv", "padding", "causal"
  ),
  "axis": _set("norm", "axis", [7]), "axis_text": _set("norm", "axis", "last"),
  "epsilon_nan": _set("norm", "epsilon", float("nan")), "epsilon_big": _set(
    "norm", "epsilon", 1e300
  ),
  "epsilon_negative": _set("norm", "epsilon", -1e9), "scale_text": _set(
    "rescaling", "scale", "255"
  ),
  "scale_nan": _set("rescaling", "scale", float("nan")), "scale_null": _set(
    "rescaling", "scale", None
  ),
  "scale_infinite": _set("rescaling", "scale", 1e308), "config_null": lambda n: (
    layer(n, "rescaling").update(config=None)
  ),
  "config_list": lambda n: layer(n, "rescaling").update(config=[]),
  "nodes_null": lambda n: layer(n, "rescaling").update(inbound_nodes=None),
  "nodes_text": lambda n: layer(n, "rescaling").update(inbound_nodes="image"),
  "name_null": _of_network("name", None), "name_number": _of_network("name", 7),
  **{f"name_{key}": _all_named(name.encode("utf-8", "replace").decode())
     for key, name in places.NAMES.items()},
  **{f"layer_{key}": _renamed(name.encode("utf-8", "replace").decode())
     for key, name in places.NAMES.items()},
  "name_very_long": _all_named("a" * 50_000), "layer_very_long": _renamed("a" * 50_000),
  "layer_empty": _renamed(""), "layer_slash": _renamed("a/b/../c"),
  "layer_nul": _renamed("a\0b"), "layer_surrogate": _renamed("\ud800"),
  "layer_as_another": _renamed("norm"),
}  # fmt: skip
# With these a network is read, and gives no numbers: the error names the layer.
NO_NUMBERS = {
  "epsilon_nan", "epsilon_negative", "scale_infinite", "scale_nan", "scale_text"
}  # fmt: skip
