"""The library's functions: five lines from a trained network to an adapted one."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfdam
from tests import keras_networks, synthetic
from tfdam import runtime
from tfdam.training import adapt_step

SOURCE = keras_networks.images(16, seed=1)
TARGET = keras_networks.images(14, seed=2, brightness=0.6)
QUICK = {"steps": 3, "global_batch_size": 4}


@pytest.fixture(scope="module")
def network():
  return tfdam.Network(keras_networks.made(keras_networks.nested, 2))


def test_importing_the_library_starts_no_tensorflow():
  program = "import sys, tfdam; dir(tfdam); assert 'tensorflow' not in sys.modules"
  subprocess.run([sys.executable, "-c", program], check=True, cwd=runtime.PROJECT)


def test_every_public_name_is_there():
  for name in tfdam.__all__:
    assert getattr(tfdam, name).__module__.startswith("tfdam.")
    assert name in dir(tfdam)
  with pytest.raises(AttributeError, match="no attribute 'adept'"):
    tfdam.adept  # noqa: B018


def test_the_five_lines(network):
  gap = tfdam.measure_gap(network, SOURCE, TARGET)
  taps = gap.suggest(2)
  matched = tfdam.match_moments(network, SOURCE, TARGET)
  options = tfdam.Adapt(**QUICK)
  adapted = tfdam.adapt(network, SOURCE, TARGET, taps=taps, start=matched, options=options)
  assert type(adapted.model) is type(network.model)
  assert list(adapted.report["taps"]) == taps
  assert adapted.report["options"]["steps"] == 3
  assert adapted.report["losses"][-1]["step"] == 3
  assert isinstance(str(gap), str)


def test_matching_closes_the_gap_at_what_it_matched(network):
  before = tfdam.measure_gap(network, SOURCE, TARGET)
  matched = tfdam.match_moments(network, SOURCE, TARGET)
  after = tfdam.measure_gap(matched, SOURCE, TARGET)
  assert [row["layer"] for row in before.table] == list(network.TAPS)
  # Of maps: dense layers have one value an image, and 16 of those make no histogram.
  bits = [
    sum(row["divergence_bits"] for row in gap.table if len(row["shape"]) == 3)
    for gap in (before, after)
  ]
  assert bits[1] < 0.5 * bits[0]
  # Of equal images nothing is left to close.
  same = tfdam.measure_gap(network, SOURCE, SOURCE.copy())
  assert max(row["divergence_bits"] for row in same.table) < 1e-9


def test_layers_to_compare_are_chosen(network):
  gap = tfdam.measure_gap(network, SOURCE, TARGET, layers=["scores", "backbone/norm"])
  assert [row["layer"] for row in gap.table] == ["backbone/norm", "scores"]
  with pytest.raises(tfdam.UserError, match="Did you mean 'scores'"):
    tfdam.measure_gap(network, SOURCE, TARGET, layers=["score"])


def test_without_source_images_batch_norms_know_the_source():
  keras_model = keras_networks.made(keras_networks.residual, 2)
  network = tfdam.Network(keras_model)
  for site in network.sites():
    if hasattr(site.layer, "moving_mean"):  # trained on the source
      site.layer.momentum = 0.0
  state = {"output": tf.constant(SOURCE)}
  for site in network.sites():
    state = site.advance(state)
  network(tf.constant(SOURCE), training=True)
  matched = tfdam.match_moments(network, None, TARGET)
  assert matched.report["method"] == "source_free"
  assert [site["site"] for site in matched.report["sites"]] == ["norm0", "norm1"]
  wanted = network(tf.constant(SOURCE))["taps"]["swish0"]
  found = matched.network(tf.constant(TARGET))["taps"]["swish0"]
  before = network(tf.constant(TARGET))["taps"]["swish0"]

  def distance(taps):
    return float(tf.reduce_max(tf.abs(tf.reduce_mean(taps - 0, [0, 1, 2])
                                      - tf.reduce_mean(wanted, [0, 1, 2]))))  # fmt: skip

  assert distance(found) < 0.2 * distance(before)
  without = tfdam.Network(keras_networks.made(keras_networks.sequential, 2))
  with pytest.raises(tfdam.UserError, match="Give source images"):
    tfdam.match_moments(without, None, TARGET)


def test_the_same_seed_gives_the_same_bits(network):
  def weights(seed):
    options = tfdam.Adapt(**QUICK)
    return tfdam.adapt(
      network, SOURCE, TARGET, options=options, seed=seed
    ).model.get_weights()

  first, again, other = weights(0), weights(0), weights(1)
  assert all(np.array_equal(a, b) for a, b in zip(first, again))
  assert not all(np.array_equal(a, b) for a, b in zip(first, other))


def test_a_moving_average_is_what_comes_back(network):
  options = tfdam.Adapt(**QUICK, ema_momentum=0.9, target_learning_rate=1e-2)
  averaged = tfdam.adapt(network, SOURCE, TARGET, options=options)
  options = dataclasses.replace(options, ema_momentum=0.0)
  last = tfdam.adapt(network, SOURCE, TARGET, options=options)

  def moved(result):
    return sum(
      float(np.abs(new - old).sum())
      for new, old in zip(result.model.get_weights(), network.model.get_weights())
    )

  assert 0 < moved(averaged) < 0.6 * moved(last)


def test_replicas_share_a_batch(network):
  options = tfdam.Adapt(**QUICK, optimizer="sgd", target_learning_rate=1e-3)
  alone = tfdam.adapt(network, SOURCE, TARGET, options=options)
  with synthetic.two_replicas().scope():
    shared = tfdam.adapt(network, SOURCE, TARGET, options=options)
  for one, other in zip(alone.model.get_weights(), shared.model.get_weights()):
    # Sums in another order, in float32, three steps long.
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
  ("taps", "wanted"),
  [
    ("auto", None),
    ("scores", {"scores": 1.0}),
    ("backbone/norm:0.1,scores:2", {"backbone/norm": 0.1, "scores": 2.0}),
    (["scores", "backbone/norm"], {"backbone/norm": 1.0, "scores": 1.0}),
    ({"scores": 3}, {"scores": 3.0}),
  ],
)
def test_taps_are_given_in_any_way(network, taps, wanted):
  options = tfdam.Adapt(steps=1, global_batch_size=2)
  found = tfdam.adapt(network, SOURCE, TARGET, taps=taps, options=options).report["taps"]
  if wanted is None:
    assert list(found)[-1] == network.TAPS[-1]
    assert len(found) == min(4, len(network.TAPS))
  else:
    assert {tap: of["weight"] for tap, of in found.items()} == wanted
    assert list(found) == list(wanted)


def test_the_batch_follows_the_images_size(network):
  report = tfdam.adapt(
    network, SOURCE, TARGET, options=tfdam.Adapt(steps=1)
  ).report  # fmt: skip
  assert report["options"]["global_batch_size"] == 64


@pytest.mark.parametrize(
  ("make", "words"),
  [
    (lambda: tfdam.Adapt(steps=-1), r"Adapt.steps is -1; expected at least 0\."),
    (lambda: tfdam.Adapt(objective="wgan"), "expected one of gan, gan_softmax"),
    (lambda: tfdam.Adapt(gan_weight=float("nan")), "expected a finite number"),
    (lambda: tfdam.Match(max_scale=0.5), "Match.max_scale is 0.5; expected at least 1"),
    (lambda: tfdam.Match(sites=3), "Match.sites is 3"),
  ],
)
def test_options_check_themselves(make, words):
  with pytest.raises(tfdam.UserError, match=words) as raised:
    make()
  assert "--config" not in str(raised.value)


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"source_label_weight": 1.0}, "source_label_weight is 1.0, which needs labels"),
    ({"centroid_weight": 1.0}, "centroid_weight is 1.0, which needs labels"),
    ({"curriculum_weight": 1.0}, "curriculum_weight is 1.0, which needs labels"),
    ({"per_target": True}, "per_target is True; this function takes images of one target"),
    ({"information_weight": 1.0}, "information_weight is 1.0, which needs labels"),
    ({"objective": "joint_mmd"}, "'joint_mmd'"),
    ({"augment": True}, "Adapt.augment is True"),
    ({"init": "matched"}, "`start` says where to start"),
  ],
)
def test_options_that_need_labels_or_files_are_refused(network, changes, words):
  with pytest.raises(tfdam.UserError, match=words):
    tfdam.adapt(network, SOURCE, TARGET, options=tfdam.Adapt(**changes))


@pytest.mark.parametrize(
  ("call", "words"),
  [
    (lambda n: tfdam.match_moments(n.model, SOURCE, TARGET), "expected a tfdam.Network"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET[:, :9]), r"target has images of shape \(9"),
    (lambda n: tfdam.match_moments(n, SOURCE[..., :1], TARGET), "source has images of"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, taps=["nowhere"]), "Tap 'nowhere' is not in"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, taps=[]), "taps is empty"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, start=3), "start is int"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, options={}), "expected tfdam.Adapt"),
    (
      lambda n: tfdam.match_moments(n, SOURCE, TARGET, tfdam.Match(sites="nowhere")),
      "Site 'nowhere' is not in",
    ),
    (lambda n: tfdam.match_moments(n, SOURCE, TARGET * np.nan), "target has values"),
    (lambda n: tfdam.match_moments(n, SOURCE, TARGET, {}), "expected tfdam.Match"),
    (
      lambda n: tfdam.match_moments(n, SOURCE, TARGET, tfdam.Match(image_moments=0.5)),
      "Match.image_moments is 0.5, which this call has no use for",
    ),
    (
      lambda n: tfdam.match_moments(n, None, TARGET, tfdam.Match(method="adabn")),
      "Match.method is 'adabn'",
    ),
    (lambda n: tfdam.adapt(n, (SOURCE, np.zeros(16)), TARGET), "source is object"),
    (lambda n: tfdam.measure_gap(n, SOURCE[:1], TARGET), "source holds one image"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, taps="score"), "Did you mean 'scores'"),
    (
      lambda n: tfdam.match_moments(n, SOURCE, TARGET, tfdam.Match(sites="backbone/nrm")),
      "Did you mean 'backbone/norm'",
    ),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, taps=3), "taps is 3; expected names"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, taps={"scores": "x"}), "taps is {'scores'"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, taps={"scores": np.nan}), "weight above 0"),
    (lambda n: tfdam.measure_gap(n, SOURCE, TARGET, num_images=0), "num_images is 0"),
    (lambda n: tfdam.measure_gap(n, SOURCE, TARGET, num_images="4"), "num_images is '4'"),
    (lambda n: tfdam.measure_gap(n, SOURCE, TARGET, seed=-1), "seed is -1"),
    (lambda n: tfdam.match_moments(n, SOURCE, TARGET, seed=-1), "seed is -1"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET, seed=2**40), "seed is 1099511627776"),
    (lambda n: tfdam.adapt(n, SOURCE, TARGET * np.inf), "target has values"),
    (lambda n: tfdam.measure_gap(n, SOURCE * np.nan, TARGET), "source has values"),
    (
      lambda n: tfdam.adapt(n, SOURCE, tf.data.Dataset.from_tensor_slices(TARGET).take(0)),
      "target holds no images",
    ),
  ],
)
def test_mistakes_are_told_before_the_first_step(network, call, words):
  with pytest.raises(tfdam.UserError, match=words) as raised:
    call(network)
  assert "\n" not in str(raised.value)


def test_the_batch_that_holds_nan_ends_adaptation(network):
  bad = TARGET.copy()
  bad[9, 3, 4, 1] = np.nan
  target = tf.data.Dataset.from_tensor_slices(bad)
  with pytest.raises(tfdam.UserError, match="target .* first in image 9"):
    tfdam.adapt(network, SOURCE, target, options=tfdam.Adapt(steps=20, global_batch_size=4))


def test_a_data_set_that_can_be_read_once_alone_says_so(network):
  once = iter(TARGET)
  target = tf.data.Dataset.from_generator(
    lambda: once, output_signature=tf.TensorSpec(TARGET.shape[1:])
  )
  with pytest.raises(tfdam.UserError, match="cannot be read twice") as raised:
    tfdam.adapt(network, SOURCE, target, options=tfdam.Adapt(steps=20))
  assert "\n" not in str(raised.value)


def test_a_network_with_weights_that_are_no_numbers_is_refused():
  model = keras_networks.made(keras_networks.sequential, 2)
  kernel = model.get_layer("second").kernel
  kernel.assign(kernel * np.nan)
  network = tfdam.Network(model)
  for call in (tfdam.measure_gap, tfdam.match_moments, tfdam.adapt):
    with pytest.raises(tfdam.UserError, match="not a number .*second/kernel"):
      call(network, SOURCE, TARGET)


@pytest.mark.parametrize("version", [2, 3])
def test_a_size_that_a_layer_does_not_take_names_the_layer(version):
  network = tfdam.Network(keras_networks.made(keras_networks.unet, version))
  for call in (tfdam.measure_gap, tfdam.match_moments, tfdam.adapt):
    with pytest.raises(tfdam.UserError, match="Layer 'concatenate.* takes no") as raised:
      call(network, SOURCE[:, :30], TARGET[:, :30])
    assert "\n" not in str(raised.value)


def test_domains_may_differ_in_size_where_the_network_takes_any():
  network = tfdam.Network(keras_networks.made(keras_networks.unet, 2))
  tfdam.measure_gap(network, SOURCE[:, :16], TARGET[:, :, :16])
  tfdam.match_moments(network, SOURCE[:, :16], TARGET[:, :, :16])
  options = tfdam.Adapt(**QUICK)
  tfdam.adapt(network, SOURCE[:, :16], TARGET[:, :, :16], options=options)


@pytest.mark.parametrize(
  ("height", "width", "limit"), [(6, 8, 12), (7, 5, 4), (1, 9, 2), (30, 30, 100), (2, 2, 1)]
)
def test_a_thinned_map_shows_every_location_in_turn(height, width, limit):
  places = tf.reshape(tf.range(height * width, dtype=tf.float32), [1, height, width, 1])
  seen, sizes = set(), set()
  for step in range(height * width):
    found = adapt_step.thinned(places, limit, tf.constant(step))
    sizes.add(tuple(found.shape))
    seen.update(found.numpy().ravel().tolist())
  assert len(sizes) == 1
  assert found.shape[1] * found.shape[2] <= limit
  assert seen == set(range(height * width))


def test_a_map_that_is_small_enough_is_judged_whole():
  maps = tf.random.stateless_normal([2, 4, 4, 3], (0, 0))
  np.testing.assert_array_equal(adapt_step.thinned(maps, 16, tf.constant(5)), maps)
