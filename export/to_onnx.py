"""Converts the exported function to an ONNX file that ONNX Runtime and TensorRT take."""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib

from . import contract as contract_lib
from . import module as module_lib

if TYPE_CHECKING:
  import onnx

OPSET = 17
# Operators of a network with a static size. Before a new one is added: is there a kernel
# for it in ONNX Runtime, in TensorRT, and in int8?
_ALLOWED = frozenset({
  "Add", "ArgMax", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Flatten",
  "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "Mul", "Pad", "Reciprocal", "Relu",
  "Reshape", "Resize", "Slice", "Softmax", "Sqrt", "Squeeze", "Sub", "Transpose",
  "Unsqueeze",
})  # fmt: skip
# Further operators for images of any size, or any number of images.
_ALLOWED_DYNAMIC = _ALLOWED | {
  "BatchToSpaceND", "ConstantOfShape", "Equal", "Expand", "Gather", "Max", "Min", "Mod",
  "Neg", "Range", "ReduceProd", "Shape", "Tile", "Where", "Ceil", "Floor", "Identity",
  "And", "Less", "Split",
}  # fmt: skip
# Further operators of users' own networks; ONNX Runtime and TensorRT have kernels for them.
_ALLOWED_FILES = _ALLOWED_DYNAMIC | {
  "AveragePool", "BatchNormalization", "DepthToSpace", "Elu", "Erf", "Exp", "HardSigmoid",
  "HardSwish", "InstanceNormalization", "LeakyRelu", "Log", "PRelu", "Pow", "ReduceMax",
  "ReduceMean", "ReduceSum", "ReduceSumSquare", "Selu", "Sigmoid", "Softplus", "Softsign",
  "SpaceToDepth", "Sum", "Tanh",
}  # fmt: skip
_ALLOWED_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear"})
# One at each end (plus one for each extra output), with ONNX's channel order in between.
MAX_TRANSPOSES = 2


def convert(function, contract: contract_lib.Contract) -> onnx.ModelProto:
  """Converts the function and checks the result.

  Args:
    function: what `module.traced` returned for the contract's batch, not jit-compiled.
    contract: its inputs and outputs.

  Raises:
    config.UserError: tf2onnx is not installed, or the file would hold operators that
      runtimes do not have.
  """
  tf2onnx = _tf2onnx()
  run = _without_captures(function)

  def named(image):
    outputs = run(image)
    chosen = {name: outputs[name] for name in contract.extra_outputs}
    labels = outputs[contract_lib.LABELS]
    return {contract_lib.LABELS: tf.cast(labels, contract.label_dtype), **chosen}

  signature = function.input_signature
  is_nchw = contract.layout == "nchw"
  maps = contract.extra_outputs if contract.is_segmentation else ()
  model, _ = tf2onnx.convert.from_function(
    tf.function(named, input_signature=signature),
    input_signature=signature,
    opset=OPSET,
    inputs_as_nchw=[contract_lib.INPUT] if is_nchw else None,
    outputs_as_nchw=list(maps) if is_nchw else None,
  )
  _name_axes(model, contract)
  _write_pads_out(model)
  _mend_resizes(model)
  if contract.label_dtype == "uint8":
    _cast_by_way_of_float(model)
  check(model, contract)
  return model


def _without_captures(function):
  """Returns the function with captured tensors as constants.

  Keras' Normalization captures tensors, which tf2onnx would take for inputs.
  """
  traced = function.get_concrete_function()
  if all(tensor.dtype == tf.resource for tensor, _ in traced.graph.captures):
    return function
  constants = module_lib.frozen(function)
  names = sorted(traced.structured_outputs)
  return lambda image: dict(zip(names, constants(image)))


def _tf2onnx():
  contract_lib.check_writer("onnx")
  import tf2onnx

  tf2onnx.logging.set_level(tf2onnx.logging.WARNING)
  # Otherwise tf2onnx copies graph and weights before each of its optimisers (more than 20
  # GB for VGG16), and continues if one of them fails.
  os.environ.setdefault("TF2ONNX_CATCH_ERRORS", "FALSE")
  return tf2onnx


