"""Wrapping Keras models: what is found, what is refused, and that nothing is changed."""

import numpy as np
import pytest
import tensorflow as tf

import tfdam
from tests import keras_networks
from tfdam import network as network_lib
from tfdam.keras_models import versions

K = tf.keras
L = K.layers


@pytest.fixture(scope="module", params=[2, 3])
def keras(request):
  return keras_networks.keras_of(request.param)


def image(keras, size=16):
  return keras.layers.Input((size, size, 3))


def test_layers_that_are_no_sites_say_why(keras):
  def left_out(make):
    return tfdam.Network(keras_networks.made(make, versions.version(make(keras)))).left_out

  assert left_out(keras_networks.nested) == {
    "backbone/conv": "the batch norm after it takes the scale and the shift"
  }
  assert left_out(keras_networks.separable) == {
    "shared": "shared by 2 calls, which may need different scales",
    "shared@2": "shared by 2 calls, which may need different scales",
  }
  images = image(keras)
  x = keras.layers.Conv2D(4, 3, use_bias=False, name="plain")(images)
  x = keras.layers.BatchNormalization(axis=1, name="rows")(x)
  x = keras.layers.PReLU(name="prelu")(x)
  x = keras.layers.GlobalAveragePooling2D()(x)
  network = tfdam.Network(keras.Model(images, keras.layers.Dense(2)(x)))
  assert network.left_out == {
    "plain": "it has no bias to take the shift",
    "rows": "it does not normalise the last axis alone",
    "prelu": "PReLU has weights in an order that tfdam does not know",
  }


def test_a_convolution_whose_batch_norm_is_not_alone_keeps_its_site(keras):
  images = image(keras)
  x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(images)
  y = keras.layers.BatchNormalization(name="norm")(x)
  x = keras.layers.Add()([x, y])
  x = keras.layers.GlobalAveragePooling2D()(x)
  network = tfdam.Network(keras.Model(images, keras.layers.Dense(2, name="dense")(x)))
  assert [site.name for site in network.sites()] == ["conv", "norm", "dense"]


@pytest.mark.parametrize(
  ("end", "how"),
  [
    (lambda k, x: k.layers.Dense(3, name="d")(x), "the output as it is"),
    (
      lambda k, x: k.layers.Dense(3, activation="softmax", name="d")(x),
      "'d' without the softmax that it ends with",
    ),
    (
      lambda k, x: k.layers.Softmax(name="s")(k.layers.Dense(3)(x)),
      "before 's', a softmax",
    ),
    (
      lambda k, x: k.layers.Activation("softmax", name="s")(k.layers.Dense(3)(x)),
      "before 's', a softmax",
    ),
    (lambda k, x: k.layers.Dense(3, activation="relu")(x), "the output as it is"),
  ],
)
def test_a_softmax_at_the_end_is_left_out_and_told(keras, end, how):
  images = image(keras)
  x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
  network = tfdam.Network(keras.Model(images, end(keras, x)))
  assert network.how_logits == how
  found = network(tf.ones([2, 16, 16, 3]))["logits"]
  wanted = np.asarray(network.model(np.ones([2, 16, 16, 3], np.float32)))
  if "softmax" in how:
    found = tf.nn.softmax(found)
  np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_probabilities_become_logits_where_that_is_said(keras):
  images = image(keras)
  x = keras.layers.GlobalAveragePooling2D()(images)
  x = keras.layers.Dense(3, activation="softmax")(x)
  network = tfdam.Network(keras.Model(images, x), outputs="probabilities")
  found = tf.nn.softmax(network(tf.ones([1, 16, 16, 3]))["logits"])
  wanted = network.model(np.ones([1, 16, 16, 3], np.float32))
  np.testing.assert_allclose(found, np.asarray(wanted), atol=1e-6)


def test_score_maps_are_enlarged_where_that_is_asked_for(keras):
  images = image(keras)
  model = keras.Model(images, keras.layers.Conv2D(3, 4, strides=4)(images))
  assert tfdam.Network(model)(tf.zeros([2, 16, 16, 3]))["logits"].shape == (2, 4, 4, 3)
  enlarged = tfdam.Network(model, enlarge=True)
  assert enlarged(tf.zeros([2, 16, 16, 3]))["logits"].shape == (2, 16, 16, 3)


def test_training_concerns_batch_norms_alone_and_never_frozen_backbones(keras):
  version = versions.version(keras_networks.nested(keras))
  network = tfdam.Network(keras_networks.made(keras_networks.residual, version))
  images = tf.constant(keras_networks.images(4))
  before = network.get_weights()
  network(images, training=True)
  moved = [
    name
    for (name, _, _), old, new in zip(
      keras_networks.variables(network.model), before, network.get_weights()
    )
    if not np.array_equal(old, new)
  ]
  assert moved
  assert all("moving" in name for name in moved)
  dropping = tfdam.Network(keras_networks.made(keras_networks.sequential, version))
  first, second = (dropping(images, training=True)["logits"] for _ in range(2))
  np.testing.assert_array_equal(first, second)


