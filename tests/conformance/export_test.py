"""What every network in the registry must do when it is exported."""

import copy
import functools

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from export import (
  backends,
  contract,
  module,
  parity,
  pipeline,
  reduce,
  samples,
  to_onnx,
  to_saved_model,
)
from tests import exported, networks
from tfdam import models
from tfdam.models import conv_norm

# What may stand in ERFNet's file, by the issue that asked for it: convolutions and what
# lies between them, one enlargement, one choice of the likeliest class.
_ERFNET = {
  "Conv", "Relu", "MaxPool", "Concat", "Add", "Resize", "ArgMax", "Cast", "Mul", "Div",
  "Sub", "Transpose",
}  # fmt: skip


@functools.cache
def converted(name):
  """A small network, its contract, and its ONNX model: tests only read them."""
  inference, contract = exported.make(name)
  model = to_onnx.convert(module.traced(inference, contract, 1), contract)
  return inference, contract, model


def compared(inference, contract, backend):
  keras = backends.of_function(module.traced(inference, contract, None))
  images = parity.probes(contract, None)
  return parity.compare(
    {name: keras(image) for name, image in images.items()},
    {name: backend(image) for name, image in images.items()},
  )


def test_every_network_has_a_small_one_here():
  assert set(map(networks.kind, networks.SMALL)) == set(models.MODELS)


@pytest.mark.parametrize("name", networks.SMALL)
def test_onnx_computes_what_keras_computes(name):
  inference, contract, model = converted(name)
  found = compared(inference, contract, backends.of_onnx(model, contract))
  parity.check(name, parity.FLOAT32, found, None)


@pytest.mark.parametrize("name", networks.SMALL)
def test_a_saved_model_computes_what_keras_computes(name, tmp_path):
  inference, contract, _ = converted(name)
  to_saved_model.write(inference, contract, str(tmp_path / "1"))
  found = compared(inference, contract, backends.of_session(str(tmp_path / "1")))
  parity.check(name, parity.FLOAT32, found, None)


@pytest.mark.parametrize("name", networks.SMALL)
def test_batch_norms_and_paddings_are_folded(name):
  _, _, model = converted(name)
  kinds = to_onnx.operators(model)
  assert "BatchNormalization" not in kinds
  # FCN8s pads its images by 100. Convolutions take other paddings themselves.
  assert not kinds["Pad"] or name == "fcn8s", "a padding is a node of its own"
  assert kinds["Transpose"] <= 2
  assert len(model.graph.output) == 1


def test_erfnet_is_convolutions_and_little_else():
  inference, _, model = converted("erfnet")
  kinds = to_onnx.operators(model)
  assert set(kinds) <= _ERFNET
  # A norm after a downsampler's concat: at most a product and a sum on the pool's half,
  # beside the product that scales the image.
  blocks = inference.network.blocks
  downsamplers = sum(hasattr(block, "filters") for block in blocks)
  residuals = sum(hasattr(block, "tall1") for block in blocks)
  assert kinds["Mul"] + kinds["Div"] <= downsamplers + 1
  assert kinds["Add"] <= downsamplers + residuals
  assert kinds["Resize"] == kinds["ArgMax"] == 1


@pytest.mark.parametrize("name", ["erfnet", "drn26"])
def test_norms_that_look_at_each_image_go_along(name, tmp_path):
  """With another share than in files of any size, below."""
  inference, contract = exported.make(name, image_moments=0.3)
  saved = str(tmp_path / "1")
  to_saved_model.write(inference, contract, saved)
  model = to_onnx.convert(module.traced(inference, contract, 1), contract)
  norms = sum(isinstance(v, conv_norm.BatchNorm) for v in inference.network.submodules)
  # A mean and a variance each; the operators that move channels do not multiply.
  assert to_onnx.operators(model)["GlobalAveragePool"] == 2 * norms
  assert to_onnx.operators(model)["Transpose"] <= 2
  for backend in (backends.of_session(saved), backends.of_onnx(model, contract)):
    parity.check(name, parity.ENLARGED, compared(inference, contract, backend), None)
  plain, _, _ = converted(name)
  images = parity.probes(contract, None)["random 0"][None]
  assert not np.allclose(
    inference.network(images / 255.0)["logits"], plain.network(images / 255.0)["logits"]
  )


