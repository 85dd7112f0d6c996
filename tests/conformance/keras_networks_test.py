"""What every Keras network that is wrapped must do: any architecture, Keras 2 and 3."""

import numpy as np
import pytest
import tensorflow as tf

import tfdam
from tests import keras_networks
from tfdam.keras_models import program
from tfdam.matching import folding, gaussian

# Small networks of both versions; large ones of the newest here, for time's sake.
NETWORKS = [(make, version) for make in keras_networks.SMALL for version in (2, 3)]
NETWORKS += [(make, keras_networks.newest()) for make in keras_networks.APPLICATIONS]
SOURCE = keras_networks.images(12, seed=1)
TARGET = keras_networks.images(12, seed=2, brightness=0.6)


@pytest.fixture(scope="module", params=[
  pytest.param((make, version), id=f"{make.__name__}-keras{version}")
  for make, version in NETWORKS
])  # fmt: skip
def network(request):
  return tfdam.Network(keras_networks.made(*request.param))


@pytest.fixture(scope="module")
def matched(network):
  # Bounds that no channel reaches: every one is to have the source's moments.
  options = tfdam.Match(max_scale=1e6, batch_size=6)
  return tfdam.match_moments(network, SOURCE, TARGET, options)


def outputs(model, images):
  """What Keras itself makes of images, as probabilities if the network ends so."""
  return np.asarray(model(images, training=False))


def as_model_gives(network, logits):
  return tf.nn.softmax(logits) if "softmax" in network.how_logits else logits


def at_sites(network, images):
  """{site: moments of its output}, and the logits at the walk's end."""
  found, state = {}, {"output": tf.constant(images)}
  for site in network.sites():
    state = site.advance(state)
    found[site.name] = gaussian.moments(state["output"])
  return found, network.logits_from(state, tf.constant(images))


def test_the_walk_ends_in_what_keras_computes(network):
  images = SOURCE[:2]
  wanted = outputs(network.model, images)
  # The same operations in the same order, but for batch norms' rounding in Keras 2.
  bound = 1e-6 * max(1.0, np.abs(wanted).max())
  whole = as_model_gives(network, network(images)["logits"])
  np.testing.assert_allclose(whole, wanted, rtol=0, atol=bound)
  walked = as_model_gives(network, at_sites(network, images)[1])
  np.testing.assert_allclose(walked, wanted, rtol=0, atol=bound)


def test_every_layer_with_weights_is_a_site_or_says_why_not(network):
  named = {site.name for site in network.sites()} | set(network.left_out)
  assert named
  assert all(network.left_out.values())
  operations = program.read(network.model).operations
  with_weights = {one.name for one in operations if getattr(one.layer, "weights", None)}
  assert with_weights <= named


def test_taps_lie_in_network_order_and_end_with_the_scores(network):
  order = network.all_taps
  places = [order.index(tap) for tap in network.TAPS]
  assert len(places) >= 3
  assert places == sorted(places)
  assert "scores" in network.TAPS[-1] or "predictions" in network.TAPS[-1]


def test_every_matched_site_has_the_sources_moments(network, matched):
  wanted, _ = at_sites(network, SOURCE)
  found, _ = at_sites(matched.network, TARGET)
  assert len(matched.report["sites"]) == len(wanted) > 1
  for name, source in wanted.items():
    target = found[name]
    deviation = np.sqrt(source.variance)
    alive = (deviation > 1e-4) & (np.sqrt(target.variance) > 1e-4)
    scale = np.maximum(deviation, 1.0)  # float32 rounds what is large by more
    np.testing.assert_array_less(
      np.abs(source.mean - target.mean) / scale, 1e-4, err_msg=name
    )
    difference = np.abs(deviation - np.sqrt(target.variance)) / scale
    np.testing.assert_array_less(difference[alive], 1e-4, err_msg=name)


def test_what_comes_back_has_the_variables_and_the_class_that_came_in(network, matched):
  before = network.model.get_weights()
  assert type(matched.model) is type(network.model)
  assert matched.model.name == network.model.name
  assert keras_networks.variables(matched.model) == keras_networks.variables(network.model)
  assert any(
    not np.array_equal(old, new) for old, new in zip(before, matched.model.get_weights())
  )


def test_adaptation_moves_the_trained_variables_and_keeps_the_network(network, matched):
  before = [w.copy() for w in network.model.get_weights()]
  options = tfdam.Adapt(steps=2, global_batch_size=2, target_learning_rate=1e-3)
  adapted = tfdam.adapt(network, SOURCE, TARGET, start=matched, options=options)
  for old, new in zip(before, network.model.get_weights()):
    np.testing.assert_array_equal(old, new)
  assert keras_networks.variables(adapted.model) == keras_networks.variables(network.model)
  moved = [
    not np.array_equal(old, new)
    for old, new in zip(
      (v.numpy() for v in matched.network.trainable_variables),
      (v.numpy() for v in adapted.network.trainable_variables),
    )
  ]
  assert all(moved)
  assert np.isfinite(adapted.report["losses"][-1]["loss/target"])


def test_a_file_of_it_gives_the_same(network, matched, tmp_path):
  keras = keras_networks.keras_of(3 if hasattr(network.model.weights[0], "path") else 2)
  path = str(tmp_path / "matched.keras")
  matched.model.save(path)
  read = keras.models.load_model(path)
  # Arithmetic of the same weights, in another graph.
  np.testing.assert_allclose(
    outputs(read, TARGET[:2]), outputs(matched.model, TARGET[:2]), atol=1e-6
  )


def test_every_kind_of_layer_that_folds_is_among_these_networks():
  kinds = set()
  for make in keras_networks.SMALL:
    network = tfdam.Network(keras_networks.made(make, 2))
    kinds |= {folding.kind(site.layer) for site in network.sites()}
  two_dimensional = {k for k in folding.KINDS if not k.endswith(("1D", "3D"))}
  two_dimensional -= {"Conv1DTranspose", "Conv3DTranspose"}
  assert kinds >= two_dimensional - {"GroupNormalization"}
