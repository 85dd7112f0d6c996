"""The SavedModel as TF Serving would use it. TF Serving itself was not run."""

import io

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from export import contract as contract_lib
from export import serving_files, to_saved_model
from tests import exported
from tests.export import c_api
from tfdam.data import transforms


@pytest.fixture(scope="module")
def served(tmp_path_factory):
  """A small ERFNet's contract, module, and the folder of its models."""
  folder = tmp_path_factory.mktemp("saved_model")
  inference, contract = exported.make("erfnet")
  to_saved_model.write(inference, contract, str(folder / "net" / "1"))
  serving_files.write_configs(contract, str(folder))
  return contract, inference, folder


def signatures(folder):
  return tf.saved_model.load(str(folder / "net" / "1")).signatures


def encoded(array, kind, **options):
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, kind, **options)
  return buffer.getvalue()


def test_the_c_api_that_serving_loads_with_serves_encoded_images(served):
  """TF_LoadSessionFromSavedModel and TF_SessionRun, from the library in the wheel."""
  contract, inference, folder = served
  images = serving_files.probe(contract, 2)
  api = c_api.CApi()
  loaded = api.load(str(folder / "net" / "1"))
  files = api.strings([serving_files.encode(image) for image in images])
  labels = loaded.run("predict_bytes", contract_lib.BYTES, files, "labels", (2, 64, 96))
  np.testing.assert_array_equal(labels, inference(tf.constant(images))["labels"])


def test_signatures_are_what_the_contract_says(served):
  contract, _, folder = served
  found = signatures(folder)
  assert set(found) == {"serving_default", "predict_bytes", "scores"}
  (image,) = found["serving_default"].structured_input_signature[1].values()
  assert (image.name, image.dtype, image.shape.as_list()) == (
    "image", tf.uint8, [None, 64, 96, 3],
  )  # fmt: skip
  (encoded_image,) = found["predict_bytes"].structured_input_signature[1].values()
  assert (encoded_image.name, encoded_image.dtype) == (contract_lib.BYTES, tf.string)
  assert found["serving_default"].structured_outputs["labels"].dtype == tf.int32
  assert contract.size == (64, 96)


def test_encoded_images_are_labelled_as_decoded_ones(served):
  contract, inference, folder = served
  images = serving_files.probe(contract, 2)
  labels = signatures(folder)["predict_bytes"](
    image_bytes=tf.constant([encoded(image, "PNG") for image in images])
  )["labels"]
  np.testing.assert_array_equal(labels, inference(tf.constant(images))["labels"])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_files_show_the_pixels_that_pillow_reads(kind, mode, channels):
  """To the bit: a fast inverse transform of JPEG turned 6 % of a network's labels."""
  rng = np.random.RandomState(0)
  small = Image.fromarray(rng.randint(0, 256, (9, 13, 3), np.uint8))
  picture = small.resize((97, 61), Image.Resampling.BICUBIC).convert(mode)
  file = encoded(np.asarray(picture), kind)
  read = Image.open(io.BytesIO(file)).convert("L" if channels == 1 else "RGB")
  pixels = to_saved_model._pixels(tf.constant(file), channels).numpy()
  assert pixels.shape == (61, 97, channels)
  np.testing.assert_array_equal(pixels.squeeze(), np.asarray(read))


