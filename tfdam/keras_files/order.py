"""Checks that the layers of a Keras network can be called one after the other.

Keras 2 defers a call until its inputs exist. If they never do, it loops for ever. Imports
no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Keras' own networks of layers.
_NETWORKS = ("Functional", "Model", "Sequential")
_CONSTANT = "_CONSTANT_VALUE"
# A reference: a layer's name and the number of its call (of any type in a damaged file).
_Call = tuple[str, object]


def waiting(config: Any) -> list[str]:
  """Names of layers that wait for a call that never happens; empty if there are none.

  Args:
    config: parsed JSON of a Functional network, {"layers": [...]}. For any other network,
      the result is empty.
  """
  layers = config.get("layers") if isinstance(config, dict) else None
  if not isinstance(layers, list):
    return []
  made: set[_Call] = set()
  firsts: dict[str, tuple[int, ...]] = {}
  calls: dict[str, list[set[_Call]]] = {}
  inputs: set[str] = set()
  for layer in layers:
    if not isinstance(layer, dict) or "inbound_nodes" not in layer:
      return []  # Not a Functional network, or one that Keras refuses.
    name, nodes = str(layer.get("name")), layer["inbound_nodes"]
    firsts[name] = _firsts(layer)
    every = calls.setdefault(name, [])
    every += (set(_needed(one)) for one in (nodes if isinstance(nodes, list) else ()))
    if layer.get("class_name") == "InputLayer":
      inputs.add(name)
  done = dict.fromkeys(calls, 0)
  moved = True
  while moved:
    moved = False
    for name, every in calls.items():
      while done[name] < len(every) and all(
        of in inputs or (of, number) in made for of, number in every[done[name]]
      ):
        made |= {(name, first + done[name]) for first in firsts[name]}
        done[name] += 1
        moved = True
  return [name for name, every in calls.items() if done[name] < len(every)]


def _firsts(layer: Mapping[str, Any]) -> tuple[int, ...]:
  """The possible numbers of a layer's first call in this network."""
  config = layer.get("config")
  inner = config.get("layers") if isinstance(config, dict) else None
  if not isinstance(inner, list):
    return (0,)
  nodes = layer["inbound_nodes"]
  is_of_keras_3 = isinstance(nodes, list) and any(isinstance(one, dict) for one in nodes)
  if layer.get("class_name") not in _NETWORKS or is_of_keras_3:
    return (0, 1)  # This depends on the user's class, or on the version of Keras 3.
  is_begun = not inner or (
    isinstance(inner[0], dict) and inner[0].get("class_name") == "InputLayer"
  )
  # For Keras 2, call number 0 of a network is the one made when it was built.
  return (1,) if is_begun else (0,)


def _needed(call: Any, is_argument: bool = False) -> Iterator[_Call]:
  """Yields the calls that a call needs: ["name", number, output, {arguments}], nested.

  Args:
    call: parsed JSON of a call, or a part of it.
    is_argument: whether this is an argument's value, which may be a list of strings.
  """
  if isinstance(call, dict):
    for value in call.values():
      yield from _needed(value, True)
  elif isinstance(call, list):
    if len(call) in (3, 4) and isinstance(call[0], str):
      of, number, *call = call
      is_hashable = number is None or isinstance(number, (str, float))
      is_call = isinstance(number, int) or (is_hashable and not is_argument)
      if is_call and of != _CONSTANT:
        yield of, number
    for value in call:
      yield from _needed(value, is_argument)
