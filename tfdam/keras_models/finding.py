"""Finds the sites of a graph: layers that take a scale and a shift (Sec. 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tfdam.keras_models import program as program_lib
from tfdam.keras_models import versions
from tfdam.matching import folding

_BATCH_NORM = "BatchNormalization"
# Layers that only move, drop, pool or prepare values, and so are no useful taps.
_CARRIERS = (
  "Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout",
  "GaussianNoise", "Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D",
  "UpSampling2D", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D",
  "GlobalMaxPooling2D", "Rescaling", "Normalization", "Resizing", "CenterCrop",
  "RandomFlip", "RandomCrop", "RandomRotation", "RandomZoom", "RandomContrast",
  "RandomBrightness", "RandomTranslation", "Cast", "InputLayer",
)  # fmt: skip
_NORMS = ("BatchNormalization", "LayerNormalization", "GroupNormalization")
# Layers that scale pixels.
_SCALING = ("Rescaling", "Normalization")


class Found(NamedTuple):
  """The sites of a graph.

  Attributes:
    places: indices of the operations that are sites, ascending.
    left_out: {name of an operation with weights: why it is not a site}.
  """

  places: tuple[int, ...]
  left_out: dict[str, str]


def find(program: program_lib.Program) -> Found:
  """Finds every operation whose layer takes a scale and a shift of its output."""
  calls = program_lib.times_called(program.operations)
  readers = program_lib.readers(program.operations)
  places, left_out = [], {}
  for place, one in enumerate(program.operations):
    if not getattr(one.layer, "weights", None):
      continue
    reason = _reason(one, calls, readers)
    if reason:
      left_out[one.name] = reason
    else:
      places.append(place)
  return Found(tuple(places), left_out)


def _reason(
  one: program_lib.Operation,
  calls: Mapping[int, int],
  readers: Mapping[int, list[program_lib.Operation]],
) -> str:
  """Says why an operation is not a site; "" if it is one.

  Args:
    one: an operation with weights.
    calls: {id of a layer: how often it is called}.
    readers: {number of a value: the operations that read it}.
  """
  kind = folding.kind(one.layer)
  if kind in _SCALING:
    return "it prepares images"
  if kind not in folding.KINDS:
    return f"{type(one.layer).__name__} has weights in an order that tfdam does not know"
  num_calls = calls[id(one.layer)]
  if num_calls > 1:
    return f"shared by {num_calls} calls, which may need different scales"
  if getattr(one.layer, "data_format", "channels_last") != "channels_last":
    return "its channels are not the last axis"
  axis = getattr(one.layer, "axis", -1)
  axes = [axis] if isinstance(axis, int) else list(axis)
  rank = len(one.shapes[0])
  if [a % rank for a in axes] != [rank - 1]:
    return "it does not normalise the last axis alone"
  after = readers.get(one.writes[0], [])
  if (
    versions.activation(one.layer) is None
    and len(after) == 1
    and folding.is_batch_norm(after[0].layer)
    and not _reason(after[0], calls, readers)
  ):
    return "the batch norm after it takes the scale and the shift"
  if not folding.can_fold(one.layer):
    missing = "scale or offset" if kind.endswith("Normalization") else "bias"
    return f"it has no {missing} to take the shift"
  return ""


class Logits(NamedTuple):
  """How a model's output becomes logits.

  Attributes:
    output: number of the value that holds the logits, without `opened`'s activation.
    opened: index of the operation whose final softmax is skipped; None if there is none.
    how: a phrase for the report.
  """

  output: int
  opened: int | None
  how: str


def find_logits(program: program_lib.Program) -> Logits:
  """Finds the values before a final softmax; without a softmax, the output itself."""
  last = next(i for i, o in enumerate(program.operations) if program.output in o.writes)
  one = program.operations[last]
  kind = folding.kind(one.layer)
  name = getattr(versions.activation(one.layer), "__name__", "")
  if kind in ("Softmax", "TFOpLambda") and _is_softmax(one.layer, kind):
    return Logits(one.reads[0], None, f"before '{one.name}', a softmax")
  if name in ("softmax", "softmax_v2"):
    if kind == "Activation":
      return Logits(one.reads[0], None, f"before '{one.name}', a softmax")
    return Logits(
      one.writes[0], last, f"'{one.name}' without the softmax that it ends with"
    )
  return Logits(program.output, None, "the output as it is")


def _is_softmax(layer: versions.Layer, kind: str) -> bool:
  return kind == "Softmax" or layer.name.startswith("tf.nn.softmax")


def begins_with_scaling(program: program_lib.Program) -> bool:
  """Whether a layer that scales pixels, or a batch norm, precedes the first kernel."""
  for one in program.operations:
    kind = folding.kind(one.layer)
    if kind in _SCALING:
      return True
    if kind in folding.KINDS:
      return kind == _BATCH_NORM
  return False


def tap_names(program: program_lib.Program, output: int) -> tuple[str, ...]:
  """The names of useful taps, in network order.

  Of a convolution, its norm and its non-linearity, only the last is a tap: an operation is
  skipped if a single elementwise operation follows it.

  Args:
    program: the model's operations.
    output: number of the logits; a softmax after them is skipped.
  """
  left_out = program.output if output != program.output else -1
  operations = [one for one in program.operations if left_out not in one.writes]
  readers = program_lib.readers(operations)
  return tuple(
    one.name for one in operations
    if is_tap(one) and folding.kind(one.layer) not in _CARRIERS
    and not _is_taken_over(one, readers.get(one.writes[0], []))
  )  # fmt: skip


def is_tap(one: program_lib.Operation) -> bool:
  """Whether an operation's output is one tensor of activations, [B, ..., channels]."""
  if len(one.writes) != 1 or not one.floats[0]:
    return False
  return len(one.shapes[0]) >= 2 and one.shapes[0][-1] is not None


def _is_taken_over(one: program_lib.Operation, readers) -> bool:
  if len(readers) != 1:
    return False
  reader = readers[0]
  kind = folding.kind(reader.layer)
  has_kernel = kind in folding.KINDS and kind not in _NORMS
  same_shape = reader.shapes[:1] == one.shapes[:1]
  return same_shape and not has_kernel and kind not in _CARRIERS
