"""Networks of Keras 2 and 3 in files: what comes back, and what is said of all the rest."""

import io
import json
import os
import pickle
import random
import resource
import shutil
import subprocess
import sys
import zipfile

import h5py
import keras as newest_keras
import numpy as np
import pytest
import tensorflow as tf

from tests.damaged_inputs import mutations
from tfdam import config as config_lib
from tfdam import files, keras_files, memory, runtime, stack

needs_keras_3 = pytest.mark.skipif(
  stack.installed() == "tf215", reason="TensorFlow 2.15 has no Keras 3"
)
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
KERAS = {"2": tf.keras, "3": newest_keras}
# What each Keras saves whole networks in.
FORMS = [
  *(("2", ending) for ending in (".keras", ".h5", "")),
  *(pytest.param("3", ending, marks=needs_keras_3) for ending in (".keras", ".h5")),
]
WEIGHTS = "model.weights.h5"


def functional(keras):
  layers = keras.layers
  image = layers.Input((8, 8, 3), name="image")
  x = layers.Rescaling(1 / 255, name="rescaling")(image)
  x = left = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
  x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
  x = layers.BatchNormalization(name="norm")(x)
  x = layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")([left, x]))
  return keras.Model(image, layers.Dense(3, name="logits")(x), name="network")


def sequential(keras):
  layers = keras.layers
  parts = [layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(3, name="d")]
  return keras.Sequential([layers.Input((8, 8, 3)), *parts], name="network")


def nested(keras):
  layers = keras.layers
  image = layers.Input((8, 8, 3), name="image")
  inner = layers.Input((8, 8, 3), name="inner_image")
  x = layers.BatchNormalization(name="norm")(layers.Conv2D(3, 1, name="conv")(inner))
  block = keras.Model(inner, layers.Add(name="add")([inner, x]), name="block")
  x = layers.Flatten(name="flat")(sequential_block(keras)(block(image)))
  return keras.Model(image, layers.Dense(3, name="logits")(x), name="network")


def sequential_block(keras):
  layers = keras.layers
  parts = [layers.Conv2D(2, 3, name="conv"), layers.ReLU(name="relu")]
  return keras.Sequential([layers.Input((8, 8, 3)), *parts], name="head")


NETWORKS = {builder.__name__: builder for builder in (functional, sequential, nested)}


def trained(network):
  """The same with other weights than those that Keras starts from."""
  rng = np.random.RandomState(0)
  network.set_weights([rng.uniform(0.1, 1.0, w.shape) for w in network.get_weights()])
  return network


def described(network):
  names = [(w.name, tuple(w.shape)) for w in network.weights]
  return type(network).__name__, [layer.name for layer in network.layers], names


def outputs(network):
  images = np.random.RandomState(1).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
  return np.asarray(network(images, training=False))


def saved(folder, ending, keras=tf.keras, builder=sequential, name="network"):
  """The path of a network in a file that Keras itself wrote."""
  path = os.path.join(str(folder), f"{name}{ending}")
  trained(builder(keras)).save(path)
  return path


@pytest.fixture(scope="module")
def folder_of_each(tmp_path_factory):
  """Networks of Keras 2 to damage copies of."""
  folder = tmp_path_factory.mktemp("whole")
  for ending in (".keras", ".h5", ""):
    saved(folder, ending)
  return folder


def refused(path):
  with pytest.raises(config_lib.UserError) as caught:
    keras_files.read(str(path))
  said = str(caught.value)
  assert "\n" not in said
  assert len(said) < 900
  return said


@pytest.mark.parametrize("builder", NETWORKS)
@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_a_network_comes_back_as_it_was_saved(version, ending, builder, tmp_path):
  network = trained(NETWORKS[builder](KERAS[version]))
  path = str(tmp_path / f"network{ending}")
  keras_files.write(network, path)
  assert os.listdir(tmp_path) == [f"network{ending}"]
  assert keras_files.ending_of(path) == ending

  again = keras_files.read(path)
  assert keras_files.keras_of(again) == keras_files.keras_of(network) == version
  assert described(again) == described(network)
  # The same operations on the same bits; a SavedModel's layers are made from configs, too.
  np.testing.assert_array_equal(outputs(again), outputs(network))
  assert not getattr(again, "compiled", False)

  # Written over what is there.
  keras_files.write(again, path)
  np.testing.assert_array_equal(outputs(keras_files.read(path)), outputs(network))
  assert os.listdir(tmp_path) == [f"network{ending}"]