@pytest.mark.parametrize("precision", reduce.FORMS)
def test_int8_leaves_an_images_own_moments_in_float32(precision):
  inference, contract = exported.make("erfnet", image_moments=0.7)
  model = to_onnx.convert(module.traced(inference, contract, 1), contract)
  images = [v for k, v in parity.probes(contract, None).items() if "random" in k]
  images = samples.Samples(len(images), images.__getitem__, None)
  quantized, _ = reduce.to_int8(model, contract, reduce.calibration(images, 4), precision)
  made_by = {output: node for node in quantized.graph.node for output in node.output}
  kinds = to_onnx.operators(quantized)
  norms = sum(isinstance(v, conv_norm.BatchNorm) for v in inference.network.submodules)
  assert kinds["GlobalAveragePool"] == kinds["Sqrt"] * 2 == 2 * norms
  for node in quantized.graph.node:
    if node.op_type == "Conv":
      assert made_by[node.input[0]].op_type == "DequantizeLinear"
    if node.op_type == "QuantizeLinear" and node.input[0] in made_by:
      rounded = made_by[node.input[0]].op_type
      assert rounded not in ("GlobalAveragePool", "Sub", "Sqrt", "Reciprocal"), node.name
    if node.op_type in ("Sqrt", "Reciprocal"):  # of a variance that nothing rounded
      assert {made_by[name].op_type for name in node.input} <= {"Add", "Sqrt"}, node.name


@pytest.mark.parametrize(
  ("name", "share"),
  [
    *(("erfnet", 0.0), ("fcn8s", 0.0), ("drn26", 0.0), ("erfnet", 0.7)),
    *(("vgg16_pyramid", 0.0), ("lite0_pyramid", 0.0)),
  ],
)
def test_images_of_any_size_and_number(name, share):
  inference, contract = exported.make(name, share, dynamic_size=True, dynamic_batch=True)
  model = to_onnx.convert(module.traced(inference, contract, None), contract)
  session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
  )
  for shape in ((2, 64, 96, 3), (1, 45, 131, 3)):
    image = np.random.RandomState(1).randint(0, 256, shape, np.uint8)
    (labels,) = session.run(None, {"image": image})
    expected = inference(tf.constant(image))["labels"].numpy()
    assert np.mean(labels == expected) >= 0.9999


@pytest.mark.parametrize("name", ["erfnet", "fcn8s", "drn26"])
def test_float16_of_images_of_any_size_and_number_is_onnx(name):
  inference, contract = exported.make(name, dynamic_size=True, dynamic_batch=True)
  model = to_onnx.convert(module.traced(inference, contract, None), contract)
  half = reduce.to_float16(model)
  to_onnx.check(half, contract)
  found = compared(inference, contract, backends.of_onnx(half, contract))
  parity.check(name, parity.reduced(0.01, has_metric=False), found, None)


def test_uint8_labels_are_made_of_floats_and_not_of_integers():
  """TensorRT casts to uint8 from floats alone; conversion takes such detours out."""
  inference, contract = exported.make("erfnet", label_dtype="uint8")
  model = to_onnx.convert(module.traced(inference, contract, 1), contract)
  made_by = {output: node for node in model.graph.node for output in node.output}
  last = made_by["labels"]
  types = []
  while last.op_type == "Cast":
    types.append(last.attribute[0].i)
    last = made_by[last.input[0]]
  assert last.op_type == "ArgMax"
  assert types[:2] == [onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT]
  found = compared(inference, contract, backends.of_onnx(model, contract))
  parity.check("erfnet", parity.FLOAT32, found, None)


