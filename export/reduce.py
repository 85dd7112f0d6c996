"""Smaller numbers for the car: float16, and int8 calibrated on target images."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from export import backends
from export import contract as contract_lib
from export import samples as samples_lib

if TYPE_CHECKING:
  import onnx

# What computes in int8; the rest, such as the resize of scores, stays float32.
_QUANTIZED = ("Conv", "MatMul", "Gemm", "Add", "Concat", "MaxPool", "Relu", "Mul")
# What an image's own moments are made of, and what is made of them.
_MEANS = ("GlobalAveragePool", "ReduceMean")
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Reciprocal", "Reshape")


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
  """The same graph in half precision; inputs and outputs keep their types."""
  from onnxruntime.transformers import float16

  # Max and Min compute sizes here, in integers: casts to float32 around them are no ONNX.
  blocked = [name for name in float16.DEFAULT_OP_BLOCK_LIST if name not in ("Max", "Min")]
  return float16.convert_float_to_float16(
    model, keep_io_types=True, disable_shape_infer=False, op_block_list=blocked
  )


def to_int8(
  model: onnx.ModelProto,
  contract: contract_lib.Contract,
  samples: samples_lib.Samples,
  indices: Sequence[int],
) -> onnx.ModelProto:
  """Static quantisation (QDQ): weights symmetric a channel, activations symmetric.

  Weights take 7 of their 8 bits: without VNNI, x86 adds two products in 16 bits, which
  saturate with 8.

  Args:
    samples: unlabelled training images of the target: the domain that it will see.
    indices: which of them calibrate.
  """
  import onnx
  from onnxruntime import quantization
  from onnxruntime.quantization import shape_inference

  with tempfile.TemporaryDirectory() as folder:
    plain, prepared, made = (
      os.path.join(folder, f"{name}.onnx") for name in ("plain", "prepared", "made")
    )
    onnx.save(model, plain)
    shape_inference.quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    found = onnx.load(prepared)
    quantization.quantize_static(
      prepared,
      made,
      _Reader(contract, samples, indices),
      quant_format=quantization.QuantFormat.QDQ,
      op_types_to_quantize=list(_QUANTIZED),
      nodes_to_exclude=[*_preparation(found), *_statistics(found)],
      per_channel=True,
      activation_type=quantization.QuantType.QInt8,
      weight_type=quantization.QuantType.QInt8,
      reduce_range=True,
      extra_options={
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,  # TensorRT 8 refuses int32 to dequantise
      },
    )
    return onnx.load(made)


def _preparation(model: onnx.ModelProto) -> list[str]:
  """Names of the nodes that scale and resize images: what a camera sees has 256 steps."""
  before = itertools.takewhile(lambda node: node.op_type != "Conv", model.graph.node)
  return [node.name for node in before]


def _statistics(model: onnx.ModelProto) -> list[str]:
  """Names of the nodes in which norms look at each image, from its means on.

  A variance has twice the range of what it is the variance of, and a norm divides by it:
  255 steps are too few for either.
  """
  found: list[str] = []
  reached: set[str] = set()
  for node in model.graph.node:  # in the order of computation
    if node.op_type in _MEANS or (node.op_type in _ARITHMETIC and reached & {*node.input}):
      reached.update(node.output)
      found.append(node.name)
  return found


class _Reader:
  """Feeds calibration images, as `quantize_static` asks for them."""

  def __init__(
    self,
    contract: contract_lib.Contract,
    samples: samples_lib.Samples,
    indices: Sequence[int],
  ):
    self._layout = contract.layout
    self._images: Iterator[np.ndarray] = (samples.read_image(i) for i in indices)

  def get_next(self) -> dict[str, np.ndarray] | None:
    image = next(self._images, None)
    if image is None:
      return None
    return {contract_lib.INPUT: backends.arranged(image[np.newaxis], self._layout)}
