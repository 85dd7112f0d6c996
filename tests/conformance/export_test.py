"""What every network in the registry must do when it is exported."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from export import backends, module, parity, to_onnx, to_saved_model
from export import contract as contract_lib
from tests import synthetic
from tfdam import models
from tfdam.training import players

_DIGITS = {"data__height": 28, "data__width": 28, "data__channels": 1}
_STREETS = {"data__height": 64, "data__width": 96, "data__channels": 3}
# Small ones; sizes are a sixteenth or less of the full networks'.
_SMALL = {
  "lenet": _DIGITS,
  "lenet_bn": _DIGITS,
  "erfnet": {**_STREETS, "model__width": 0.25, "model__depth": 0.4},
  "fcn8s": {**_STREETS, "model__width": 0.05},
  "drn26": {**_STREETS, "model__width": 0.1},
}
# What may stand in ERFNet's file, by the issue that asked for it: convolutions and what
# lies between them, one enlargement, one choice of the likeliest class.
_ERFNET = {
  "Conv", "Relu", "MaxPool", "Concat", "Add", "Resize", "ArgMax", "Cast", "Mul", "Div",
  "Sub", "Transpose",
}  # fmt: skip


def make(name, **changes):
  """A small network, its variables away from their initial values, and its contract."""
  config = synthetic.small_config(model__name=name, **_SMALL[name])
  network = players.network(config, "net")
  rng = np.random.RandomState(0)
  for variable in network.variables:
    # Also gammas, betas and moments, which would otherwise fold into nothing.
    if len(variable.shape) == 1 or not np.any(variable):
      variable.assign_add(rng.uniform(0.1, 0.5, variable.shape))
  is_segmentation = name not in ("lenet", "lenet_bn")
  contract = contract_lib.Contract(
    name="net", task="segmentation" if is_segmentation else "classification",
    network=name, stage="adapted", step=1, config_sha256="0" * 64,
    classes=tuple(map(str, range(10))), height=config.data.height,
    width=config.data.width, channels=config.data.channels,
  )  # fmt: skip
  contract = dataclasses.replace(contract, **changes)
  inference = module.Inference(network, config.data, is_segmentation, contract.dynamic_size)
  return inference, contract


def compared(inference, contract, backend):
  keras = backends.of_function(module.traced(inference, contract, None))
  images = parity.probes(contract, None)
  return parity.compare(
    {name: keras(image) for name, image in images.items()},
    {name: backend(image) for name, image in images.items()},
  )


def test_every_network_has_a_small_one_here():
  assert set(_SMALL) == set(models.MODELS)


@pytest.mark.parametrize("name", models.MODELS)
def test_onnx_computes_what_keras_computes(name):
  inference, contract = make(name)
  model = to_onnx.convert(module.traced(inference, contract, 1), contract)
  found = compared(inference, contract, backends.of_onnx(model, contract))
  parity.check(name, parity.FLOAT32, found, None)
  assert found["logit_difference"] > 0 or found["label_agreement"] == 1


@pytest.mark.parametrize("name", models.MODELS)
def test_a_saved_model_computes_what_keras_computes(name, tmp_path):
  inference, contract = make(name)
  to_saved_model.write(inference, contract, str(tmp_path / "1"))
  found = compared(inference, contract, backends.of_session(str(tmp_path / "1")))
  parity.check(name, parity.FLOAT32, found, None)


@pytest.mark.parametrize("name", models.MODELS)
def test_batch_norms_and_paddings_are_folded(name):
  inference, contract = make(name)
  model = to_onnx.convert(module.traced(inference, contract, 1), contract)
  kinds = to_onnx.operators(model)
  assert "BatchNormalization" not in kinds
  assert kinds["Transpose"] <= 2
  assert len(model.graph.output) == 1


def test_erfnet_is_convolutions_and_little_else():
  inference, contract = make("erfnet")
  kinds = to_onnx.operators(
    to_onnx.convert(module.traced(inference, contract, 1), contract)
  )
  assert set(kinds) <= _ERFNET
  # A norm after a downsampler's concat: at most a product and a sum on the pool's half,
  # beside the product that scales the image.
  blocks = inference.network.blocks
  downsamplers = sum(hasattr(block, "filters") for block in blocks)
  residuals = sum(hasattr(block, "tall1") for block in blocks)
  assert kinds["Mul"] + kinds["Div"] <= downsamplers + 1
  assert kinds["Add"] <= downsamplers + residuals
  assert kinds["Resize"] == kinds["ArgMax"] == 1


@pytest.mark.parametrize("name", ["erfnet", "fcn8s", "drn26"])
def test_images_of_any_size_and_number(name):
  inference, contract = make(name, dynamic_size=True, dynamic_batch=True)
  model = to_onnx.convert(module.traced(inference, contract, None), contract)
  session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
  )
  for shape in ((2, 64, 96, 3), (1, 45, 131, 3)):
    image = np.random.RandomState(1).randint(0, 256, shape, np.uint8)
    (labels,) = session.run(None, {"image": image})
    expected = inference(tf.constant(image))["labels"].numpy()
    assert np.mean(labels == expected) >= 0.9999


def test_what_tf2onnx_does_not_know_is_not_let_through():
  inference, contract = make("lenet")
  model = to_onnx.convert(module.traced(inference, contract, 1), contract)
  model.graph.node[0].op_type = "Erfc"
  with pytest.raises(to_onnx.config_lib.UserError, match=r"no valid ONNX|holds Erfc"):
    to_onnx.check(model, contract)
