"""Histograms of channels and the distance between them."""

import numpy as np
import pytest
import scipy.spatial.distance

from tfdam.metrics import divergence


def distances(source, target, **options):
  found = divergence.histograms(source, target, **options)
  return divergence.jensen_shannon(found.source, found.target)


@pytest.mark.parametrize("seed", range(5))
def test_jensen_shannon_is_scipys_distance_squared(seed):
  rng = np.random.RandomState(seed)
  first, second = rng.dirichlet(np.full(12, 0.3), (2, 7))
  first[:, seed] = 0
  first /= first.sum(axis=1, keepdims=True)
  expected = scipy.spatial.distance.jensenshannon(first, second, base=2, axis=1) ** 2
  # A square root and a square between them.
  np.testing.assert_allclose(divergence.jensen_shannon(first, second), expected, atol=1e-9)


def test_equal_is_0_disjoint_is_1_and_order_does_not_matter():
  first, second = np.array([[0.5, 0.5, 0, 0], [0.2, 0.3, 0.1, 0.4]]), np.eye(4)[[2, 0]]
  np.testing.assert_array_equal(divergence.jensen_shannon(first, first), [0, 0])
  found = divergence.jensen_shannon(first, second)
  np.testing.assert_array_equal(found, divergence.jensen_shannon(second, first))
  assert found[0] == 1
  assert 0 < found[1] < 1


def test_without_a_sample_there_is_no_distance():
  assert np.isnan(divergence.jensen_shannon([0.0, 0.0], [0.5, 0.5]))


def test_histograms_count_as_numpy_does():
  rng = np.random.RandomState(0)
  source, target = rng.normal(0, 1, (500, 6)), rng.normal(1, 2, (300, 6))
  found = divergence.histograms(source, target, num_bins=15, tail=0.0)
  for channel in range(6):
    both = np.concatenate([source[:, channel], target[:, channel]])
    span = (both.min(), both.max())
    for samples, mine in ((source, found.source), (target, found.target)):
      counts, edges = np.histogram(samples[:, channel], 15, span)
      np.testing.assert_allclose(mine[channel], counts / len(samples))
      np.testing.assert_allclose(found.edges[channel], edges)


def test_samples_of_one_distribution_are_as_close_as_their_number_allows():
  """The docstring's estimate of the bias, within a third: a mean over 200 channels."""
  rng = np.random.RandomState(0)
  source, target = rng.uniform(size=(2, 2_000, 200))
  estimate = 39 / 8 / np.log(2) * (2 / 2_000)
  assert distances(source, target, tail=0.0).mean() == pytest.approx(estimate, rel=0.33)


def test_a_shift_is_seen_and_grows():
  rng = np.random.RandomState(0)
  source = rng.normal(size=(2_000, 4))
  target = rng.normal(size=(2_000, 4)) + np.array([0.0, 0.5, 1.0, 20.0])
  found = distances(source, target)
  assert (np.diff(found) > 0).all()
  assert found[0] < 0.02  # about twice the bias
  assert found[3] == 1.0


def test_one_far_value_does_not_hide_the_rest():
  rng = np.random.RandomState(0)
  source, target = rng.normal(0, 1, (1_000, 1)), rng.normal(3, 1, (1_000, 1))
  clean = distances(source, target)
  source[0] = 1e9
  assert distances(source, target) == pytest.approx(clean, abs=0.02)
  assert divergence.histograms(source, target).source.sum() == pytest.approx(1)


def test_constant_dead_and_broken_channels_have_histograms_too():
  ones = np.ones((10, 5))
  source = ones * [0, 3, 1, np.nan, 1e30]
  target = ones * [0, 3, 2, 1, np.inf]
  target[0, 4] = 1e30
  found = divergence.histograms(source, target)
  assert np.isfinite(found.edges).all()
  assert (np.diff(found.edges) > 0).all()
  # What is not finite does not widen the range.
  np.testing.assert_allclose(found.edges[3, [0, -1]], [0.95, 1.05])
  np.testing.assert_allclose(found.source.sum(1), [1, 1, 1, 0, 1])
  np.testing.assert_allclose(found.target.sum(1), [1, 1, 1, 1, 1])
  np.testing.assert_array_equal(distances(source, target), [0, 0, 1, np.nan, 0])


def test_a_channel_without_any_finite_value_has_empty_histograms():
  found = divergence.histograms(np.full((3, 1), np.nan), np.full((3, 1), np.inf))
  assert np.isfinite(found.edges).all()
  assert not found.source.any()
  assert not found.target.any()


@pytest.mark.parametrize("shapes", [((3, 2), (3, 1)), ((0, 2), (3, 2)), ((3,), (3,))])
def test_what_are_no_samples_is_refused(shapes):
  with pytest.raises(ValueError, match="expected"):
    divergence.histograms(*(np.zeros(shape) for shape in shapes))
