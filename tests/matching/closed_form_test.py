"""Sequential matching of a whole network."""

import numpy as np
import tensorflow as tf

from tests import synthetic
from tfdam import config as config_lib
from tfdam.matching import closed_form, gaussian
from tfdam.models import lenet, lenet_bn


def network():
  model = lenet.LeNet(10, seed=3)
  model(tf.zeros([1, 28, 28, 1]))
  return model


def site_moments(model, images):
  state, found = {"output": images}, {}
  for site in model.sites():
    state = site.advance(state)
    found[site.name] = gaussian.moments(state["output"])
  return found


class GaussianStageTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    source, _ = synthetic.digits(300, 28, seed=0)
    target, _ = synthetic.digits(200, 28, seed=1, gain=0.5, offset=0.3)
    self.source_images = tf.constant(source[..., None] / 255.0, tf.float32)
    self.target_images = tf.constant(target[..., None] / 255.0, tf.float32)

  def match(self, batch_size=64, **options):
    source, target = network(), network()
    batches = (
      tf.data.Dataset.from_tensor_slices(images).batch(batch_size)
      for images in (self.source_images, self.target_images)
    )
    records = closed_form.match(source, target, *batches, config_lib.Match(**options))
    return source, target, records

  def test_every_site_ends_with_the_source_moments(self):
    source, target, _ = self.match()
    wanted = site_moments(source, self.source_images)
    found = site_moments(target, self.target_images)
    for name in wanted:
      # Folded weights are float32; the network is walked anew, with other roundings.
      self.assertAllClose(found[name].mean, wanted[name].mean, atol=2e-5)
      alive = (wanted[name].variance > 1e-10) & (found[name].variance > 1e-10)
      ratio = tf.boolean_mask(found[name].variance / wanted[name].variance, alive)
      self.assertAllClose(ratio, tf.ones_like(ratio), rtol=1e-3)

  def test_channels_that_cannot_be_matched_are_told_once_in_all(self):
    with self.assertLogs(level="WARNING") as told:
      _, _, records = self.match(min_variance=0.01, max_scale=1.5)
    dead, bounded = (
      sum(record[f"{kind}_channels"] for record in records) for kind in ("dead", "clipped")
    )
    self.assertGreater(dead, 0)
    self.assertGreater(bounded, 0)
    (line,) = told.output
    total = sum(record["channels"] for record in records)
    self.assertIn(f"{dead} of {total} channels are dead", line)
    self.assertIn(f"{bounded} have their scale bounded", line)
    fewest, *_, most = sorted(r["dead_channels"] + r["clipped_channels"] for r in records)
    self.assertLess(fewest, most)
    self.assertRegex(line, f"at \\w+, {most} of ")

  def test_the_network_keeps_its_variables_and_the_source_its_weights(self):
    source, target, _ = self.match()
    untouched = network()
    self.assertEqual(
      [(v.name, v.shape, v.dtype) for v in target.variables],
      [(v.name, v.shape, v.dtype) for v in untouched.variables],
    )
    for ours, before in zip(source.get_weights(), untouched.get_weights()):
      self.assertAllEqual(ours, before)
    self.assertNotAllClose(target.get_weights()[0], untouched.get_weights()[0])

  def test_batches_do_not_matter(self):
    weights = [self.match(batch_size)[1].get_weights() for batch_size in (200, 33)]
    for one, other in zip(*weights):
      # Convolutions of other batches round otherwise in float32.
      self.assertAllClose(one, other, atol=1e-4)

  def test_equal_domains_change_nothing(self):
    self.target_images = self.source_images
    source, target, _ = self.match()
    for ours, before in zip(target.get_weights(), source.get_weights()):
      # Dead channels are shifted by zero; the rest scaled by one, to rounding.
      self.assertAllClose(ours, before, atol=1e-5)

  def test_each_site_is_advanced_once_a_batch(self):
    """Linear in depth: activations move forward instead of starting again."""
    source, target = network(), network()
    calls = []
    sites = target.sites()

    def counted(site):
      return site._replace(advance=lambda s: (calls.append(site.name), site.advance(s))[1])

    target.sites = lambda: tuple(counted(site) for site in sites)
    batches = [self.target_images[:50], self.target_images[50:100]]
    closed_form.match(source, target, [self.source_images], batches, config_lib.Match())
    self.assertEqual(calls, [site.name for site in sites for _ in batches])

  def test_chosen_sites_alone_are_matched(self):
    _, target, records = self.match(sites="conv2, fc4")
    self.assertEqual([record["site"] for record in records], ["conv2", "fc4"])
    before = network().get_weights()
    self.assertAllEqual(target.get_weights()[0], before[0])
    self.assertNotAllClose(target.get_weights()[2], before[2])

  def test_an_unknown_site_names_the_nearest(self):
    with self.assertRaisesRegex(config_lib.UserError, "Did you mean 'conv2'.*match.sites"):
      self.match(sites="conv_2")

  def test_removes_an_affine_shift_of_the_input(self):
    """Contrast and brightness are what one scale and shift a channel can undo exactly."""
    grey = np.asarray(self.source_images)
    self.target_images = tf.constant(0.5 * grey + 0.25)
    source, target, _ = self.match()
    logits = source(self.source_images)["logits"]
    shifted = source(self.target_images)["logits"]
    matched = target(self.target_images)["logits"]
    before = float(tf.reduce_mean(tf.abs(shifted - logits)))
    after = float(tf.reduce_mean(tf.abs(matched - logits)))
    # Undone at the first site already; 1e-3 is float32 through four layers, scaled back by
    # two.
    self.assertLess(after, 1e-3 * before)


