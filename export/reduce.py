"""Reduces the precision of an ONNX file to float16, or to int8 from target images."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfdam import progress

from . import backends, calibrate
from . import contract as contract_lib
from . import samples as samples_lib

if TYPE_CHECKING:
  import onnx

# Operators that compute in int8; others, such as the resize of scores, stay float32.
_QUANTIZED = ("Conv", "MatMul", "Gemm", "Add", "Concat", "MaxPool", "Relu", "Clip", "Mul")
# Operators that only move numbers; in files for CPUs they move int8.
_MOVING = ("Transpose", "Reshape", "Slice")
# Operators that compute an image's own means, and those that compute with them.
_MEANS = ("GlobalAveragePool", "ReduceMean")
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Reciprocal", "Reshape")
# Operators that may scale an image's bytes to [0, 1].
_SCALING = ("Cast", "Mul", "Transpose", "Reshape")


class Form(NamedTuple):
  """A way to write int8.

  Attributes:
    is_unsigned: whether activations are uint8 with a zero point and biases are int32, as
      the kernels of CPUs need them. If not, activations are int8 around 0 and biases are
      float32, as TensorRT needs them; ONNX Runtime can fuse few of these on a CPU.
  """

  is_unsigned: bool

  @property
  def operators(self) -> tuple[str, ...]:
    """The operators that take and give int8."""
    return (*_QUANTIZED, *_MOVING) if self.is_unsigned else _QUANTIZED


FORMS = {"int8": Form(is_unsigned=True), "int8_tensorrt": Form(is_unsigned=False)}


class Calibration(NamedTuple):
  """Unlabelled images of the target, the domain in which the network will be used.

  Attributes:
    samples: the images.
    indices: the samples from which the ranges of activations are measured.
    held_out: the samples that choose between ways to clip the ranges.
  """

  samples: samples_lib.Samples
  indices: Sequence[int]
  held_out: Sequence[int]


def calibration(samples: samples_lib.Samples, count: int) -> Calibration:
  """Chooses at most `count` images for each purpose, in turn and evenly spread."""
  indices = samples.spread(2 * count)
  return Calibration(samples, indices[::2], indices[1::2] or indices)


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
  """Returns the same graph in half precision; inputs and outputs keep their types."""
  from onnxruntime.transformers import float16

  # Max and Min compute sizes here, in integers; float32 casts around them are not valid.
  blocked = [name for name in float16.DEFAULT_OP_BLOCK_LIST if name not in ("Max", "Min")]
  return float16.convert_float_to_float16(
    model, keep_io_types=True, disable_shape_infer=False, op_block_list=blocked
  )


def to_int8(
  model: onnx.ModelProto,
  contract: contract_lib.Contract,
  images: Calibration,
  precision: str = "int8",
) -> tuple[onnx.ModelProto, dict[str, Any]]:
  """Quantises a graph statically (QDQ), with symmetric weights per channel.

  Weights use 7 of their 8 bits. Without VNNI, x86 adds two products in 16 bits, which
  overflow with 8-bit weights; with VNNI, 7 bits are as fast.

  Args:
    model: the float32 graph.
    contract: its inputs and outputs.
    images: for the ranges of activations.
    precision: in FORMS.

  Returns:
    The file; and {"method": one of calibrate.METHODS, "images" and "held_out": the numbers
    of images, "label_agreement": {method: share of held-out labels equal to float32's}}.
  """
  form = FORMS[precision]
  prepared = _prepared(model)
  excluded = [*_preparation(prepared), *_statistics(prepared), *_one_sided(prepared)]
  feeds = _Feeds(images, contract.layout)
  convolved = {node.input[0] for node in prepared.graph.node if node.op_type == "Conv"}
  names = _activations(prepared, excluded, form)
  seen = calibrate.observe(prepared, names, convolved & {*names}, feeds)
  entry = _entry(prepared)
  takes_bytes = form.is_unsigned and entry in seen
  files = {}
  for method in calibrate.METHODS:
    ranges = {
      name: calibrate.range_of(value, method, is_symmetric=not form.is_unsigned)
      for name, value in seen.items()
    }
    if takes_bytes:
      ranges[entry] = np.float32(0), np.float32(1)
    files[method] = _quantized(prepared, ranges, excluded, form)
    _correct_biases(files[method], prepared, seen)
    if takes_bytes:
      _take_bytes(files[method], entry)
  shares = _agreement(model, files, contract, images)
  method = max(shares, key=shares.__getitem__)
  return files[method], {
    "method": method, "images": len(images.indices), "held_out": len(images.held_out),
    "label_agreement": shares,
  }  # fmt: skip


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
  """Returns the model simplified, with the types and shapes of inner tensors."""
  import onnx
  from onnxruntime.quantization import shape_inference

  with tempfile.TemporaryDirectory() as folder:
    plain, prepared = (os.path.join(folder, f"{name}.onnx") for name in ("plain", "made"))
    onnx.save(model, plain)
    shape_inference.quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    made = onnx.load(prepared)
  _pool_after_relu(made)
  return onnx.shape_inference.infer_shapes(made)


def _pool_after_relu(model: onnx.ModelProto) -> None:
  """Moves ReLUs before the poolings that precede them, so that convolutions fuse them."""
  graph = model.graph
  for pool in [node for node in graph.node if node.op_type == "MaxPool"]:
    takers = [node for node in graph.node if pool.output[0] in node.input]
    if [node.op_type for node in takers] != ["Relu"]:
      continue
    (relu,) = takers
    graph.node.remove(relu)
    relu.input[0], pool.input[0] = pool.input[0], relu.input[0]
    relu.output[0], pool.output[0] = pool.output[0], relu.output[0]
    graph.node.insert([*graph.node].index(pool), relu)
  graph.ClearField("value_info")  # the tensors in between are larger now


def _preparation(model: onnx.ModelProto) -> list[str]:
  """Returns the names of the nodes that scale and resize images, which stay float32."""
  nodes = list(model.graph.node)  # in the order of computation
  first = next((i for i, node in enumerate(nodes) if node.op_type == "Conv"), 0)
  wanted, found = {*nodes[first].input}, []
  for node in reversed(nodes[:first]):
    if wanted & {*node.output}:
      wanted.update(node.input)
      found.append(node.name)
  return found


def _statistics(model: onnx.ModelProto) -> list[str]:
  """Returns the names of the nodes in which norms use each image's own moments.

  They stay float32: variances span the square of the activations' range, and norms divide
  by them, so that 255 steps are too few.
  """
  found: list[str] = []
  reached: set[str] = set()
  for node in model.graph.node:  # in the order of computation
    if node.op_type in _MEANS or (node.op_type in _ARITHMETIC and reached & {*node.input}):
      reached.update(node.output)
      found.append(node.name)
  return found


def _one_sided(model: onnx.ModelProto) -> list[str]:
  """Returns the names of the Clips whose bounds leave out 0; they stay float32.

  Other Clips become the ends of their outputs' ranges. Ranges of int8 always contain 0.
  """
  import onnx

  values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
  found = []
  for node in model.graph.node:
    if node.op_type == "Clip":
      low, high = (*node.input[1:], "", "")[:2]
      above = bool(low) and not np.all(values.get(low, np.inf) <= 0)
      below = bool(high) and not np.all(values.get(high, -np.inf) >= 0)
      if above or below:
        found.append(node.name)
  return found


def _activations(model: onnx.ModelProto, excluded: Sequence[str], form: Form) -> list[str]:
  """Returns the float32 inputs and outputs of the nodes that compute in int8."""
  import onnx

  graph = model.graph
  floats = {
    value.name
    for value in (*graph.value_info, *graph.output)
    if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
  }
  touched = [
    name
    for node in graph.node
    if node.op_type in form.operators and node.name not in excluded
    for name in (*node.input, *node.output)
  ]
  return [name for name in dict.fromkeys(touched) if name in floats]


def _quantized(
  model: onnx.ModelProto,
  ranges: Mapping[str, calibrate.Range],
  excluded: Sequence[str],
  form: Form,
) -> onnx.ModelProto:
  """Returns a copy whose weights and activations are rounded to int8."""
  import onnx
  from onnxruntime import quantization

  copy = onnx.ModelProto()
  copy.CopyFrom(model)
  kinds, method = quantization.QuantType, quantization.CalibrationMethod.MinMax
  # `quantize_static` uses this class too, but after its own calibration.
  quantizer = quantization.QDQQuantizer(
    copy,
    per_channel=True,
    reduce_range=True,
    weight_qType=kinds.QInt8,
    activation_qType=kinds.QUInt8 if form.is_unsigned else kinds.QInt8,
    tensors_range=quantization.calibrate.TensorsData(method, dict(ranges)),
    nodes_to_quantize=[],
    nodes_to_exclude=list(excluded),
    op_types_to_quantize=list(form.operators),
    extra_options={
      "ActivationSymmetric": not form.is_unsigned,
      "WeightSymmetric": True,
      "QuantizeBias": form.is_unsigned,  # TensorRT 8 cannot dequantise int32
    },
  )
  with _without_details():
    quantizer.quantize_model()
  quantizer.model.topological_sort()
  return quantizer.model.model


@contextlib.contextmanager
def _without_details() -> Iterator[None]:
  """Drops ONNX Runtime's lines on single channels, hundreds where channels are dead."""
  root = logging.getLogger()

  def keep(record: logging.LogRecord) -> bool:
    return record.module != "qdq_quantizer" or record.levelno > logging.INFO

  for handler in root.handlers:
    handler.addFilter(keep)
  try:
    yield
  finally:
    for handler in root.handlers:
      handler.removeFilter(keep)


def _correct_biases(
  quantized: onnx.ModelProto, model: onnx.ModelProto, seen: Mapping[str, calibrate.Seen]
) -> None:
  """Corrects the biases of convolutions for the rounding of their weights.

  After a ReLU no channel's mean is 0, so errors of weights shift the output's mean; Nagel
  et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV
  2019), Sec. 4.2.

  Args:
    quantized: the int8 graph, which is changed.
    model: the float32 graph from which it was made.
    seen: the channel means of the convolutions' inputs.
  """
  import onnx

  array = onnx.numpy_helper.to_array
  exact = {t.name: array(t) for t in model.graph.initializer}
  tensors = {t.name: t for t in quantized.graph.initializer}
  rounded = {
    node.output[0]: tuple(node.input[:2])
    for node in quantized.graph.node
    if node.op_type == "DequantizeLinear" and node.input[0] in tensors
  }
  for before in model.graph.node:
    if before.op_type != "Conv" or before.input[0] not in seen or len(before.input) < 3:
      continue
    after = next(node for node in quantized.graph.node if node.name == before.name)
    weights, means = exact[before.input[1]], seen[before.input[0]].means
    assert means is not None
    steps, scale = (array(tensors[name]) for name in rounded[after.input[1]])
    lost = weights - steps * np.reshape(scale, (-1, *[1] * (weights.ndim - 1)))
    groups = next((a.i for a in before.attribute if a.name == "group"), 1)
    # [groups, filters, channels] by [groups, channels, 1], both of a group.
    of_groups = lost.sum(axis=(2, 3)).reshape(groups, -1, weights.shape[1])
    shift = (of_groups @ means.reshape(groups, -1, 1)).ravel()
    name, step = rounded.get(after.input[2], (after.input[2], None))
    bias = array(tensors[name])
    if step:
      shift = np.rint(shift / array(tensors[step]))
    corrected = (bias + shift).astype(bias.dtype)
    tensors[name].CopyFrom(onnx.numpy_helper.from_array(corrected, name))


def _entry(model: onnx.ModelProto) -> str:
  """Returns the image's tensor after its scaling to [0, 1]; empty if there is none.

  The image may be transposed and reshaped on the way, but not resized.
  """
  import onnx

  graph = model.graph
  values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
  name, scale = contract_lib.INPUT, np.float64(1)
  while True:
    takers = [n for n in graph.node if name in n.input and n.op_type != "Shape"]
    if len(takers) != 1 or takers[0].op_type not in _SCALING:
      return name if np.isclose(scale, 1 / 255) else ""
    (taker,) = takers
    if taker.op_type == "Mul":
      factor = next((values[i] for i in taker.input if i in values), np.array([]))
      if factor.size != 1:
        return ""
      scale = scale * factor.item()
    name = taker.output[0]


def _take_bytes(model: onnx.ModelProto, entry: str) -> None:
  """Makes the network take the image's bytes, without scaling and rounding them.

  With steps of 1/255, rounding the scaled image gives its bytes again.

  Args:
    model: the int8 graph, which is changed.
    entry: what `_entry` found, with a range from 0 to 1.
  """
  graph = model.graph
  graph.ClearField("value_info")  # it says that the bytes are floats
  makers = {name: node for node in graph.node for name in node.output}
  rounding = next(
    node for node in graph.node if node.op_type == "QuantizeLinear" and entry in node.input
  )
  spared, name = [rounding], entry
  while name != contract_lib.INPUT:
    maker = makers[name]
    name = maker.input[0]
    if maker.op_type in ("Cast", "Mul"):
      spared.append(maker)
  for node in spared:
    graph.node.remove(node)
    for taker in graph.node:
      for i, taken in enumerate(taker.input):
        if taken == node.output[0]:
          taker.input[i] = node.input[0]
  used = {name for node in graph.node for name in node.input}
  for constant in [t for t in graph.initializer if t.name not in used]:
    graph.initializer.remove(constant)


def _agreement(
  model: onnx.ModelProto,
  files: Mapping[str, onnx.ModelProto],
  contract: contract_lib.Contract,
  images: Calibration,
) -> dict[str, float]:
  """Returns {method: the share of held-out labels on which file and model agree}."""
  expected = backends.of_onnx(model, contract)
  runs = {method: backends.of_onnx(file, contract) for method, file in files.items()}
  equal: dict[str, list[float]] = {method: [] for method in files}
  with progress.bar("choosing ranges", 0, len(images.held_out), "images") as shown:
    for done, i in enumerate(images.held_out, 1):
      image = images.samples.read_image(i)
      labels = expected(image).labels
      for method, run in runs.items():
        equal[method].append(float(np.mean(run(image).labels == labels)))
      shown.update(done, {})
  return {method: float(np.mean(shares)) for method, shares in equal.items()}


class _Feeds(Sequence):
  """The calibration images as the file takes them, read when needed."""

  def __init__(self, images: Calibration, layout: str):
    self._images = images
    self._layout = layout

  def __len__(self) -> int:
    return len(self._images.indices)

  def __getitem__(self, i):
    image = self._images.samples.read_image(self._images.indices[i])
    return backends.arranged(image[np.newaxis], self._layout)