def test_a_backbone_called_without_training_stays_so_in_keras_2():
  network = tfdam.Network(keras_networks.made(keras_networks.nested, 2))
  before = network.get_weights()
  network(tf.constant(keras_networks.images(4)), training=True)
  for old, new in zip(before, network.get_weights()):
    np.testing.assert_array_equal(old, new)


def test_a_clone_has_weights_of_its_own(keras):
  version = versions.version(keras_networks.nested(keras))
  network = tfdam.Network(keras_networks.made(keras_networks.nested, version))
  network.model.get_layer("backbone").trainable = False
  network = tfdam.Network(network.model)
  clone = network.clone()
  assert keras_networks.variables(clone.model) == keras_networks.variables(network.model)
  assert len(clone.trainable_variables) == 4
  clone.set_weights([w + 1 for w in clone.get_weights()])
  for old, new in zip(network.get_weights(), clone.get_weights()):
    np.testing.assert_allclose(old + 1, new)


def test_a_view_returns_the_taps_that_were_asked_for(keras):
  version = versions.version(keras_networks.nested(keras))
  network = tfdam.Network(keras_networks.made(keras_networks.nested, version))
  view = network.view(["scores", "backbone/norm"])
  assert view.TAPS == ("backbone/norm", "scores")
  assert set(view(tf.zeros([1, 32, 32, 3]))["taps"]) == {"backbone/norm", "scores"}
  assert view.model is network.model
  with pytest.raises(tfdam.UserError, match="Did you mean 'backbone/norm'"):
    network.view(["backbone/nrm"])


def test_checkpoints_hold_every_weight(keras, tmp_path):
  version = versions.version(keras_networks.nested(keras))
  network = tfdam.Network(keras_networks.made(keras_networks.nested, version))
  path = tf.train.Checkpoint(model=network).write(str(tmp_path / "saved"))
  other = network.clone()
  other.set_weights([w * 0 for w in other.get_weights()])
  tf.train.Checkpoint(model=other).read(path).assert_consumed()
  for old, new in zip(network.get_weights(), other.get_weights()):
    np.testing.assert_array_equal(old, new)


class Subclassed(K.Model):
  def __init__(self):
    super().__init__(name="subclassed")
    self.dense = L.Dense(2)

  def call(self, images):
    return self.dense(images)


class Overridden(K.Model):
  """Functional, but its `call` leaves the graph aside."""

  def call(self, images, training=None):
    return 2 * super().call(images, training)


def many(inputs, outputs):
  ends = [L.Input((8, 8, 3)) for _ in range(inputs)]
  x = L.Flatten()(L.Add()(ends) if inputs > 1 else ends[0])
  return K.Model(ends, [L.Dense(2)(x) for _ in range(outputs)])


def channels_first():
  images = L.Input((3, 8, 8))
  return K.Model(images, L.Conv2D(2, 3, data_format="channels_first")(images))


def recurrent():
  images = L.Input((8, 8, 3))
  return K.Model(images, L.Dense(2)(L.LSTM(4)(L.Reshape((8, 24))(images))))


@pytest.mark.parametrize(
  ("make", "words"),
  [
    (lambda: 3, "int; expected a Keras model"),
    (lambda: "city.keras", "a path, 'city.keras'; expected a Keras model. Load it"),
    (lambda: L.Dense(2), "Dense; expected a Keras model"),
    (Subclassed, "has a `call` of its own"),
    (lambda: Overridden(*(2 * [L.Input((8, 8, 3))])), "has a `call` of its own"),
    (lambda: K.Sequential([L.Dense(2)]), "has not seen an input"),
    (lambda: many(2, 1), "has 2 inputs; expected one"),
    (lambda: many(1, 2), "has 2 outputs; expected one"),
    (lambda: K.Sequential([L.Dense(2, input_shape=(3,))]), r"takes \(None, 3\); expected"),
    (recurrent, r"is recurrent \('lstm.*', LSTM\)"),
    (channels_first, "has channels first"),
  ],
)
def test_what_cannot_be_wrapped_is_refused_in_one_line(make, words):
  with pytest.raises(tfdam.UserError, match=words) as raised:
    tfdam.Network(make())
  assert "\n" not in str(raised.value)


class Unregistered(L.Layer):
  def __init__(self, factor, **kwargs):
    super().__init__(**kwargs)
    self.factor = factor

  def call(self, inputs):
    return inputs


