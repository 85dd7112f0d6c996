"""What every Keras network that is wrapped must do when it is exported."""

import numpy as np
import pytest

from export import backends, module, parity, to_onnx, to_saved_model
from export import contract as contract_lib
from tests import keras_networks
from tfdam import config as config_lib
from tfdam import network as network_lib

SIZE = keras_networks.SIZE


def normalized(keras):
  """Begins with a layer whose numbers Keras keeps in tensors of its own."""
  layers = keras.layers
  normalization = layers.Normalization(name="normalization")
  normalization.adapt(keras_networks.images(4))
  images = layers.Input((SIZE, SIZE, 3))
  x = layers.Conv2D(4, 3, activation="relu", name="conv")(normalization(images))
  x = layers.GlobalAveragePooling2D()(x)
  return keras.Model(images, layers.Dense(4, name="scores")(x), name="normalized")


@pytest.fixture(scope="module", params=[
  pytest.param((make, version), id=f"{make.__name__}-keras{version}")
  for make in (*keras_networks.SMALL, normalized) for version in (2, 3)
])  # fmt: skip
def inference(request):
  """A network with what stands around it, and its contract."""
  make, version = request.param
  model = keras_networks.made(make, version)
  if make is normalized:  # whose weights were not drawn
    model = make(keras_networks.keras_of(version))
  expects = network_lib.Expects(1 / 127.5, 1.0, 1.0, "bgr")
  network = network_lib.Network(model, expects=expects, unit_images=True)
  labels_pixels = len(network.output_shape) == 3
  contract = contract_lib.Contract(
    name="net", task="segmentation" if labels_pixels else "classification",
    network=config_lib.KERAS, stage="adapted", step=1, config_sha256="0" * 64,
    weights_sha256="1" * 64, classes=tuple("abcd"), height=SIZE, width=SIZE, channels=3,
  )  # fmt: skip
  data = config_lib.Data(height=SIZE, width=SIZE, channels=3, num_classes=4)
  return module.Inference(network, data, labels_pixels), contract


def compared(inference, contract, backend):
  keras = backends.of_function(module.traced(inference, contract, None))
  images = parity.probes(contract, None)
  found = parity.compare(
    {name: keras(image) for name, image in images.items()},
    {name: backend(image) for name, image in images.items()},
  )
  parity.check("the network", parity.FLOAT32, found, None)


def test_onnx_computes_what_keras_computes(inference):
  module_, contract = inference
  model = to_onnx.convert(module.traced(module_, contract, 1), contract)
  assert [value.name for value in model.graph.input] == ["image"]
  compared(module_, contract, backends.of_onnx(model, contract))


def test_a_saved_model_computes_what_keras_computes_and_needs_no_xla(inference, tmp_path):
  module_, contract = inference
  to_saved_model.write(module_, contract, str(tmp_path / "1"))
  assert b"_XlaMustCompile" not in (tmp_path / "1" / "saved_model.pb").read_bytes()
  compared(module_, contract, backends.of_session(str(tmp_path / "1")))


def test_labels_are_those_of_the_network_on_pixels(inference):
  """Whatever scales them: bytes enter an export, images from 0 to 1 a run."""
  module_, contract = inference
  pixels = np.stack([parity.probes(contract, None)["random 0"]])
  network = module_.network
  model = network_lib.Network(network.model, expects=network.expects)
  wanted = model(network.expects.prepared(pixels))["logits"]
  found = module_(pixels)["logits"]
  scale = max(1.0, float(np.abs(wanted).max()))
  # float32's rounding of numbers up to 255.
  np.testing.assert_allclose(found / scale, wanted / scale, atol=1e-4)
