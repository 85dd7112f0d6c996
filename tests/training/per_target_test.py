"""Batch norms for each target in one network."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam.training import networks, per_target

_NAMES = ("day", "dusk", "night")


def _images(count, seed=0):
  return tf.constant(np.random.RandomState(seed).rand(count, 32, 48, 3), tf.float32)


def _network(**overrides):
  config = synthetic.scenes_config(**overrides)
  return networks.build_network(config, "target", "adapted")


def _unlike(every, seed=1):
  """Gives every target's norms values of their own."""
  rng = np.random.RandomState(seed)
  for i, norms in enumerate([per_target.norms_of(every.network), *every.norms.sets]):
    for norm in norms:
      shape = norm.gamma.shape
      norm.set_weights(
        [rng.rand(*shape) + 0.5 + i, rng.randn(*shape), rng.randn(*shape), rng.rand(*shape)]
      )
  return every


class PerTargetTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(0.0, 0.7)
  def test_each_image_has_its_targets_norms(self, image_moments):
    every = _unlike(
      per_target.PerTarget(_network(match__image_moments=image_moments), _NAMES)
    )
    images = _images(6)
    together = every(images)
    for i, name in enumerate(_NAMES):
      alone = every.of_target(name)(images[i::3])
      self.assertAllEqual(together["logits"][i::3], alone["logits"])
      plain = _network(match__image_moments=image_moments)
      plain.set_weights(every.network.get_weights())
      for norm, own in zip(per_target.norms_of(plain), every._norms(i)):
        norm.set_weights(own.get_weights())
      self.assertAllEqual(plain(images[i::3])["logits"], alone["logits"])
      for tap, found in plain(images[i::3])["taps"].items():
        self.assertAllEqual(together["taps"][tap][i::3], found)

  def test_a_networks_own_norms_are_back_after_a_call(self):
    network = _network()
    before = network(_images(2))["logits"]
    _unlike(every := per_target.PerTarget(network, _NAMES))
    after = network(_images(2))["logits"]
    every(_images(3))
    self.assertAllEqual(network(_images(2))["logits"], after)
    self.assertNotAllEqual(before, after)

  def test_targets_that_start_alike_are_one_network(self):
    network = _network()
    every = per_target.PerTarget(_network(seed=3), _NAMES)
    every.set_weights(per_target.PerTarget.alike(network, _NAMES).get_weights())
    self.assertAllEqual(every(_images(6))["logits"], network(_images(6))["logits"])
    for one, other in zip(every.get_weights(), every.get_weights()):
      self.assertAllEqual(one, other)

  @parameterized.parameters(False, True)
  def test_a_network_with_other_norms_shares_all_else(self, per_target_too):
    source, target = _network(), _network(seed=3)
    target.set_weights(source.get_weights())
    whole = target
    if per_target_too:
      whole = _unlike(per_target.PerTarget(target, _NAMES))
    for norm in per_target.norms_of(target):
      norm.set_weights([value + 0.5 for value in norm.get_weights()])
    before = target(_images(2))["logits"]
    found = per_target.WithNorms(whole, per_target.norms_of(source))(_images(2))
    self.assertAllEqual(found["logits"], source(_images(2))["logits"])
    self.assertAllEqual(target(_images(2))["logits"], before)
    self.assertNotAllEqual(found["logits"], before)

  def test_norms_get_the_gradient_of_their_own_images_and_other_weights_that_of_all(self):
    every = _unlike(per_target.PerTarget(_network(), _NAMES))
    images, others = _images(6), _images(6, seed=7).numpy()
    others[1::3] = images[1::3]  # dusk is as it was
    first, second = self.gradients(every, images), self.gradients(every, others)
    of_dusk = {id(v) for norm in every.norms.sets[0] for v in norm.trainable_variables}
    self.assertLen(of_dusk, 2 * len(per_target.norms_of(every.network)))
    moved = 0
    for variable, one, other in zip(every.trainable_variables, first, second):
      if id(variable) in of_dusk:
        self.assertAllEqual(one, other)
        moved += int(np.abs(one).max() > 0)
      elif np.abs(one).max() > 0:  # dead units have none
        self.assertNotAllEqual(one, other)
    self.assertGreater(moved, 0)

  def gradients(self, every, images):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(tf.square(every(images)["logits"]))
    found = tape.gradient(loss, every.trainable_variables)
    return [gradient.numpy() for gradient in found]

  def test_norms_that_train_move_their_own_moments_alone(self):
    every = per_target.PerTarget(_network(), _NAMES)
    images = np.tile(_images(3).numpy(), (2, 1, 1, 1))
    images[0::3] *= 0.1
    every(tf.constant(images), training=True)
    own, *others = [per_target.norms_of(every.network), *every.norms.sets]
    for norms in others:
      self.assertNotAllClose(norms[0].moving_variance, own[0].moving_variance)

  def test_a_target_may_have_the_network_for_itself(self):
    every = _unlike(per_target.PerTarget(_network(), _NAMES))
    wanted = every.of_target("night")(_images(2))["logits"]
    every.give("night")
    self.assertAllEqual(every.network(_images(2))["logits"], wanted)