@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_a_compiled_network_is_read_without_its_loss(version, ending, tmp_path):
  keras = KERAS[version]

  class OwnLoss(keras.losses.Loss):
    def call(self, labels, logits):
      return tf.reduce_sum(labels - logits, -1)

  class OwnMetric(keras.metrics.Mean):
    def update_state(self, labels, logits, sample_weight=None):
      super().update_state(logits)

  network = sequential(keras)
  network.compile("adam", loss=OwnLoss(), metrics=[OwnMetric()])
  network.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 3)), verbose=0)
  path = str(tmp_path / f"network{ending}")
  network.save(path)
  np.testing.assert_array_equal(outputs(keras_files.read(path)), outputs(network))


@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_nothing_is_printed_or_warned_of(version, ending, tmp_path, capfd, recwarn, caplog):
  network = functional(KERAS[version])
  capfd.readouterr()
  recwarn.clear()
  caplog.clear()
  keras_files.write(network, str(tmp_path / f"network{ending}"))
  keras_files.read(str(tmp_path / f"network{ending}"))
  assert (*capfd.readouterr(), [*recwarn], caplog.records) == ("", "", [], [])


@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_content_decides_and_no_name(version, ending, tmp_path):
  path = saved(tmp_path, ending, KERAS[version])
  for name in ("network", "network.keras.h5", "network.backup.keras", "n\udcff\n:.h5"):
    os.rename(path, tmp_path / name)
    path = str(tmp_path / name)
    assert keras_files.ending_of(path) == ending
    assert keras_files.read(path).name == "network"


def test_layers_of_tensorflow_functions_are_read(tmp_path):
  image = tf.keras.Input((8, 8, 3))
  network = tf.keras.Model(image, tf.nn.softmax(tf.math.square(image) * 2.0) + image)
  for ending in (".keras", ".h5", ""):
    keras_files.write(network, str(tmp_path / f"network{ending}"))
    again = keras_files.read(str(tmp_path / f"network{ending}"))
    np.testing.assert_array_equal(outputs(again), outputs(network))


@pytest.mark.parametrize("ending", [".keras", ".h5", ""])
def test_initializers_of_tensorflow_are_read(ending, tmp_path):
  """Keras' own EfficientNetV2 has one."""
  start = tf.constant_initializer(0.5)
  layers = [
    tf.keras.layers.Input((8, 8, 3)),
    tf.keras.layers.Dense(2, bias_initializer=start),
  ]
  network = tf.keras.Sequential(layers)
  keras_files.write(network, str(tmp_path / f"network{ending}"))
  again = keras_files.read(str(tmp_path / f"network{ending}"))
  np.testing.assert_array_equal(outputs(again), outputs(network))


# Custom layers.


def scale_class(keras):
  class Scale(keras.layers.Layer):
    def build(self, shape):
      self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

    def call(self, inputs):
      return inputs * self.scale

  return Scale


def with_scale(layer_class):
  return lambda keras: keras.Sequential(
    [keras.layers.Input((8, 8, 3)), layer_class(name="mine")], name="network"
  )


@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_a_custom_layer_is_named_until_it_is_registered(version, ending, tmp_path):
  keras = KERAS[version]
  registered = keras.saving.get_custom_objects()
  before = dict(registered)
  layer_class = scale_class(keras)
  path = saved(tmp_path, ending, keras, with_scale(layer_class))
  said = refused(path)
  assert "needs 'Scale'" in said
  assert "@keras.saving.register_keras_serializable(), and import its module" in said
  try:
    # Also where it was not registered yet when it was saved.
    keras.saving.register_keras_serializable("mine")(layer_class)
    assert isinstance(keras_files.read(path).layers[-1], layer_class)
    path = saved(tmp_path, ending, keras, with_scale(layer_class), "again")
    assert isinstance(keras_files.read(path).layers[-1], layer_class)
  finally:
    registered.clear()
    registered.update(before)
  assert "needs 'mine>Scale'" in refused(path) or not ending