@functools.cache
def quantized(name, precision="int8", is_dynamic=False):
  """A small network in int8, calibrated on noise: its contract, the file, the report."""
  if is_dynamic:
    has_size = exported.make(name)[1].is_segmentation
    inference, contract = exported.make(name, dynamic_batch=True, dynamic_size=has_size)
    model = to_onnx.convert(module.traced(inference, contract, None), contract)
  else:
    inference, contract, model = converted(name)
  noise = [v for k, v in parity.probes(contract, None).items() if "random" in k]
  images = samples.Samples(len(noise), noise.__getitem__, None)
  file, report = reduce.to_int8(model, contract, reduce.calibration(images, 4), precision)
  return inference, contract, file, report


def constants(model):
  """{output of a DequantizeLinear: the array that it takes}, of weights and biases."""
  values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
  return {
    node.output[0]: values[node.input[0]]
    for node in model.graph.node
    if node.op_type == "DequantizeLinear" and node.input[0] in values
  }


@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize("precision", reduce.FORMS)
@pytest.mark.parametrize("name", networks.SMALL)
def test_int8_computes_nearly_what_keras_computes(name, precision, is_dynamic):
  inference, contract, model, report = quantized(name, precision, is_dynamic)
  to_onnx.check(model, contract)
  keras = backends.of_function(module.traced(inference, contract, None))
  run = backends.of_onnx(model, contract)
  noise = {k: v for k, v in parity.probes(contract, None).items() if "random" in k}
  found = parity.compare(
    {name: keras(image) for name, image in noise.items()},
    {name: run(image) for name, image in noise.items()},
  )
  # Random weights give scores that lie closer together than a trained network's.
  assert found["label_agreement"] > 0.9
  assert report["label_agreement"][report["method"]] == max(
    report["label_agreement"].values()
  )


@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize("name", networks.SMALL)
def test_int8_for_cpus_leaves_nothing_in_float_between_what_computes(
  name, is_dynamic, tmp_path
):
  *_, model, _ = quantized(name, "int8", is_dynamic)
  options = onnxruntime.SessionOptions()
  options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
  options.log_severity_level = 3
  onnxruntime.InferenceSession(
    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
  )
  kinds = to_onnx.operators(onnx.load(options.optimized_model_filepath))
  products = to_onnx.operators(model)
  assert kinds["QLinearConv"] == products["Conv"]
  assert kinds["QGemm"] == products["Gemm"]
  assert not kinds["Conv"]
  assert not kinds["Gemm"]
  assert not kinds["Relu"]
  assert not kinds["MaxPool"]  # of floats; NhwcMaxPool is of bytes
  # Transposed convolutions enlarge, which ONNX Runtime has in float alone.
  most = {"fcn8s": 9, "erfnet with decoder": 6, "lite0_pyramid": 4}.get(name, 3)
  # So are resizes to a size that is not known yet.
  if is_dynamic:
    most = {"vgg16_pyramid": 7, "lite0_pyramid": 9}.get(name, most)
  assert kinds["DequantizeLinear"] <= most
  assert kinds["QuantizeLinear"] <= most


@pytest.mark.parametrize("name", networks.SMALL)
def test_int8_for_cpus_has_zero_points_of_its_own_and_integer_biases(name):
  *_, model, _ = quantized(name)
  values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
  rounded = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
  points = [values[node.input[2]] for node in rounded]
  assert {point.dtype for point in points} == {np.dtype(np.uint8)}
  assert {point.item() for point in points} - {0, 128}, "no zero point is in between"
  arrays = constants(model)
  for node in model.graph.node:
    if node.op_type in ("Conv", "Gemm") and len(node.input) > 2:
      assert arrays[node.input[2]].dtype == np.int32, node.name


@pytest.mark.parametrize("name", ["lenet", "erfnet"])
def test_int8_for_tensorrt_is_symmetric_and_nothing_is_int32(name):
  *_, model, _ = quantized(name, "int8_tensorrt")
  values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
  for node in model.graph.node:
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
      point = values[node.input[2]]
      assert point.dtype == np.int8
      assert not point.any()
  assert {str(array.dtype) for array in constants(model).values()} == {"int8"}