class WithConfig(Unregistered):
  def get_config(self):
    return {**super().get_config(), "factor": self.factor}


def test_layers_of_ones_own_need_no_registration_to_be_copied():
  images = L.Input((8, 8, 3))
  model = K.Model(images, L.Dense(2)(L.Flatten()(WithConfig(2.0)(images))))
  clone = tfdam.Network(model).clone()
  assert isinstance(clone.model.layers[1], WithConfig)


def test_layers_without_a_configuration_cannot_be_copied():
  images = L.Input((8, 8, 3))
  model = K.Model(images, L.Dense(2)(L.Flatten()(Unregistered(object())(images))))
  with pytest.raises(tfdam.UserError, match="cannot be copied .* get_config"):
    tfdam.Network(model).clone()


def test_pixels_are_prepared_as_was_said():
  pixels = np.array([[[[0, 51, 255]]]], np.uint8)
  expects = tfdam.Expects(1 / 255, (0.5, 0.0, 0.0), 0.5, "bgr")
  np.testing.assert_allclose(expects.prepared(pixels), [[[[1.0, 0.4, 0.0]]]], atol=1e-6)


def test_who_prepares_pixels_is_found_out(keras):
  images = image(keras)
  plain = keras.Model(images, keras.layers.Conv2D(2, 3)(images))
  scaled = keras.Model(
    images, keras.layers.Conv2D(2, 3)(keras.layers.Rescaling(1 / 255)(images))
  )
  assert not tfdam.Network(plain).prepares
  assert tfdam.Network(plain, expects=tfdam.Expects()).prepares
  assert tfdam.Network(scaled).prepares


@pytest.mark.parametrize("expects", [
  None,
  tfdam.Expects(1 / 255),
  tfdam.Expects(1 / 127.5, 1.0),
  tfdam.Expects(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  tfdam.Expects(1.0, (103.939, 116.779, 123.68), channel_order="bgr"),
])  # fmt: skip
def test_images_from_0_to_1_are_prepared_as_pixels_are(keras, expects):
  images = image(keras)
  x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(images)
  x = keras.layers.GlobalAveragePooling2D()(x)
  model = keras.Model(images, keras.layers.Dense(3, name="scores")(x))
  pixels = np.random.RandomState(0).randint(0, 256, (2, *model.inputs[0].shape[1:]))
  units = tf.constant(pixels / 255.0, tf.float32)
  plain = tfdam.Network(model, expects=expects)
  network = tfdam.Network(model, expects=expects, unit_images=True).view(["first"])
  wanted = plain(expects.prepared(pixels) if expects else tf.cast(pixels, tf.float32))
  found = network(units)
  assert tuple(found["taps"]) == ("first",)
  # float32's rounding of numbers up to 255.
  for one in (found, network.clone()(units)):
    np.testing.assert_allclose(one["logits"], wanted["logits"], rtol=1e-4, atol=1e-4)
  np.testing.assert_array_equal(
    network.activations(units, ["first"])["first"], found["taps"]["first"]
  )
  state = {"output": units}
  for site in network.sites():
    state = site.advance(state)
  np.testing.assert_array_equal(network.logits_from(state, units), found["logits"])


def test_what_takes_images_from_0_to_1_is_given_their_bits():
  units = tf.random.stateless_uniform([1, 4, 4, 3], [0, 0])
  assert tfdam.Expects(1 / 255).prepared_units(units) is units


def test_checkpoints_hold_each_weight_once(keras, tmp_path):
  images = image(keras)
  x = keras.layers.Conv2D(4, 3)(images)
  x = keras.layers.BatchNormalization()(x)
  network = tfdam.Network(keras.Model(images, keras.layers.Conv2D(2, 1)(x)))
  path = tf.train.Checkpoint(model=network).write(str(tmp_path / "state"))
  kept = [n for n, _ in tf.train.list_variables(path) if n.startswith("model/")]
  assert len(kept) == len(network.variables)


def test_a_clone_knows_what_a_normalization_was_adapted_to(keras):
  pixels = np.random.RandomState(0).uniform(20, 70, (6, 8, 8, 3)).astype(np.float32)
  normalization = keras.layers.Normalization()
  normalization.adapt(pixels)
  images = image(keras, 8)
  x = keras.layers.Flatten()(normalization(images))
  network = tfdam.Network(keras.Model(images, keras.layers.Dense(2)(x)))
  np.testing.assert_array_equal(
    network.clone()(pixels)["logits"], network(pixels)["logits"]
  )


def test_spread_takes_names_evenly_and_the_last_one():
  assert network_lib.auto_taps("abcdefgh") == ["b", "d", "f", "h"]
  assert network_lib.auto_taps("ab") == ["a", "b"]