@pytest.mark.parametrize(
  ("version", "ending"), [form for form in FORMS if form != ("2", ".h5")][:3]
)
def test_a_subclassed_network_is_a_custom_class_like_any_other(version, ending, tmp_path):
  class Mine(KERAS[version].Model):
    def __init__(self, **options):
      super().__init__(**options)
      self.dense = KERAS[version].layers.Dense(2)

    def call(self, inputs):
      return self.dense(inputs)

  network = Mine()
  network(np.zeros((1, 4), np.float32))
  network.save(str(tmp_path / f"network{ending}"))
  assert "needs 'Mine'" in refused(tmp_path / f"network{ending}")
  with KERAS[version].saving.custom_object_scope({"Mine": Mine}):
    assert isinstance(keras_files.read(str(tmp_path / f"network{ending}")), Mine)


def test_a_class_of_the_users_own_does_not_take_the_place_of_keras(tmp_path):
  registered = tf.keras.saving.get_custom_objects()
  path = saved(tmp_path, ".h5")
  registered["mine>Dense"] = scale_class(tf.keras)
  try:
    assert type(keras_files.read(path).layers[-1]) is tf.keras.layers.Dense
  finally:
    del registered["mine>Dense"]


# What a file must not do.


@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_the_code_of_a_lambda_layer_is_never_run(version, ending, tmp_path):
  keras, evidence = KERAS[version], str(tmp_path / "evidence")
  ran = f"__import__('pathlib').Path({evidence!r}).touch()"
  function = eval(f"lambda x: ({ran}, x)[1]")
  network = keras.Sequential([keras.layers.Input((8, 8, 3))], name="network")
  network.add(keras.layers.Lambda(function, name="mine", output_shape=(8, 8, 3)))
  path = str(tmp_path / f"network{ending}")
  network.save(path)
  if os.path.exists(evidence):
    os.remove(evidence)
  said = refused(path)
  assert "holds Python code ('Lambda'" in said
  assert "layer 'mine'" in said
  assert "Make it a layer of its own class" in said
  assert not os.path.exists(evidence)


@needs_keras_3
def test_a_lambda_layer_of_keras_3_may_name_a_registered_function(tmp_path):
  registered = newest_keras.saving.get_custom_objects()

  @newest_keras.saving.register_keras_serializable("mine")
  def doubled(inputs):
    return inputs * 2

  lambda_layer = newest_keras.layers.Lambda(doubled)
  network = newest_keras.Sequential([newest_keras.layers.Input((8, 8, 3)), lambda_layer])
  path = str(tmp_path / "network.keras")
  network.save(path)
  try:
    np.testing.assert_array_equal(outputs(keras_files.read(path)), outputs(network))
  finally:
    del registered["mine>doubled"]
  assert "holds Python code" in refused(path)


def repacked(path, **members):
  """The same archive with other contents; None leaves a member out."""
  with zipfile.ZipFile(path) as archive:
    contents = {name: archive.read(name) for name in archive.namelist()}
  contents.update({name.replace("__", "."): given for name, given in members.items()})
  with zipfile.ZipFile(path, "w") as archive:
    for name, content in contents.items():
      if content is not None:
        archive.writestr(name, content)
  return path