@pytest.mark.parametrize("name", ["lenet", "erfnet"])
def test_int8_for_cpus_takes_the_images_bytes_as_they_are(name):
  *_, model, _ = quantized(name)
  graph = model.graph
  assert not [n for n in graph.node if n.op_type == "Cast" and "image" in n.input]
  name = "image"
  while (taker := next(n for n in graph.node if name in n.input)).op_type in (
    "Transpose", "Reshape",
  ):  # fmt: skip
    name = taker.output[0]
  assert taker.op_type == "DequantizeLinear"
  values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
  np.testing.assert_allclose(values[taker.input[1]], 1 / 255, rtol=1e-6)
  assert values[taker.input[2]] == 0


@pytest.mark.parametrize("precision", reduce.FORMS)
@pytest.mark.parametrize("name", ["lenet", "erfnet"])
def test_int8_weights_take_seven_bits(name, precision):
  """Without VNNI, x86 adds pairs of 8-bit products in 16 bits, which then saturate."""
  *_, model, _ = quantized(name, precision)
  arrays = constants(model)
  weights = [
    arrays[node.input[1]]
    for node in model.graph.node
    if node.op_type in ("Conv", "Gemm", "MatMul")
  ]
  # Some channel uses its whole range, which symmetric 7 bits end at.
  assert 50 < max(np.abs(array.astype(int)).max() for array in weights) <= 64


def test_rounded_weights_shift_no_channels_mean():
  """Of ERFNet's first convolution, whose bytes are exact: rounding is in weights alone."""
  inference, contract, model = converted("erfnet")
  *_, file, _ = quantized("erfnet")
  noise = [v for k, v in parity.probes(contract, None).items() if "random" in k]
  means = []
  for graph in (model, file):
    copied = copy.deepcopy(graph)
    first = next(node for node in copied.graph.node if node.op_type == "Conv")
    copied.graph.output.append(onnx.ValueInfoProto(name=first.output[0]))
    options = onnxruntime.SessionOptions()
    # Else the convolution would round what it gives.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
      copied.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs = [session.run([first.output[0]], {"image": i[None]})[0] for i in noise]
    means.append(np.mean(outputs, axis=(0, 1, 3, 4)))
    weights = onnx.numpy_helper.to_array(
      next(t for t in model.graph.initializer if len(t.dims) == 4)
    )
  # Padding sees a few zeros more than the mean says, and biases are whole steps.
  np.testing.assert_allclose(means[1], means[0], atol=2e-3 * np.abs(weights).max())


def test_int8_gives_the_same_scores_in_fused_kernels_and_out_of_them():
  model, scores, _ = to_onnx.with_scores(quantized("lenet")[2])
  images = np.random.RandomState(1).randint(0, 256, (20, 28, 28, 1), np.uint8)
  found = []
  for level in ("ORT_ENABLE_ALL", "ORT_DISABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(
      model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    answers = [session.run([scores], {"image": image[None]})[0] for image in images]
    found.append(np.concatenate(answers))
  difference = np.abs(found[0] - found[1]).max() / np.abs(found[1]).max()
  # A step of 127 or two are rounding; with 8 bits a CPU without VNNI is off by 0.24.
  assert difference < 0.02


def test_what_tf2onnx_does_not_know_is_not_let_through():
  _, contract, model = converted("lenet")
  model = copy.deepcopy(model)
  relu = next(node for node in model.graph.node if node.op_type == "Relu")
  relu.op_type = "Tanh"  # valid ONNX, and not in the list
  with pytest.raises(to_onnx.config_lib.UserError, match="holds Tanh"):
    to_onnx.check(model, contract)
  relu.op_type = "Erfc"
  with pytest.raises(to_onnx.config_lib.UserError, match="no valid ONNX"):
    to_onnx.check(model, contract)


def test_every_format_has_what_writes_it():
  assert pipeline._WRITE.keys() == contract.WRITERS.keys()