def _name_axes(model: onnx.ModelProto, contract: contract_lib.Contract) -> None:
  """Gives inputs and outputs the contract's shapes, with names for axes that may vary."""
  batch = None if contract.dynamic_batch else 1
  shapes = {
    contract_lib.INPUT: contract.image_shape(batch, contract.layout),
    **contract.output_shapes(batch, contract.layout),
  }
  for value in (*model.graph.input, *model.graph.output):
    value.type.tensor_type.shape.ClearField("dim")
    for i, size in enumerate(shapes[value.name]):
      dimension = value.type.tensor_type.shape.dim.add()
      if size is None:
        free = "batch" if i == 0 else f"size{i}"
        dimension.dim_param = free
      else:
        dimension.dim_value = size


def _write_pads_out(model: onnx.ModelProto) -> None:
  """Writes the padding of convolutions without strides as numbers.

  For dynamic sizes tf2onnx writes SAME_UPPER, which ONNX Runtime refuses for dilated
  convolutions. Without strides the padding does not depend on the size.
  """
  import onnx

  for node in model.graph.node:
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type != "Conv" or found.get("auto_pad") != b"SAME_UPPER":
      continue
    kernel = found["kernel_shape"]
    if set(found.get("strides", [1])) != {1}:
      continue
    dilations = found.get("dilations", [1] * len(kernel))
    totals = [d * (k - 1) for d, k in zip(dilations, kernel)]
    pads = [*(t // 2 for t in totals), *(t - t // 2 for t in totals)]
    kept = [a for a in node.attribute if a.name not in ("auto_pad", "pads")]
    node.ClearField("attribute")
    node.attribute.extend([*kept, onnx.helper.make_attribute("pads", pads)])


def _mend_resizes(model: onnx.ModelProto) -> None:
  """Corrects the inputs and the mode of Resize operators.

  Factors are rounded up if their product misses the size: in float32, 376 rows times
  512 / 376 are 511.99997, and runtimes make 511 rows of them.

  Empty inputs are removed, because the converter to float16 and ONNX's evaluator fail on an
  empty region of interest.

  If the size is known, the mode is "pytorch_half_pixel" instead of "half_pixel"; these
  differ only in results of one pixel. For "half_pixel", ONNX Runtime on a CPU works in
  blocks of channels, and reordering all scores afterwards took 5 % of a full ERFNet's time.
  """
  import onnx

  graph = model.graph
  constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
  for node in graph.node:
    if node.op_type != "Resize":
      continue
    inputs = [
      "" if name in constants and not constants[name].size else name for name in node.input
    ]
    if inputs[2] in constants:
      _say_as_pytorch(node)
      # Again for each resize: the shapes after one are wrong until it is corrected.
      inferred = onnx.shape_inference.infer_shapes(model).graph
      sizes = next(
        [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input)
        if value.name == inputs[0]
      )
      factors = [_reaching(*pair) for pair in zip(sizes, constants[inputs[2]])]
      inputs[2] = f"{node.name}__factors"
      graph.initializer.append(
        onnx.numpy_helper.from_array(np.array(factors, np.float32), inputs[2])
      )
    node.ClearField("input")
    node.input.extend(inputs)
  used = {name for node in graph.node for name in node.input}
  kept = [tensor for tensor in graph.initializer if tensor.name in used]
  graph.ClearField("initializer")
  graph.initializer.extend(kept)


def _say_as_pytorch(resize: onnx.NodeProto) -> None:
  for attribute in resize.attribute:
    if attribute.s == b"half_pixel":
      attribute.s = b"pytorch_half_pixel"


def _cast_by_way_of_float(model: onnx.ModelProto) -> None:
  """Casts labels to uint8 by way of float32, because TensorRT casts only floats to uint8.

  In the TensorFlow function, tf2onnx would optimise this cast away.
  """
  import onnx

  graph = model.graph
  place, last = next(
    (i, node) for i, node in enumerate(graph.node) if contract_lib.LABELS in node.output
  )
  assert last.op_type == "Cast", last.op_type
  between = f"{contract_lib.LABELS}__float"
  detour = onnx.helper.make_node(
    "Cast", [last.input[0]], [between], name=between, to=onnx.TensorProto.FLOAT
  )
  last.input[0] = between
  graph.node.insert(place, detour)


def _reaching(size: int, factor: np.float32) -> np.float32:
  """Returns the factor, increased until `size` times it reaches the intended whole number.

  Args:
    size: in pixels; 0 if it may vary.
    factor: of the Resize.
  """
  while size * float(factor) < round(size * float(factor)):
    factor = np.nextafter(factor, np.float32(np.inf))
  return factor


def describe(model: onnx.ModelProto, properties: Mapping[str, object]) -> None:
  """Writes properties into the file; a session reads them as `custom_metadata_map`."""
  import onnx

  onnx.helper.set_model_props(
    model, {key: str(value) for key, value in sorted(properties.items())}
  )


def check(model: onnx.ModelProto, contract: contract_lib.Contract) -> None:
  """Raises config.UserError if the file is no valid ONNX or has unknown operators.

  tf2onnx writes operations that it cannot convert into the file as if they were operators.
  """
  import onnx

  try:
    onnx.checker.check_model(model, full_check=True)
  except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
    raise config_lib.UserError(
      f"The converted {contract.network} is no valid ONNX: {str(error).splitlines()[0]}."
      " Set --formats=saved_model, and report it."
    ) from error
  is_dynamic = contract.dynamic_batch or contract.dynamic_size
  is_file = contract.network == config_lib.KERAS
  allowed = _ALLOWED_DYNAMIC if is_dynamic else _ALLOWED
  allowed = (_ALLOWED_FILES if is_file else allowed) | _ALLOWED_QUANTIZED
  foreign = sorted(
    {
      f"{node.domain}:{node.op_type}" if node.domain else node.op_type
      for node in model.graph.node
      if node.domain not in ("", "ai.onnx") or node.op_type not in allowed
    }
  )
  if foreign:
    raise config_lib.UserError(
      f"The converted {contract.network} holds {', '.join(foreign)}, which export does not"
      " know to run everywhere."
      + (" Leave --dynamic_size out." if contract.dynamic_size else "")
      + " Set --formats=saved_model, or add it to export/to_onnx.py."
    )
  transposes = operators(model)["Transpose"]
  budget = MAX_TRANSPOSES + len(contract.extra_outputs)
  if is_file and not is_dynamic and transposes > budget:
    logging.warning(
      "%d Transposes are in the ONNX file, more than %d: activations are copied back and"
      " forth where the network moves its channels.", transposes, budget,
    )  # fmt: skip
  elif not is_dynamic and transposes > budget:
    raise config_lib.UserError(
      f"The converted {contract.network} has {transposes} Transposes; expected at most"
      f" {budget}: activations would be copied back and forth. Report it."
    )


def operators(model: onnx.ModelProto) -> collections.Counter[str]:
  """Counts the graph's operators."""
  return collections.Counter(node.op_type for node in model.graph.node)


def with_scores(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str, int]:
  """Returns a copy that also outputs the scores of which labels are the argmax.

  The nodes do not change.

  Returns:
    The model, the name of the new output, and its class axis.
  """
  import onnx

  copy = onnx.ModelProto()
  copy.CopyFrom(model)
  makers = {output: node for node in copy.graph.node for output in node.output}
  node = makers[contract_lib.LABELS]
  while node.op_type != "ArgMax":
    node = makers[node.input[0]]
  axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
  scores = node.input[0]
  if scores not in {output.name for output in copy.graph.output}:
    # No type is given: the graph decides it, such as float16.
    copy.graph.output.append(onnx.ValueInfoProto(name=scores))
  return copy, scores, axis
