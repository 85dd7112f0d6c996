"""Models that contradict what they say of themselves are refused, with the remedy."""

import numpy as np
import pytest
import tensorflow as tf

import tfdam
from tests.conformance import tapped_models_test
from tfdam.models import conv_norm, lenet_bn

Residual = tapped_models_test.example(tf.keras)
IMAGES = np.random.RandomState(0).uniform(size=(2, 16, 16, 3)).astype(np.float32)
L = tf.keras.layers


def built(kind, *args, **kwargs):
  model = kind(*(args or (3,)), **kwargs)
  model(IMAGES[:1])
  return model


class Half(tf.keras.Model):
  TAPS = ("scores",)

  def __init__(self, num_classes):
    super().__init__()
    self.dense = L.Dense(num_classes, name="scores")

  def call(self, images):
    x = self.dense(images)
    return {"logits": x, "taps": {"scores": x}}


class MostOfIt(Half):
  def sites(self):
    return [("scores", self.dense, lambda state: {"output": self.dense(state["output"])})]


class AllOfIt(MostOfIt):
  """Takes no `training`, and its sites are tuples."""

  def logits_from(self, state, images):
    return state["output"]


class GivesScores(Residual):
  def call(self, images, training=False):
    return super().call(images, training)["logits"]


class GivesOtherTaps(Residual):
  def call(self, images, training=False):
    output = super().call(images, training)
    return {**output, "taps": {"block9": output["logits"]}}


class GivesLabels(Residual):
  def call(self, images, training=False):
    output = super().call(images, training)
    return {**output, "logits": tf.argmax(output["logits"], -1)}


def with_sites(change):
  """The example, each of its sites changed: change(model, site, its number) -> site."""

  class Changed(Residual):
    def sites(self):
      return [change(self, site, i) for i, site in enumerate(super().sites())]

  return Changed


def with_states(change):
  """The example, what each advance returns changed: change(model, state) -> state."""
  return with_sites(
    lambda model, site, i: site._replace(
      advance=lambda state: change(model, site.advance(state))
    )
  )


class SkipsShortcut(Residual):
  def advance(self, i):
    advance = super().advance(i)

    def run(state):
      return advance({**state, "input": 0.0 * state.get("input", state["output"])})

    return run


class Unnamed(AllOfIt):
  def __init__(self, num_classes):
    super().__init__(num_classes)
    self.dense = L.Dense(num_classes)

  def sites(self):
    return [(self.dense.name, *MostOfIt.sites(self)[0][1:])]


class Forgetful(Residual):
  def get_config(self):
    return {"num_classes": self.given["num_classes"]}


class Secretive(AllOfIt):
  """What it computes depends on more than its constructor's arguments."""

  factor = 1.0

  def call(self, images):
    return super().call(self.factor * images)


def halved(model):
  model.factor = 0.5
  return model


@pytest.mark.parametrize(
  ("make", "words"),
  [
    (lambda: built(Half), "has TAPS, but no sites and no logits_from; .* Add sites"),
    (lambda: built(MostOfIt), "has TAPS and sites, but no logits_from; .*the last site"),
    (lambda: Residual(3), "has not seen an image: .* Call it on one"),
    (lambda: built(GivesScores), r"gives float32 \(1, 16, 16, 3\); expected {'logits'"),
    (lambda: built(GivesOtherTaps), "taps block9; expected those of its TAPS, block0"),
    (lambda: built(GivesLabels), r"logits that are int64 \(1, 16, 16\); expected float"),
    (
      lambda: built(with_sites(lambda model, site, i: site.layer)),
      r"a site that is a BatchNormalization. Have sites\(\) return \(name, layer",
    ),
    (
      lambda: built(with_sites(lambda model, site, i: site._replace(name="norm"))),
      "has 4 sites 'norm'. Name each its own",
    ),
    (
      lambda: built(with_sites(
        lambda model, site, i: site._replace(layer=L.ReLU()) if i == 1 else site
      )),
      "a site 'block1_norm' at a ReLU, which takes no scale and shift; expected .*Dense",
    ),
    (
      lambda: built(with_states(lambda model, state: {**state, "width": 3})),
      "puts a int into the state as 'width'. Keep tensors alone",
    ),
    (
      lambda: built(with_states(lambda model, state: state["output"])),
      r"whose advance gives float32 \(1, 16, 16, 16\); expected a state",
    ),
    (
      lambda: built(with_states(
        lambda model, state: {**state, "output": tf.nn.relu(state["output"])}
      )),
      "'block0_norm' whose 'output' is not what its layer gives.* before the non-linearity",
    ),
    (
      lambda: built(with_states(
        lambda model, state: {**state, "relu": tf.nn.relu(state["output"])}
      )),
      "'block0_norm' that puts 'relu' into the state, which depends on the site's own",
    ),
    (lambda: built(SkipsShortcut), "and the walk along its sites differ, by up to [0-9.]+"),
    (lambda: built(Unnamed), "has a site 'dense.*', which its copy calls 'dense_"),
    (lambda: built(Forgetful, 3, width=8), "other weights .* Give it a get_config with"),
    (lambda: halved(built(Secretive)), "a copy of it from its configuration differ, by up"),
  ],
)  # fmt: skip
def test_what_a_model_says_wrongly_of_itself_is_told_in_one_line(make, words):
  model = make()
  before = model.get_weights()
  with pytest.raises(tfdam.UserError, match=words) as raised:
    tfdam.Network(model)
  assert "\n" not in str(raised.value)
  assert str(raised.value).count("docs/subclassed-model.md") <= 1
  for old, new in zip(before, model.get_weights()):
    np.testing.assert_array_equal(old, new)