def with_config(path, change):
  """The same network with a change to the config of its last layer."""
  if h5py.is_hdf5(path):
    with h5py.File(path, "a") as file:
      config = json.loads(file.attrs["model_config"])
      change(config["config"]["layers"][-1])
      file.attrs["model_config"] = json.dumps(config)
    return path
  with zipfile.ZipFile(path) as archive:
    config = json.loads(archive.read("config.json"))
  change(config["config"]["layers"][-1])
  return repacked(path, config__json=json.dumps(config))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(
  ("entry", "name"),
  [
    ({"module": "subprocess", "class_name": "Popen", "registered_name": "Popen"}, "Popen"),
    ({"module": "os", "class_name": "function", "config": "system"}, "'system' of os"),
    ({"module": "keras.utils", "class_name": "function", "config": "get_file"}, "get_file"),
    ({"module": "keras.src.utils.data_utils", "class_name": "function",
      "config": "get_file"}, "get_file"),
    ({"module": "builtins", "class_name": "function", "config": "eval"}, "'eval'"),
    ({"module": "keras", "class_name": "utils.get_file"}, "'utils.get_file' of keras"),
    ({"module": "keras.utils", "class_name": "get_file"}, "'get_file' of keras.utils"),
    ({"module": "os", "class_name": "__typespec__", "spec_name": "X"}, "of os"),
    ({"module": "keras.layers", "class_name": "TFSMLayer"}, "TFSMLayer"),
    ({"module": "keras.layers", "class_name": "TorchModuleWrapper"}, "TorchModuleWrapper"),
    ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}},
     "tf.io.write_file"),
    ({"class_name": "TFOpLambda", "config": {"function": "compat.v1.py_func"}}, "py_func"),
    ({"class_name": "TFOpLambda", "config": {"function": "load_op_library"}}, "load_op"),
    ({"class_name": "TFOpLambda", "config": {"function": "raw_ops.WriteFile"}}, "raw_ops"),
  ],
)  # fmt: skip
def test_what_is_not_keras_own_is_not_looked_up(entry, name, ending, tmp_path):
  def change(layer):
    layer["config"]["activation"] = {"config": {}, **entry}

  said = refused(with_config(saved(tmp_path, ending), change))
  assert name in said
  assert "neither Keras' own nor registered" in said


def test_arrays_that_may_be_pickles_are_refused(tmp_path):
  path = saved(tmp_path, ".keras")
  array = io.BytesIO()
  np.savez(array, a=np.array([{}], object))
  members = {"model__weights__h5": None, "model__weights__npz": array.getvalue()}
  assert "has no model.weights.h5" in refused(repacked(path, **members))


@pytest.mark.parametrize(
  ("version", "ending"), [form for form in FORMS if form != FORMS[2]]
)
def test_a_link_to_another_file_is_refused(version, ending, tmp_path):
  path = saved(tmp_path, ending, KERAS[version])
  weights = path
  if ending == ".keras":
    weights = str(tmp_path / "weights.h5")
    with zipfile.ZipFile(path) as archive:
      (tmp_path / "weights.h5").write_bytes(archive.read(WEIGHTS))
  with h5py.File(weights, "a") as file:
    file["elsewhere"] = h5py.ExternalLink("/etc/other.h5", "/")
  if ending == ".keras":
    with open(weights, "rb") as file:
      repacked(path, model__weights__h5=file.read())
  assert "(elsewhere leads elsewhere)" in refused(path)


def test_claims_are_held_against_what_the_file_and_this_machine_can_hold(
  tmp_path, monkeypatch
):
  path = saved(tmp_path, ".keras")
  with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("assets/zeros", bytes(1 << 24))
  monkeypatch.setattr(memory, "available", lambda: 1 << 22)
  said = refused(path)
  assert "holds 16,777,216 bytes of assets/zeros; expected at most 2,097,152" in said
  assert "Take a smaller network" in said
  monkeypatch.undo()
  # The archive's own word for it, which stands at its end.
  content = open(path, "rb").read()
  claimed = (1 << 24).to_bytes(4, "little")
  at = content.rindex(claimed)
  with open(path, "wb") as file:
    file.write(content[:at] + b"\xff\xff\xff\x7f" + content[at + 4 :])
  assert "claims 2,147,483,647 bytes of assets/zeros" in refused(path)


def test_of_an_archive_packed_otherwise_nothing_is_unpacked(tmp_path):
  path = saved(tmp_path, ".keras")
  with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
    archive.writestr("assets/zeros", bytes(1 << 20))
  assert "assets/zeros is packed by method 14" in refused(path)


def test_a_member_whose_name_no_file_can_have(tmp_path):
  path = saved(tmp_path, ".keras")
  with zipfile.ZipFile(path, "a") as archive:
    archive.writestr(f"assets/{'a' * 60_000}", "text")
  assert "(a member's name has a part of 60,000 bytes)" in refused(path)


def test_an_array_that_claims_more_than_its_file_can_hold(tmp_path):
  path = saved(tmp_path, ".h5")
  with h5py.File(path, "a") as file:
    file.create_dataset("model_weights/more", (10**12,), "f4")
  assert "claims 4,000,000,000,000 bytes of model_weights/more" in refused(path)


