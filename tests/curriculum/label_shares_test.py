"""Shares of classes: counted, regressed on features, and taken from neighbours."""

import numpy as np
import pytest

from tfdam.curriculum import label_shares, logistic


def softmax(scores):
  chances = np.exp(scores - scores.max(1, keepdims=True))
  return chances / chances.sum(1, keepdims=True)


def toy(count, seed):
  """Shares that are a softmax of linear scores of their features."""
  rng = np.random.RandomState(0)
  weights, bias = rng.normal(size=(5, 3)), rng.normal(size=3)
  features = np.random.RandomState(seed).normal(2.0, 3.0, (count, 5))
  return features, softmax(0.3 * features @ weights + bias)


def test_shares_are_those_of_labelled_pixels():
  labels = np.array([[0, 0, 2], [255, 2, 0]], np.uint8)
  np.testing.assert_allclose(label_shares.counted(labels, 4), [0.6, 0.0, 0.4, 0.0])
  assert label_shares.counted(np.full((2, 2), 255, np.uint8), 4) is None


def test_regression_finds_the_shares_of_a_linear_toy():
  features, shares = toy(400, seed=1)
  others, expected = toy(50, seed=2)
  # Almost without a penalty they are found but for where L-BFGS ends.
  found = logistic.fit(features, shares, 1e-9)(others)
  np.testing.assert_allclose(found.sum(1), 1.0)
  np.testing.assert_allclose(found, expected, atol=5e-3)
  # The penalty draws them together, and both scales are of few: they go the same way.
  found = label_shares.estimated("regression", features, shares, others, l2=1.0)
  correlation = np.corrcoef((found - found.mean(0)).T, (expected - expected.mean(0)).T)
  assert np.diag(correlation, 3).min() > 0.8


def test_the_solution_is_where_the_gradient_is_zero():
  """By hand: features' mean of (predicted - true), plus the penalty's."""
  features, shares = toy(60, seed=3)
  model = logistic.fit(features, shares, 0.1)
  error = (model(features) - shares) / len(features)
  # L-BFGS ends where an entry of the gradient is below 1e-5.
  np.testing.assert_allclose(features.T @ error + 0.1 * model.weights, 0.0, atol=1e-4)
  np.testing.assert_allclose(error.sum(0), 0.0, atol=1e-4)


def test_features_that_never_change_are_no_division_by_zero():
  features, shares = toy(40, seed=1)
  features[:, 2] = 7.0
  for method in label_shares.METHODS:
    assert np.isfinite(label_shares.estimated(method, features, shares, features)).all()


@pytest.mark.parametrize("at_once", [1, 1 << 24])
def test_neighbours_are_the_nearest_by_standardised_distance(at_once, monkeypatch):
  monkeypatch.setattr(label_shares, "_AT_ONCE", at_once)
  source, shares = toy(30, seed=1)
  target, _ = toy(7, seed=2)
  found = label_shares.estimated("neighbours", source, shares, target)
  source, target = ((each - each.mean(0)) / each.std(0) for each in (source, target))
  for one, share in zip(target, found):
    distances = ((one - source) ** 2).sum(1)
    nearest = sorted(range(30), key=distances.__getitem__)[:5]
    np.testing.assert_allclose(share, shares[nearest].mean(0))


@pytest.mark.parametrize("method", label_shares.METHODS)
def test_a_shift_and_a_scale_of_the_targets_features_change_nothing(method):
  features, shares = toy(40, seed=1)
  others, _ = toy(20, seed=2)
  found = label_shares.estimated(method, features, shares, others)
  moved = label_shares.estimated(method, features, shares, 3.0 * others - 5.0)
  # Rounding alone, and none of it changes a neighbour here.
  np.testing.assert_allclose(moved, found, atol=1e-9)


def test_features_are_means_of_cells_and_histograms_of_colours():
  activations = np.arange(36.0).reshape(6, 6, 1)
  lab = np.zeros((6, 6, 3))
  lab[:3, :, 0] = 99.0
  found = label_shares.features(activations, lab)
  assert found.shape == (1 + 9 + 3 * 8,)
  assert found[0] == 17.5
  cells = activations.reshape(3, 2, 3, 2).mean((1, 3)).ravel()
  np.testing.assert_allclose(found[1:10], cells)
  np.testing.assert_allclose(found[10:18], [0.5, 0, 0, 0, 0, 0, 0, 0.5])


def test_maps_smaller_than_the_grid_have_cells_all_the_same():
  found = label_shares.features(np.arange(2.0).reshape(1, 2, 1), np.zeros((4, 4, 3)))
  assert np.isfinite(found).all()
