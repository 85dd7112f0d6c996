"""Chooses the range of values that int8's 256 steps cover, from images of the target.

A range that is too wide wastes steps; one that is too narrow clips values. Which method
keeps the most labels depends on the network, so `reduce.to_int8` tries all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfdam import progress

from . import contract as contract_lib

if TYPE_CHECKING:
  import onnx

Range = tuple[np.float32, np.float32]

# Of equally good methods the first one is taken.
METHODS = ("min-max", "percentile", "entropy")
# "percentile": values beyond it, at either end, are clipped.
_PERCENT = 99.99
# "entropy": bins of the histogram, and bins between two thresholds that are tried.
_BINS, _BINS_APART = 2_048, 16
# The number of values of each activation that are kept over all images.
_VALUES = 400_000
_LOW, _HIGH, _SOME, _MEANS = "__low", "__high", "__some", "__means"


class Seen(NamedTuple):
  """The values of one activation on all images.

  Attributes:
    low: the smallest value.
    high: the largest value.
    values: float32 [N], some of the values, evenly spread over images and positions.
    means: float32 [channels]; None if they were not asked for.
  """

  low: np.float32
  high: np.float32
  values: np.ndarray
  means: np.ndarray | None


def observe(
  model: onnx.ModelProto,
  names: Sequence[str],
  averaged: Collection[str],
  images: Sequence[np.ndarray],
) -> dict[str, Seen]:
  """Runs the images through the network and records activations.

  Args:
    model: the float32 graph.
    names: of float32 tensors of the graph.
    averaged: those among `names`, each [B, C, H, W], whose channel means are wanted.
    images: uint8 batches as the file takes them; read one at a time.

  Returns:
    {tensor: what was seen of it}.
  """
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  watched = _watched(model, names, averaged, max(_VALUES // len(images), 100))
  session = onnxruntime.InferenceSession(
    watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
  )
  wanted = [output.name for output in watched.graph.output][len(model.graph.output) :]
  found: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
  with progress.bar("calibrating", 0, len(images), "images") as shown:
    for done, image in enumerate(images, 1):
      for name, value in zip(wanted, session.run(wanted, {contract_lib.INPUT: image})):
        found[name].append(value)
      shown.update(done, {})
  return {
    name: Seen(
      np.float32(np.min(found[name + _LOW])),
      np.float32(np.max(found[name + _HIGH])),
      np.concatenate(found[name + _SOME]),
      np.mean(found[name + _MEANS], axis=0) if name in averaged else None,
    )
    for name in names
  }


def _watched(
  model: onnx.ModelProto, names: Iterable[str], averaged: Collection[str], count: int
) -> onnx.ModelProto:
  """Returns a copy that also outputs each tensor's extremes and some `count` values.

  The graph computes them because all activations of a large image together would not fit
  into memory.
  """
  import onnx

  copy = onnx.ModelProto()
  copy.CopyFrom(model)
  graph = copy.graph
  constants = {"all": [-1], "first": [0], "last": [2**62], "one": [1], "count": [count]}
  own = {name: f"watched__{name}" for name in constants}
  for name, value in constants.items():
    array = np.array(value, np.int64)
    graph.initializer.append(onnx.numpy_helper.from_array(array, own[name]))

  def add(op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
    graph.node.append(onnx.helper.make_node(op_type, inputs, [output], **attributes))
    return output

  for name in names:
    flat = add("Reshape", [name, own["all"]], f"{name}__flat")
    add("ReduceMin", [flat], name + _LOW, keepdims=0)
    add("ReduceMax", [flat], name + _HIGH, keepdims=0)
    size = add("Shape", [flat], f"{name}__size")
    part = add("Div", [size, own["count"]], f"{name}__part")
    step = add("Add", [part, own["one"]], f"{name}__step")
    add("Slice", [flat, own["first"], own["last"], own["first"], step], name + _SOME)
    ends = {_LOW: [], _HIGH: [], _SOME: [None]}
    if name in averaged:
      add("ReduceMean", [name], name + _MEANS, axes=[0, 2, 3], keepdims=0)
      ends[_MEANS] = [None]
    graph.output.extend(
      onnx.helper.make_tensor_value_info(name + end, onnx.TensorProto.FLOAT, shape)
      for end, shape in ends.items()
    )
  return copy


def range_of(seen: Seen, method: str, is_symmetric: bool) -> Range:
  """Returns the range that the steps cover, its low and its high end.

  Args:
    seen: the activation's values.
    method: in METHODS.
    is_symmetric: whether there are always as many steps below 0 as above.
  """
  if method == "percentile":
    low, high = np.percentile(seen.values, [100 - _PERCENT, _PERCENT])
    return np.float32(low), np.float32(high)
  if method == "entropy":
    limit = _threshold(seen, is_symmetric)
    return max(seen.low, np.float32(-limit)), min(seen.high, np.float32(limit))
  return seen.low, seen.high


def _threshold(seen: Seen, is_symmetric: bool) -> float:
  """Returns the magnitude at which to clip values so that the least information is lost.

  It is the threshold with the least Kullback-Leibler divergence between the distributions
  before and after rounding; Migacz, "8-bit inference with TensorRT" (GTC 2017).
  """
  limit = float(max(-seen.low, seen.high))
  num_steps = 128 if is_symmetric or seen.low < 0 else 256
  counts = np.histogram(np.abs(seen.values), _BINS, (0, limit or 1.0))[0].astype(float)
  # Zeros from a ReLU stay 0 with any step, so they are not counted.
  counts[0] = counts[1]
  divergences = {
    size: _divergence(counts, size, num_steps)
    for size in range(_BINS, num_steps - 1, -_BINS_APART)
  }
  return limit * min(divergences, key=divergences.__getitem__) / _BINS


def _divergence(counts: np.ndarray, size: int, num_steps: int) -> float:
  """Returns the divergence for clipping after `size` bins and rounding to `num_steps`.

  Clipped values count in the last bin that is kept.
  """
  kept = counts[:size]
  starts = np.arange(num_steps) * size // num_steps
  widths = np.diff(np.append(starts, size))
  filled = np.maximum(np.add.reduceat(np.minimum(kept, 1), starts), 1)
  rounded = np.repeat(np.add.reduceat(kept, starts) / filled, widths) * (kept > 0)
  whole = kept.copy()
  whole[-1] += counts[size:].sum()
  here = whole > 0
  if not here.any():
    return np.inf
  p = whole[here] / whole.sum()
  q = np.maximum(rounded[here] / max(rounded.sum(), 1), 1e-12)
  return float(np.sum(p * np.log(p / q)))