def test_a_network_that_no_memory_holds(tmp_path, monkeypatch):
  path = saved(tmp_path, ".keras")

  def load_model(*arguments, **options):  # TensorFlow itself tries for ten seconds
    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

  monkeypatch.setattr(tf.keras.models, "load_model", load_model)
  assert "does not fit into this machine's memory (OOM when" in refused(path)


# Files of other kinds and of other versions.


def test_a_missing_file_names_the_nearest_one(tmp_path):
  (tmp_path / "city.keras").touch()
  said = refused(tmp_path / "ctiy.keras")
  assert "ctiy.keras is not there; expected a network that Keras saved" in said
  assert said.endswith("Did you mean 'city.keras'?")
  os.symlink("nowhere", tmp_path / "dangling.keras")
  for path in ("none/city.keras", "city.keras/city.keras", "dangling.keras"):
    assert "is not there" in refused(tmp_path / path)
  assert "x.keras is not there" in refused("x.keras")
  assert "is not there" in refused("")
  assert "cannot be a path" in refused("a\0b")


def test_what_is_no_file_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "pipe.keras")
  assert "is a named pipe; expected a file" in refused(tmp_path / "pipe.keras")
  assert "is a character device" in refused("/dev/zero")
  os.symlink("circle.keras", tmp_path / "circle.keras")
  assert "Mend the links" in refused(tmp_path / "circle.keras")


@pytest.mark.parametrize("ending", [".keras", ".h5", ""])
def test_a_file_that_may_not_be_read_says_what_to_do(ending, tmp_path, monkeypatch):
  path = saved(tmp_path, ending)

  def denied(path, *arguments):
    raise PermissionError(13, os.strerror(13), path)

  with monkeypatch.context() as patch:  # root may read all
    patch.setattr(files.os, "open", denied)
    said = refused(path)
  name = f"network{ending}" if ending else "network/saved_model.pb"
  assert f"{name}: Permission denied. Give this user the right to it" in said


