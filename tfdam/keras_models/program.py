"""A model's graph, with nested models, as a list of operations on numbered values."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.keras_files import errors as keras_errors
from tfdam.keras_models import versions
from tfdam.matching import folding

# What layers raise for a size or a value that they do not accept.
_REFUSALS = (
  TypeError, ValueError, tf.errors.InvalidArgumentError,
  tf.errors.UnimplementedError, tf.errors.AbortedError,  # oneDNN's, of empty maps
)  # fmt: skip
# {number: value} for all values that are still needed.
Values = dict[int, tf.Tensor]


class Operation(NamedTuple):
  """One call of one layer.

  Attributes:
    name: the layer's name, preceded by those of the models around it: "encoder/conv1". The
      second call of the same layer is "conv1@2".
    layer: a Keras layer, or one of Keras 3's operations.
    reads: numbers of its inputs.
    writes: numbers of its outputs.
    shapes: shapes of its outputs; None where a size is open.
    floats: whether each output is of a floating-point type.
    fill: takes {number: value}, and returns the call's (args, kwargs).
    trains: whether a batch norm may use the batch's moments; False if the graph calls it,
      or a model around it, with training=False.
  """

  name: str
  layer: versions.Layer
  reads: tuple[int, ...]
  writes: tuple[int, ...]
  shapes: tuple[versions.Shape, ...]
  floats: tuple[bool, ...]
  fill: Callable[[Mapping[int, tf.Tensor]], Any]
  trains: bool

  def run(
    self,
    values: Mapping[int, tf.Tensor],
    training: bool = False,
    opened: bool = False,
    fused: bool = False,
  ) -> dict[int, tf.Tensor]:
    """Calls the layer.

    Args:
      values: {number: value}, at least those that the operation reads.
      training: for batch norms. All other layers compute as in inference, so that no random
        generator is used, whose state a resumed run would have to restore.
      opened: skips the activation at the end of the layer.
      fused: allows the fused kernel for batch norms of Keras 2 in inference: one pass over
        the map instead of two. Use it only where no gradient is needed.

    Returns:
      {number: value} of the outputs.

    Raises:
      config.UserError: the layer does not accept these values.
    """
    args, kwargs = self.fill(values)
    is_norm = folding.is_batch_norm(self.layer)
    trains = training and is_norm and self.trains
    if versions.takes_training(self.layer):
      kwargs = {**kwargs, "training": trains}
    with contextlib.ExitStack() as changed:
      if opened:
        changed.enter_context(versions.without_activation(self.layer))
      if is_norm and not trains and not fused:
        changed.enter_context(versions.without_fused_kernel(self.layer))
      try:
        outputs = self.layer(*args, **kwargs)
      except _REFUSALS as error:
        if "deterministic" in str(error).lower():
          raise  # runs/run.py explains this one.
        raise self._refused(values, error) from error
    return dict(zip(self.writes, tf.nest.flatten(outputs)))

  def _refused(
    self, values: Mapping[int, tf.Tensor], error: Exception
  ) -> config_lib.UserError:
    shapes = ", ".join(str(values[number].shape) for number in self.reads)
    return config_lib.UserError(
      f"Layer '{self.name}' ({type(self.layer).__name__}) takes no {shapes}:"
      f" {keras_errors.reason(error)}. Give images of a size that every layer of the"
      " network takes, or mend the layer."
    )


class Program(NamedTuple):
  """The operations of a model with one input and one output.

  Attributes:
    operations: in an order in which inputs precede their use.
    input: number of the images.
    output: number of the model's output.
  """

  operations: tuple[Operation, ...]
  input: int
  output: int

  def last_uses(self) -> dict[int, int]:
    """{number of a value: index of the last operation that reads it}."""
    return {i: place for place, one in enumerate(self.operations) for i in one.reads}


def read(model: Any) -> Program:
  """Flattens a model with a graph (versions.graph), one input and one output."""
  reader = _Reader()
  found = versions.graph(model)
  inputs, outputs = versions.ends(found)
  start = reader.number()
  values = reader.walk(found, "", dict(zip(inputs, [start])), True)
  return Program(tuple(reader.operations), start, values[outputs[0]])


class _Reader:
  """Numbers values and collects operations."""

  def __init__(self) -> None:
    self.operations: list[Operation] = []
    self._count = 0
    self._calls: dict[str, int] = {}

  def number(self) -> int:
    self._count += 1
    return self._count - 1

  def walk(
    self, found: Any, prefix: str, numbers: Mapping[int, int], trains: bool
  ) -> dict[int, int]:
    """Adds the operations of one graph.

    Args:
      found: the graph.
      prefix: prefix of the operations' names; it ends with a slash if it is not empty.
      numbers: {id of a symbolic input: its value's number}.
      trains: whether batch norms in the graph may use the batch's moments.

    Returns:
      {id of a symbolic tensor: its value's number}, for all tensors of the graph.
    """
    known = dict(numbers)
    for node in versions.nodes(found):
      inner = versions.graph(node.layer)
      name = f"{prefix}{node.layer.name}"
      may_train = trains and node.training is not False
      if inner is not None:
        inputs, outputs = versions.ends(inner)
        given = dict(zip(inputs, (known[i] for i in node.reads)))
        values = self.walk(inner, f"{name}/", given, may_train)
        known.update(zip(node.writes, (values[i] for i in outputs)))
        continue
      known.update({i: self.number() for i in node.writes})
      self.operations.append(self._operation(name, node, known, may_train))
    return known

  def _operation(
    self, name: str, node: versions.Node, known: Mapping[int, int], trains: bool
  ) -> Operation:
    calls = self._calls[name] = self._calls.get(name, 0) + 1
    numbers = {i: known[i] for i in node.reads}

    def fill(values: Mapping[int, tf.Tensor]):
      return node.fill({i: values[number] for i, number in numbers.items()})

    return Operation(
      name if calls == 1 else f"{name}@{calls}",
      node.layer,
      tuple(known[i] for i in node.reads),
      tuple(known[i] for i in node.writes),
      node.shapes,
      node.floats,
      fill,
      trains,
    )


def readers(operations: Iterable[Operation]) -> dict[int, list[Operation]]:
  """{number of a value: the operations that read it}."""
  found: dict[int, list[Operation]] = {}
  for one in operations:
    for number in dict.fromkeys(one.reads):
      found.setdefault(number, []).append(one)
  return found


def times_called(operations: Iterable[Operation]) -> dict[int, int]:
  """{id of a layer: how many operations call it}."""
  counts: dict[int, int] = {}
  for one in operations:
    counts[id(one.layer)] = counts.get(id(one.layer), 0) + 1
  return counts