class AdaBNTest(tf.test.TestCase):
  """LeNet-BN whose moving moments are exactly the source's."""

  def setUp(self):
    super().setUp()
    source, _ = synthetic.digits(300, 28, seed=0)
    target, _ = synthetic.digits(200, 28, seed=1, gain=0.5, offset=0.3)
    self.images = [
      tf.data.Dataset.from_tensor_slices(
        tf.constant(images[..., None] / 255.0, tf.float32)
      ).batch(50)
      for images in (source, target)
    ]

  def network(self):
    model = lenet_bn.LeNetBN(10, seed=3)
    model(tf.zeros([1, 28, 28, 1]))
    rng = np.random.RandomState(0)
    for norm in (model.bn1, model.bn2, model.bn3):
      # Without it both methods differ by what it takes from the variance.
      norm.epsilon = 0.0
      norm.gamma.assign(rng.uniform(0.5, 2.0, norm.gamma.shape))
      norm.beta.assign(rng.normal(size=norm.beta.shape))
    return model

  def source(self):
    """Adapted to its own source images, a norm's moving moments are theirs."""
    model = self.network()
    closed_form.match(
      model, model, self.images[0], self.images[0], config_lib.Match(method="adabn")
    )
    return model

  def matched(self, method, **options):
    target = self.source()
    records = closed_form.match(
      self.source(), target, *self.images, config_lib.Match(method=method, **options)
    )
    return target, records

  def test_gaussian_matching_of_the_norms_is_adabn(self):
    """Sec. 4.1: the closed form of Eq. (2) contains AdaBN."""
    by_adabn, records = self.matched("adabn")
    self.assertEqual([record["site"] for record in records], ["bn1", "bn2", "bn3"])
    by_moments, _ = self.matched("gaussian", sites="bn1,bn2,bn3", max_scale=1e6)
    images = next(iter(self.images[1]))
    unmatched = self.source()(images)["logits"]
    found, expected = (model(images)["logits"] for model in (by_moments, by_adabn))
    # float32 weights, folded differently, through four layers of up to 800 terms.
    self.assertAllClose(found, expected, rtol=1e-3, atol=1e-3)
    self.assertGreater(np.abs(found - unmatched).max(), 0.1)

  def test_adabn_moves_moving_moments_alone(self):
    adapted, _ = self.matched("adabn")
    for now, then in zip(adapted.trainable_variables, self.source().trainable_variables):
      self.assertAllEqual(now, then)

  def test_adabn_takes_the_moments_of_the_norms_input(self):
    adapted, _ = self.matched("adabn")
    batches = [adapted.conv1(images) for images in self.images[1]]
    inputs = np.concatenate([b.numpy().reshape(-1, 20) for b in batches]).astype(np.float64)
    # float32 activations of order 0.1.
    self.assertAllClose(adapted.bn1.moving_mean, inputs.mean(0), atol=1e-5)
    self.assertAllClose(adapted.bn1.moving_variance, inputs.var(0), rtol=1e-3, atol=1e-7)

  def test_a_network_without_norms_is_refused(self):
    with self.assertRaisesRegex(config_lib.UserError, "no batch norm.*lenet_bn"):
      closed_form.choose_sites(network(), config_lib.Match(method="adabn"))