@pytest.mark.parametrize(
  ("name", "content", "said"),
  [
    ("a.keras", b"", "is empty"),
    ("a.h5", b"text", "is neither a zip archive nor HDF5"),
    ("a.pkl", pickle.dumps({}), "seems to be a pickle"),
    ("a.joblib", b"\x78\x9c123", "seems to be packed by zlib"),
    ("a.onnx", b"\x08\x0a12", "seems to be an ONNX network"),
    ("a.tflite", b"\x1c\0\0\0TFL3", "seems to be a TensorFlow Lite network"),
    ("a.pt", b"\x80\x02\x8a\x0a", "seems to be a PyTorch network"),
    ("a.keras", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ("a.json", b'{"class_name": "Functional"}', "architecture without its weights"),
    ("a.npy", b"\x93NUMPY\x01\0", "seems to be a NumPy array"),
    ("a.keras", b"<!DOCTYPE html>", "seems to be a page of the web"),
    ("saved_model.pb", b"\x08\x01", "give the SavedModel's folder"),
    ("a.keras.gz", b"\x1f\x8b\x08", "packed by gzip: unpack it"),
  ],
)
def test_a_file_of_another_kind_is_called_what_it_is(name, content, said, tmp_path):
  (tmp_path / name).write_bytes(content)
  message = refused(tmp_path / name)
  assert said in message
  assert "expected a network that Keras saved: a .keras" in message


@pytest.mark.parametrize(
  ("names", "said"),
  [
    (["archive/data.pkl", "archive/version"], "seems to be a PyTorch network"),
    (["arr_0.npy"], "seems to be NumPy's arrays"),
    (["city/saved_model.pb"], "seems to be a packed SavedModel: unpack it"),
    (["a.txt"], "seems to be a zip archive of something else"),
    ([], "seems to be a zip archive of something else"),
    (["config.json", "metadata.json"], "has no model.weights.h5"),
    (["metadata.json", WEIGHTS], "has no config.json"),
  ],
)
def test_a_zip_archive_of_another_kind_is_called_what_it_is(names, said, tmp_path):
  with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
    for name in names:
      archive.writestr(name, "{}")
  assert said in refused(tmp_path / "a.keras")


@pytest.mark.parametrize(
  ("names", "said"),
  [
    ([], "is a folder without saved_model.pb"),
    (["saved_model.pb"], "holds a SavedModel without its layers (no keras_metadata.pb)"),
    (["checkpoint", "w.index"], "holds weights without their network"),
    (["config.json", "metadata.json"], "holds an unpacked .keras archive"),
    (["a.txt", "city.keras"], "city.keras'?"),
  ],
)
def test_a_folder_without_a_network_of_keras(names, said, tmp_path):
  for name in names:
    (tmp_path / name).touch()
  assert said in refused(tmp_path)


def test_a_savedmodel_without_keras_layers_is_refused(tmp_path):
  tf.saved_model.save(tf.Module(), str(tmp_path / "module"))
  said = refused(tmp_path / "module")
  assert "as tf.saved_model.save and Keras 3's model.export write it" in said
  assert "model.save('network.keras')" in said


@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_weights_alone_are_refused(ending, tmp_path):
  path = str(tmp_path / f"w{ending}")
  sequential(tf.keras).save_weights(path)
  assert "holds weights alone" in refused(path)


def versioned(path, version):
  if h5py.is_hdf5(path):
    with h5py.File(path, "a") as file:
      file.attrs["keras_version"] = version
    return path
  return repacked(path, metadata__json=json.dumps({"keras_version": version}))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_file_of_another_keras_names_both_versions(ending, tmp_path, monkeypatch):
  path = saved(tmp_path, ending)
  monkeypatch.setattr(newest_keras, "__version__", "2.15.0")
  monkeypatch.setattr(stack, "installed", lambda: "tf215")
  said = refused(versioned(path, "3.15.1"))
  assert "was written by Keras 3.15.1; expected at most Keras 2." in said
  assert "Take the tf221 stack" in said
  assert "says that Keras '1.2.2' wrote it" in refused(versioned(path, "1.2.2"))
  assert "says that Keras '2\\n' wrote it" not in refused(versioned(path, "x\n"))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_newer_keras_of_the_same_kind_is_named_when_reading_fails(ending, tmp_path):
  path = versioned(saved(tmp_path, ending), "2.99.0")
  assert keras_files.read(path)  # as long as it can be read

  def change(layer):
    layer["config"]["novelty"] = 1

  said = refused(with_config(path, change))
  assert "was written by Keras 2.99.0" in said
  assert "novelty" in said


@needs_keras_3
def test_layers_that_this_keras_3_does_not_know(tmp_path):
  def change(layer):
    layer["class_name"] = "Novel"

  path = with_config(saved(tmp_path, ".keras", newest_keras), change)
  said = refused(path)
  assert "Novel'" in said
  said = refused(versioned(path, "3.99.0"))
  assert "was written by Keras 3.99.0" in said
  assert "it knows no 'keras.layers.Novel'" in said


@needs_keras_3
def test_keras_3_on_another_framework_says_what_to_set(tmp_path, monkeypatch):
  path = saved(tmp_path, ".keras", newest_keras)
  monkeypatch.setattr(newest_keras.config, "backend", lambda: "jax")
  assert "Set KERAS_BACKEND=tensorflow" in refused(path)


@pytest.mark.parametrize(
  ("version", "ending"), [form for form in FORMS if form != FORMS[2]]
)
def test_weights_that_do_not_fit_the_layers(version, ending, tmp_path):
  def change(layer):
    layer["config"]["units"] = 7

  said = refused(with_config(saved(tmp_path, ending, KERAS[version]), change))
  assert "its weights and layers do not belong together" in said


def test_a_layer_alone_is_no_network(tmp_path):
  path = saved(tmp_path, ".keras")
  with zipfile.ZipFile(path) as archive:
    config = json.loads(archive.read("config.json"))
  layer = json.dumps(config["config"]["layers"][1])
  weights = io.BytesIO()
  with h5py.File(weights, "w") as file:
    for i, shape in enumerate([(3, 3, 3, 2), (2,)]):
      file[f"vars/{i}"] = np.zeros(shape, np.float32)
  path = repacked(path, config__json=layer, model__weights__h5=weights.getvalue())
  assert "holds a Conv2D; expected a network that Keras saved" in refused(path)


# Damage.


@pytest.mark.parametrize(
  "members",
  [
    {"metadata__json": "{}"}, {"metadata__json": "["}, {"metadata__json": '{"k\xff'},
    {"metadata__json": '{"keras_version": 3}'}, {"config__json": "{}"},
    {"config__json": ""}, {"config__json": "[" * 100_000}, {"config__json": '"text"'},
    {"model__weights__h5": b""}, {"model__weights__h5": b"text"},
  ],
)  # fmt: skip
def test_members_that_are_not_as_keras_writes_them(members, tmp_path):
  said = refused(repacked(saved(tmp_path, ".keras"), **members))
  assert "is damaged, cut short, or not as Keras writes it" in said


@pytest.mark.parametrize("config", ["{}", "[", b"\xff\xfe", 3, "[" * 50_000])
def test_a_config_in_hdf5_that_is_none(config, tmp_path):
  path = saved(tmp_path, ".h5")
  with h5py.File(path, "a") as file:
    file.attrs["model_config"] = config
  assert "is damaged, cut short, or not as Keras writes it" in refused(path)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_layers_that_wait_for_each_other_are_not_waited_for(ending, tmp_path):
  def change(layer):
    layer["inbound_nodes"] = [[[layer["config"]["name"], 0, 0, {}]]]

  said = refused(with_config(saved(tmp_path, ending, builder=functional), change))
  assert "('logits' take what no layer gives, or wait for each other)" in said


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_names_of_any_length_are_cut(ending, tmp_path):
  def change(layer):
    layer["class_name"], layer["registered_name"] = "a" * 50_000, "b" * 50_000
    layer["module"] = "c" * 50_000

  refused(with_config(saved(tmp_path, ending), change))


@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_weights_that_are_no_numbers_are_refused(version, ending, tmp_path):
  path = str(tmp_path / f"network{ending}")
  network = trained(sequential(KERAS[version]))
  kernel = network.get_layer("conv").kernel
  kernel.assign(kernel * np.nan)
  network.save(path)
  assert "a weight that is not a number" in refused(path)


def judged(path):
  """Whether a network is read from what was damaged; if not, it is said in one line."""
  said = ""
  try:
    keras_files.read(str(path))
  except config_lib.UserError as error:
    said = str(error)
  assert "\n" not in said
  assert len(said) < 900
  return not said


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_file_that_is_cut_anywhere_is_refused(folder_of_each, ending, tmp_path):
  whole = (folder_of_each / f"network{ending}").read_bytes()
  for at in (*range(1, 100, 7), *range(100, len(whole), len(whole) // 40), len(whole) - 1):
    path = tmp_path / f"network{ending}"
    path.write_bytes(whole[:at])
    assert not judged(path), at


def test_any_bit_of_an_archive_that_flips_is_found_or_does_no_harm(
  folder_of_each, tmp_path
):
  """A checksum is kept of all members; names, times and rights are not what is read."""
  whole = (folder_of_each / "network.keras").read_bytes()
  before = outputs(keras_files.read(str(folder_of_each / "network.keras")))
  path = tmp_path / "network.keras"
  for bit in range(0, 8 * len(whole), 8 * len(whole) // 300 + 1):
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(changed)
    if judged(path):
      np.testing.assert_array_equal(outputs(keras_files.read(str(path))), before)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("kind", mutations.MUTATIONS)
def test_damage_of_every_kind_ends_in_one_line(folder_of_each, ending, kind, tmp_path):
  whole = (folder_of_each / f"network{ending}").read_bytes()
  for seed in range(4):
    path = tmp_path / f"network{ending}"
    path.write_bytes(mutations.MUTATIONS[kind](whole, random.Random(seed)))
    judged(path)


def test_layers_of_keras_that_a_savedmodel_garbles_are_not_called_the_users(
  folder_of_each, tmp_path
):
  shutil.copytree(folder_of_each / "network", tmp_path / "network")
  path = tmp_path / "network" / "keras_metadata.pb"
  path.write_bytes(path.read_bytes().replace(b'"filters": 2', b'"filtres": 2'))
  said = refused(tmp_path / "network")
  assert "Conv2D cannot be made as the file describes it" in said


@pytest.mark.parametrize(
  "name",
  ["saved_model.pb", "keras_metadata.pb", "variables/variables.index",
   "variables/variables.data-00000-of-00001"],
)  # fmt: skip
def test_a_savedmodel_with_a_damaged_file(folder_of_each, name, tmp_path):
  shutil.copytree(folder_of_each / "network", tmp_path / "network")
  path, whole = (
    tmp_path / "network" / name,
    (folder_of_each / "network" / name).read_bytes(),
  )
  for content in (b"", whole[: len(whole) // 2], whole[: len(whole) - 1], b"\xff" * 99):
    path.write_bytes(content)
    assert not judged(tmp_path / "network"), (name, len(content))
  path.unlink()
  assert not judged(tmp_path / "network")
  os.mkfifo(path)
  assert "is a named pipe" in refused(tmp_path / "network")


# Writing.


@pytest.mark.parametrize("ending", [".keras", ".h5", ""])
def test_a_failed_write_leaves_what_was_there(ending, tmp_path, monkeypatch):
  path = saved(tmp_path, ending, builder=functional)
  before = outputs(keras_files.read(path))
  network = sequential(tf.keras)

  def save_and_raise(error):
    def save(partial):
      type(network).save(network, partial)
      raise error

    monkeypatch.setattr(network, "save", save)

  save_and_raise(OSError(28, os.strerror(28)))
  with pytest.raises(OSError, match="No space left") as caught:
    keras_files.write(network, path)
  assert caught.value.filename == path
  save_and_raise(ValueError("a\nb"))
  with pytest.raises(config_lib.UserError, match=r"cannot be saved as .* \(a\)\. Save"):
    keras_files.write(network, path)
  np.testing.assert_array_equal(outputs(keras_files.read(path)), before)
  assert os.listdir(tmp_path) == [f"network{ending}"]


@pytest.mark.parametrize(("version", "ending"), FORMS)
def test_a_full_disk_is_the_systems_to_tell(version, ending, tmp_path):
  keras = KERAS[version]
  layers = [keras.layers.Input((99,)), keras.layers.Dense(999)]
  path = str(tmp_path / f"network{ending}")
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
  try:
    with pytest.raises((OSError, tf.errors.OpError)) as caught:
      keras_files.write(keras.Sequential(layers), path)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  said = files.problem(caught.value)
  assert said.startswith(path[:-3])
  assert "File too large. Raise the limit of a file's size" in said
  assert os.listdir(tmp_path) == []


def test_a_folder_of_the_users_own_is_not_replaced(tmp_path):
  (tmp_path / "network").mkdir()
  (tmp_path / "network" / "thesis.txt").touch()
  os.symlink("network", tmp_path / "link")
  for name in ("network", "network/thesis.txt", "link"):
    path = tmp_path / name
    with pytest.raises(config_lib.UserError, match="is there, and no SavedModel of Keras"):
      keras_files.write(sequential(tf.keras), str(path))
  assert (tmp_path / "network" / "thesis.txt").exists()


def test_a_folder_that_is_not_there_is_the_systems_to_tell(tmp_path):
  for ending in (".keras", ".h5", ""):
    with pytest.raises(FileNotFoundError, match="none"):
      keras_files.write(sequential(tf.keras), str(tmp_path / "none" / f"network{ending}"))


@needs_keras_3
def test_keras_3_writes_no_savedmodel(tmp_path):
  with pytest.raises(config_lib.UserError, match=r"Save it as .*adapted\.keras"):
    keras_files.write(sequential(newest_keras), str(tmp_path / "adapted"))


def test_what_is_no_network_is_called_what_it_is(tmp_path):
  for other in (3, "city.keras", tf.Module(), tf.keras.layers.Dense(2), tf.keras.Model):
    with pytest.raises(config_lib.UserError, match=r"expected a tf\.keras\.Model or keras"):
      keras_files.keras_of(other)
  assert keras_files.keras_of(sequential(tf.keras)) == "2"


def test_telling_them_apart_imports_neither():
  code = (
    "import sys; from tfdam import keras_files\n"
    "try: keras_files.keras_of(3)\n"
    "except Exception as error: print(error)\n"
    "print({'tensorflow', 'keras', 'tf_keras'} & {*sys.modules})"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=runtime.PROJECT, capture_output=True, text=True,
    check=True,
  )  # fmt: skip
  assert done.stdout.splitlines()[0].startswith("The network is a builtins.int; expected")
  assert done.stdout.splitlines()[1] == "set()"