def test_a_model_without_any_of_it_is_told_both_ways_out():
  model = tf.keras.Sequential([L.Dense(2, input_shape=(4, 4, 3))])

  class Plain(tf.keras.Model):
    def call(self, images):
      return model(images)

  with pytest.raises(
    tfdam.UserError, match=r"keras\.Model\(inputs.*docs/subclassed-model\.md"
  ):
    tfdam.Network(Plain())


def test_tuples_are_sites_and_training_need_not_be_taken():
  network = tfdam.Network(built(AllOfIt))
  matched = tfdam.match_moments(network, IMAGES, 0.5 * IMAGES)
  assert [site["site"] for site in matched.report["sites"]] == ["scores"]
  found = matched.model(0.5 * IMAGES)["logits"]
  # float32, twice.
  np.testing.assert_allclose(found, network.model(IMAGES)["logits"], atol=1e-5)


def test_the_trial_leaves_the_model_as_it_is():
  model = built(Residual)
  before = model.get_weights()
  tfdam.Network(model)
  for old, new in zip(before, model.get_weights()):
    np.testing.assert_array_equal(old, new)


def test_half_precision_is_no_contradiction():
  tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
  try:
    network = tfdam.Network(built(Residual))
    assert network(IMAGES)["logits"].dtype == tf.float32
    assert network(IMAGES)["taps"]["block0"].dtype == tf.bfloat16
  finally:
    tf.keras.mixed_precision.set_global_policy("float32")


def test_norms_that_look_at_images_are_no_part_of_a_configuration():
  """What `match.image_moments` sets would be lost in a copy: it is told, not lost."""
  model = lenet_bn.LeNetBN(3)
  images = np.random.RandomState(0).uniform(size=(1, 28, 28, 1)).astype(np.float32)
  model(images)
  conv_norm.normalise_by_image(model, 0.5)
  with pytest.raises(tfdam.UserError, match="a copy of it .* differ"):
    tfdam.Network(model)


def test_settings_of_a_network_hold_for_such_a_model_too():
  model = built(Residual)
  pixels = np.random.RandomState(1).randint(0, 256, (2, 16, 16, 3))
  units = tf.constant(pixels / 255, tf.float32)
  expects = tfdam.Expects(1 / 255, 0.5, 0.25)
  network = tfdam.Network(
    model, outputs="probabilities", expects=expects, unit_images=True
  ).view(["block1"])
  wanted = model(expects.prepared(pixels))
  for one in (network, network.clone()):
    found = one(units)
    assert tuple(found["taps"]) == ("block1",)
    np.testing.assert_allclose(
      found["logits"], np.log(np.maximum(wanted["logits"], 1e-7)), rtol=1e-3, atol=1e-3
    )
  state = {"output": units}
  for site in network.sites():
    state = site.advance(state)
  np.testing.assert_allclose(
    network.logits_from(state, units), network(units)["logits"], rtol=1e-3, atol=1e-3
  )
  with pytest.raises(tfdam.UserError, match="Did you mean 'block1'"):
    network.view(["block_1"])
