"""All differences between Keras 2 and Keras 3.

Keras 2 is `tf.keras`: TensorFlow 2.15's own, or tf-keras. Keras 3 is the package `keras`
that comes with a newer TensorFlow. Neither is imported here: a model's classes show which
Keras it belongs to.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import tensorflow as tf

# A Keras layer, or one of Keras 3's operations.
Layer = Any
Shape = tuple[Optional[int], ...]
_PACKAGES = ("keras", "tf_keras")


class Node(NamedTuple):
  """One call of a layer in a model's graph.

  Attributes:
    layer: the layer that was called, or a nested model.
    reads: ids of the symbolic inputs, flat, in order.
    writes: ids of the symbolic outputs.
    shapes: shapes of the outputs; None where a size is open.
    floats: whether each output is of a floating-point type.
    fill: takes {id: tensor} for `reads`, and returns the call's (args, kwargs).
    training: the value of `training` that is fixed in the graph; None if there is none.
  """

  layer: Layer
  reads: tuple[int, ...]
  writes: tuple[int, ...]
  shapes: tuple[Shape, ...]
  floats: tuple[bool, ...]
  fill: Callable[[Mapping[int, tf.Tensor]], tuple[Sequence[Any], Mapping[str, Any]]]
  training: bool | None


def version(thing: Any) -> int:
  """The Keras version of an object or its base classes, 2 or 3; 0 for other objects."""
  for kind in type(thing).__mro__:
    package = kind.__module__.partition(".")[0]
    if package == "tf_keras":
      return 2
    if package == "keras":
      return int(sys.modules["keras"].__version__.partition(".")[0])
  return 0


def graph(model: Any) -> Any:
  """The object that holds a model's graph: the model, or Keras 3's inside a Sequential.

  Returns:
    None for objects without a graph: a layer, a subclassed model, or a Sequential that has
    not seen an input yet.
  """
  if not version(model) or not hasattr(model, "layers"):
    return None
  call = type(model).call
  if str(call.__module__).partition(".")[0] not in _PACKAGES:
    return None  # A `call` of the user's may compute something other than the graph.
  if kind_name(model) == "Sequential":
    if version(model) == 3:
      return model._functional
    return model if model._graph_initialized else None
  return model if hasattr(model, "_nodes_by_depth") else None


def kind_name(model: Any) -> str:
  """The name of a model's first Keras base class: Functional, Sequential or Model."""
  for ancestor in type(model).__mro__:
    if ancestor.__module__.partition(".")[0] in _PACKAGES:
      return ancestor.__name__
  return ""


def ends(found: Any) -> tuple[list[int], list[int]]:
  """Returns (ids of a graph's symbolic inputs, ids of its outputs)."""
  return [id(x) for x in found.inputs], [id(x) for x in found.outputs]


def nodes(found: Any) -> Iterator[Node]:
  """Yields a graph's calls, without inputs, in the order in which Keras computes them."""
  for depth in sorted(found._nodes_by_depth, reverse=True):
    for node in found._nodes_by_depth[depth]:
      if not node.is_input:
        yield _node_2(node) if version(found) == 2 else _node_3(node)


def _node_2(node: Any) -> Node:
  reads = tuple(int(i) for i in node.flat_input_ids)

  def fill(values: Mapping[int, tf.Tensor]):
    # Keras pops a tensor from a list at each use.
    return node.map_arguments({str(i): [values[i]] * reads.count(i) for i in reads})

  training = node.call_kwargs.get("training")
  training = training if isinstance(training, bool) else None
  ids, shapes, floats = _symbolic(tf.nest.flatten(node.outputs))
  return Node(node.layer, reads, ids, shapes, floats, fill, training)


def _node_3(node: Any) -> Node:
  reads = tuple(id(x) for x in node.input_tensors)

  def fill(values: Mapping[int, tf.Tensor]):
    return node.arguments.fill_in(values)

  # Keras 3 records a `training` for every layer that takes one, and ignores it.
  ids, shapes, floats = _symbolic(node.outputs)
  return Node(node.operation, reads, ids, shapes, floats, fill, None)


def _symbolic(
  tensors: Sequence[Any],
) -> tuple[tuple[int, ...], tuple[Shape, ...], tuple[bool, ...]]:
  """Returns (ids, shapes, whether of a floating-point type) of symbolic tensors."""
  shapes = tuple(tuple(x.shape) for x in tensors)
  floats = tuple(tf.as_dtype(x.dtype).is_floating for x in tensors)
  return tuple(id(x) for x in tensors), shapes, floats


def takes_training(layer: Layer) -> bool:
  """Whether a layer's calls take `training`."""
  if version(layer) == 2:
    return bool(layer._expects_training_arg)
  return bool(getattr(layer, "_call_has_training_arg", False))


@contextlib.contextmanager
def without_activation(layer: Layer) -> Iterator[None]:
  """Within this context, the layer computes its output without its activation."""
  activation = layer.activation
  layer.activation = None
  try:
    yield
  finally:
    layer.activation = activation


@contextlib.contextmanager
def without_fused_kernel(layer: Layer) -> Iterator[None]:
  """Within this context, a batch norm of Keras 2 uses plain operations, as Keras 3's does.

  In inference the fused kernel has no deterministic gradient on GPUs (TensorFlow's
  documentation of enable_op_determinism), and it is not faster on CPUs.
  """
  is_fused = getattr(layer, "fused", False)
  if is_fused:
    layer.fused = False
  try:
    yield
  finally:
    if is_fused:
      layer.fused = True


def activation(layer: Layer) -> Any:
  """A layer's activation function; None if it has none, or the identity."""
  found = getattr(layer, "activation", None)
  return None if getattr(found, "__name__", "") == "linear" else found


def variable(value: Any) -> tf.Variable:
  """The TensorFlow variable of a Keras variable, which Keras 3 wraps."""
  return value.value if version(value) == 3 else value


def custom_objects(model: Any, objects: Mapping[str, type]):
  """A scope in which the model's Keras finds these classes by name."""
  if version(model) == 3:
    return sys.modules["keras"].saving.custom_object_scope(dict(objects))
  return tf.keras.utils.custom_object_scope(dict(objects))
