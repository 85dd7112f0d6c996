"""The walk of matching: the sites' moments, in graphs or op by op."""

import numpy as np
import pytest
import tensorflow as tf

import tfdam
from tests import keras_networks
from tfdam import config as config_lib
from tfdam.keras_models import program
from tfdam.matching import closed_form, folding, gaussian, site_walk

BATCHES = [tf.constant(b) for b in np.split(keras_networks.images(10, seed=1), [4, 8])]
TARGET = [0.6 * batch for batch in BATCHES]


@pytest.fixture(scope="module", params=[
  pytest.param((make, version), id=f"{make.__name__}-keras{version}")
  for make in keras_networks.SMALL for version in (2, 3)
])  # fmt: skip
def network(request):
  return tfdam.Network(keras_networks.made(*request.param))


def walked(sites):
  """[moments of each site's output, of all batches]"""
  found = [[] for _ in sites]
  for batch in BATCHES:
    state = {"output": batch}
    for site, ours in zip(sites, found):
      state = site.advance(state)
      moments = gaussian.moments(state["output"])
      if site.waits_before:
        moments = moments.after(*folding.scale_and_shift(site.layer))
      ours.append(moments)
  return [gaussian.merge(gaussian.merge(*f[:2]), f[2]) for f in found]


def assert_equal(found, wanted, bound=1e-5):
  for one, other in zip(found, wanted):
    # float32's rounding, in kernels that round otherwise.
    scale = 1.0 + np.sqrt(other.variance) + np.abs(other.mean)
    np.testing.assert_array_less(np.abs(one.mean - other.mean) / scale, bound)
    difference = np.sqrt(one.variance) - np.sqrt(other.variance)
    np.testing.assert_array_less(np.abs(difference) / scale, bound)


@pytest.mark.parametrize("compiled", [False, True])
def test_moments_are_those_of_the_sites(network, compiled):
  sites = network.matching_sites(compiled)
  waiting = [site.waits_before for site in sites]
  assert waiting == [folding.is_batch_norm(site.layer) for site in network.sites()]
  assert_equal(walked(sites), walked(network.sites()))


def test_one_graph_serves_batches_of_every_size(network, monkeypatch):
  run, names = program.Operation.run, []

  def noted(one, *args, **kwargs):
    names.append(one.name)
    return run(one, *args, **kwargs)

  monkeypatch.setattr(program.Operation, "run", noted)
  walked(network.matching_sites(compiled=True))
  assert names
  assert len(names) == len(set(names))


def test_matching_in_graphs_is_matching_op_by_op(network, monkeypatch):
  options = config_lib.Match(max_scale=1e6)

  def matched():
    target = network.clone()
    closed_form.match(network, target, BATCHES, TARGET, options)
    return walked(target.sites())

  in_graphs = matched()
  monkeypatch.setattr(site_walk, "_MANY", 100)
  # Each site's rounding is the next one's input.
  assert_equal(in_graphs, matched(), 1e-4)


def test_a_network_walks_for_another_one_of_its_weights_alone():
  first = tfdam.Network(keras_networks.made(keras_networks.nested, 2))
  second = first.clone()
  walk = site_walk.SiteWalk(second)
  assert walk.serves(first)
  weights = first.get_weights()
  weights[-1] = weights[-1] + 1e-6
  second.set_weights(weights)
  assert not walk.serves(first)


def test_a_source_of_other_weights_is_walked_through_itself():
  source = tfdam.Network(keras_networks.made(keras_networks.residual, 2))
  target = source.clone()
  target.set_weights([1.1 * w for w in source.get_weights()])
  closed_form.match(source, target, BATCHES, BATCHES, config_lib.Match(max_scale=1e6))
  assert_equal(walked(target.sites()), walked(source.sites()), 1e-4)


def test_graphs_are_made_for_three_batches_and_then_kept():
  network = tfdam.Network(keras_networks.made(keras_networks.nested, 2))
  walk = site_walk.SiteWalk(network)
  assert walk.sites(2) is not walk.sites(2)
  sites, batches = walk.begin(iter(BATCHES))
  assert [b.shape[0] for b in batches] == [4, 4, 2]
  assert walk.sites() is sites