def test_files_of_larger_digits_are_sampled_as_in_training(tmp_path):
  """Averaging instead turned 1 % of a network's labels of SVHN."""
  inference, contract = exported.make("lenet")
  assert not inference.averages
  served = to_saved_model._Served(inference, contract)
  large = np.random.RandomState(0).randint(0, 256, (1, 56, 70, 1), np.uint8)
  decoded = served._decode(tf.constant([serving_files.encode(large[0])]))
  seen = transforms.to_network(tf.constant(large), 28, 28, 1)
  # Of what training saw, rounded to 8 bits.
  np.testing.assert_allclose(decoded.numpy() / 255.0, seen, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_encoded_images_of_other_sizes_and_colours_are_brought_to_the_models(served, kind):
  _, inference, folder = served
  # Smooth, so that resizing by two libraries differs by a grey value at most.
  rows, columns = np.mgrid[0:128, 0:192]
  grey = ((rows + columns) * 255 / 320).astype(np.uint8)
  predict = signatures(folder)["predict_bytes"]
  labels = predict(image_bytes=tf.constant([encoded(grey, kind), encoded(grey, kind)]))
  assert labels["labels"].shape == (2, 64, 96)
  small = np.asarray(Image.fromarray(grey).resize((96, 64), Image.Resampling.BILINEAR))
  image = np.repeat(small[np.newaxis, ..., np.newaxis], 3, axis=-1)
  expected = inference(tf.constant(image))["labels"]
  assert np.mean(labels["labels"][0] == expected[0]) > 0.97


def test_every_warm_up_record_replays(served):
  contract, _, folder = served
  found = signatures(folder)
  path = folder / "net" / "1" / "assets.extra" / serving_files.WARM_UP
  seen = []
  for record in tf.data.TFRecordDataset(str(path)):
    log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
    request = log.predict_log.request
    assert request.model_spec.name == contract.name
    inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
    (value,) = inputs.values()
    labels = found[request.model_spec.signature_name](
      **{name: tf.constant(array) for name, array in inputs.items()}
    )["labels"]
    assert labels.shape == (len(value), 64, 96)
    seen.append((request.model_spec.signature_name, len(value)))
  expected = {
    (name, size)
    for name in ("serving_default", "predict_bytes")
    for size in serving_files.BATCH_SIZES
  }
  assert set(seen) == expected
  assert len(seen) == len(expected) <= 1000


def test_models_config_parses_and_names_the_model(served):
  contract, _, folder = served
  text = (folder / serving_files.MODELS).read_text()
  parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
  (model,) = parsed.model_config_list.config
  assert (model.name, model.base_path) == (contract.name, f"/models/{contract.name}")
  assert model.model_platform == "tensorflow"


def test_batching_config_parses_with_the_documented_fields(served):
  """Its proto is in no wheel: the message is built here from TF Serving's documentation."""
  _, _, folder = served
  parsed = text_format.Parse(
    (folder / serving_files.BATCHING).read_text(), _batching_parameters()()
  )
  assert list(parsed.allowed_batch_sizes) == list(serving_files.BATCH_SIZES)
  # TF Serving refuses a largest batch that is not the last allowed one.
  assert parsed.max_batch_size.value == serving_files.BATCH_SIZES[-1]


def _batching_parameters():
  field = descriptor_pb2.FieldDescriptorProto
  file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="documented")
  wrapped = file.message_type.add(name="Int64Value")
  wrapped.field.add(name="value", number=1, type=field.TYPE_INT64, label=1)
  message = file.message_type.add(name="BatchingParameters")
  names = (
    "max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"
  )  # fmt: skip
  for number, name in enumerate(names, 1):
    message.field.add(
      name=name, number=number, type=field.TYPE_MESSAGE, label=1,
      type_name=".documented.Int64Value",
    )  # fmt: skip
  message.field.add(name="allowed_batch_sizes", number=6, type=field.TYPE_INT64, label=3)
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  return message_factory.GetMessageClass(
    pool.FindMessageTypeByName("documented.BatchingParameters")
  )


def test_the_compose_file_mounts_what_is_there_and_says_it_was_not_run(served):
  import yaml

  contract, _, folder = served
  text = (folder / serving_files.COMPOSE).read_text()
  assert "Not run" in text
  server = yaml.safe_load(text)["services"]["serving"]
  assert server["image"] == f"tensorflow/serving:{tf.__version__}"
  command = server["command"]
  for name in (serving_files.MODELS, serving_files.BATCHING):
    assert any(argument.endswith(f"/models/{name}") for argument in command)
    assert (folder / name).is_file()
  assert contract.name in text


def test_a_model_of_any_size_is_served_without_batching(tmp_path):
  """A server puts requests together, and images of two sizes make no batch."""
  _, contract = exported.make("erfnet", dynamic_size=True)
  names = serving_files.write_configs(contract, str(tmp_path))
  assert serving_files.BATCHING not in names
  assert not (tmp_path / serving_files.BATCHING).exists()
  assert "batching" not in (tmp_path / serving_files.COMPOSE).read_text()


def test_a_model_beside_one_of_any_size_turns_no_batching_on(tmp_path):
  _, fixed = exported.make("erfnet")
  for beside, any_size, batches in (
    (["other"], True, False), (["other"], False, True), ([], False, True)
  ):  # fmt: skip
    folder = tmp_path / f"{len(beside)}{any_size}"
    folder.mkdir()
    names = serving_files.write_configs(fixed, str(folder), beside, any_size)
    assert (serving_files.BATCHING in names) == batches
    text = (folder / serving_files.COMPOSE).read_text()
    assert ("enable_batching" in text) == batches


def test_a_saved_model_tells_whether_it_takes_any_size(tmp_path):
  for name, dynamic_size in (("any", True), ("fixed", False)):
    inference, contract = exported.make("erfnet", dynamic_size=dynamic_size)
    to_saved_model.write(inference, contract, str(tmp_path / name / "1"))
    assert to_saved_model.takes_any_size(str(tmp_path / name)) == dynamic_size
  # A newer version counts, and a damaged one may take any.
  (tmp_path / "fixed" / "2").mkdir()
  (tmp_path / "fixed" / "2" / "saved_model.pb").write_bytes(b"damaged")
  assert to_saved_model.takes_any_size(str(tmp_path / "fixed"))
