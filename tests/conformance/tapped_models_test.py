"""What every model that shows its taps and sites itself must do: ours, and the page's."""

import os
import re

import numpy as np
import pytest
import tensorflow as tf

import tfdam
from tests import keras_networks, networks, synthetic
from tfdam import models, runtime
from tfdam.matching import gaussian

PAGE = os.path.join(runtime.PROJECT, "docs", "subclassed-model.md")
PAGES_OWN = ("page-keras2", "page-keras3")


def example(keras):
  """The class of the page's first example, of this Keras."""
  with open(PAGE) as file:
    source = re.findall(r"```python\n(.*?)```", file.read(), re.S)[0]
  names = {"__name__": __name__, "keras": keras}
  exec(source.replace("tf.keras.", "keras."), names)
  return names["Residual"]


def made(name):
  """A small network away from its initial values, and images of both domains."""
  if name in PAGES_OWN:
    model, shape = example(keras_networks.keras_of(int(name[-1])))(5), (24, 32, 3)
  else:
    options = networks.SMALL[name]
    own = {key[7:]: value for key, value in options.items() if key.startswith("model__")}
    model = models.MODELS[name](5, **own)
    shape = tuple(options[f"data__{side}"] for side in ("height", "width", "channels"))
  rng = np.random.RandomState(0)
  source = rng.uniform(size=(6, *shape)).astype(np.float32)
  model(source[:1])
  model.set_weights([
    # Score convolutions that start at zero would hide everything before them.
    w + rng.uniform(0.1, 0.5, w.shape) if w.ndim == 1 or not w.any() else w
    for w in model.get_weights()
  ])  # fmt: skip
  return model, source, 0.3 * source**2


@pytest.fixture(scope="module", params=[*models.MODELS, *PAGES_OWN])
def given(request):
  model, source, target = made(request.param)
  return tfdam.Network(model), source, target


@pytest.fixture(scope="module")
def matched(given):
  # Bounds that no channel reaches: every one is to have the source's moments.
  return tfdam.match_moments(*given, tfdam.Match(max_scale=1e6, batch_size=3))


def at_sites(network, images):
  """{site: moments of its output}."""
  found, state = {}, {"output": tf.constant(images)}
  for site in network.sites():
    state = site.advance(state)
    found[site.name] = gaussian.moments(state["output"])
  return found


def test_a_network_gives_what_its_model_does(given):
  network, source, _ = given
  found, wanted = network(source), network.model(source)
  np.testing.assert_array_equal(found["logits"], wanted["logits"])
  assert tuple(found["taps"]) == network.TAPS == tuple(network.model.TAPS)
  for tap in network.TAPS:
    np.testing.assert_array_equal(found["taps"][tap], wanted["taps"][tap])
    shape = network.tap_shape(tap)
    assert len(shape) == len(found["taps"][tap].shape) - 1
    assert shape[-1] == found["taps"][tap].shape[-1]


def test_a_network_says_what_it_takes_and_gives(given):
  network, source, _ = given
  labels_pixels = len(network(source)["logits"].shape) == 4
  sizes = source.shape[1:3]
  channels = source.shape[-1]
  assert network.input_shape == (*((None, None) if labels_pixels else sizes), channels)
  assert network.output_shape == ((None, None, 5) if labels_pixels else (5,))
  assert network.num_noise == getattr(network.model, "num_noise", 0)


def test_every_layer_with_weights_is_a_site_or_left_out(given):
  network, _, _ = given
  weights = {
    id(w) for site in network.sites() for w in site.layer.weights
  } | {
    id(w) for layer in network.submodules if layer.name in network.left_out
    for w in layer.weights
  }  # fmt: skip
  assert weights == {id(w) for w in network.model.weights}


def test_every_matched_site_has_the_sources_moments(given, matched):
  network, source, target = given
  wanted, found = at_sites(network, source), at_sites(matched.network, target)
  for name, of_source in wanted.items():
    deviation = np.sqrt(of_source.variance)
    alive = (deviation > 1e-4) & (np.sqrt(found[name].variance) > 1e-4)
    scale = np.maximum(deviation, 1.0)  # float32 rounds what is large by more
    means = np.abs(of_source.mean - found[name].mean) / scale
    np.testing.assert_array_less(means, 1e-4, err_msg=name)
    deviations = np.abs(deviation - np.sqrt(found[name].variance)) / scale
    np.testing.assert_array_less(deviations[alive], 1e-4, err_msg=name)


def test_a_model_of_the_class_that_came_in_goes_out(given, matched):
  network, source, target = given
  before = network.get_weights()
  gap = tfdam.measure_gap(network, source, target)
  options = tfdam.Adapt(steps=2, global_batch_size=2, target_learning_rate=1e-3)
  adapted = tfdam.adapt(
    network, source, target, taps=gap.suggest(2), start=matched, options=options
  )
  for result in (matched, adapted):
    assert type(result.model) is type(network.model)
    assert result.model is not network.model
    assert keras_networks.variables(result.model) == keras_networks.variables(network.model)
  for old, new in zip(before, network.get_weights()):
    np.testing.assert_array_equal(old, new)
  moved = [
    not np.array_equal(one, other)
    for one, other in zip(
      (v.numpy() for v in matched.network.trainable_variables),
      (v.numpy() for v in adapted.network.trainable_variables),
    )
  ]
  assert any(moved)
  assert tfdam.measure_gap(adapted, source, target).table


@pytest.mark.parametrize("name", PAGES_OWN)
def test_the_pages_model_is_saved_and_read_again(name, tmp_path):
  model, source, target = made(name)
  matched = tfdam.match_moments(tfdam.Network(model), source, target)
  matched.model.save(tmp_path / "matched.keras")
  keras = keras_networks.keras_of(int(name[-1]))
  read = keras.models.load_model(tmp_path / "matched.keras")
  np.testing.assert_array_equal(read(target)["logits"], matched.model(target)["logits"])
  # A folder of images knows no size: the network read takes any, too.
  assert tfdam.Network(read).input_shape == (None, None, 3)


def test_the_pages_model_is_matched_without_source_images():
  model, _, target = made("page-keras2")
  matched = tfdam.match_moments(tfdam.Network(model), None, target)
  assert [site["site"] for site in matched.report["sites"]] == [
    "block0_norm", "block1_norm", "block2_norm"
  ]  # fmt: skip


@pytest.mark.parametrize("name", ["lenet_bn", *PAGES_OWN])
def test_replicas_share_a_batch(name):
  model, source, target = made(name)
  network = tfdam.Network(model)
  options = tfdam.Adapt(
    steps=2, global_batch_size=4, optimizer="sgd", target_learning_rate=1e-3
  )
  alone = tfdam.adapt(network, source, target, options=options)
  with synthetic.two_replicas().scope():
    shared = tfdam.adapt(network, source, target, options=options)
  for one, other in zip(alone.model.get_weights(), shared.model.get_weights()):
    # Sums in another order, in float32, two steps long.
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_pages_model_has_forty_lines():
  with open(PAGE) as file:
    source = re.findall(r"```python\n(.*?)```", file.read(), re.S)[0]
  assert len([line for line in source.splitlines() if line.strip()]) <= 40
