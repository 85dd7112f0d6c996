"""The label-distribution oracle: bounds that hold, and that one network reaches."""

import numpy as np
import pytest

from tfdam.metrics import confusion, oracle

_MEANS = ("miou", "fwiou", "pixel_accuracy", "class_accuracy")


def best_network(source, target):
  """The matrix of a network that is as right as equal totals allow (counts sum alike)."""
  hit = np.minimum(source, target)
  missed, surplus = target - hit, source - hit
  counts = np.diag(hit)
  # What is missed must be predicted as what is over: north-west corner of the rest.
  for label in range(len(target)):
    for prediction in range(len(source)):
      moved = min(missed[label], surplus[prediction])
      counts[label, prediction] += moved
      missed[label] -= moved
      surplus[prediction] -= moved
  assert not missed.any()
  assert not surplus.any()
  return counts


def score(counts):
  matrix = confusion.Confusion(len(counts))
  matrix.counts = counts
  return matrix.scores(), matrix.per_class_accuracy()


def test_bounds_by_hand():
  """Shares .5, .5, 0 and .25, .5, .25: min .25, .5, 0; max .5, .5, .25."""
  found = oracle.bounds(np.array([2, 2, 0, 0]), np.array([1, 2, 1, 0]))
  assert found.iou_per_class == [0.5, 1.0, 0.0, None]
  assert found.recall_per_class == [1.0, 1.0, 0.0, None]
  assert found.miou == pytest.approx(0.5)
  assert found.pixel_accuracy == pytest.approx(0.75)
  assert found.class_accuracy == pytest.approx(2 / 3)
  assert found.fwiou == pytest.approx(0.25 * 0.5 + 0.5 * 1.0 + 0.25 * 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_equals_a_loop_written_from_the_paper(seed):
  """Sec. 5.3 with min for the intersection; 1e-12: the same sums in another order."""
  rng = np.random.RandomState(seed)
  source, target = rng.randint(0, 50, (2, 12)) * rng.randint(0, 2, (2, 12))
  source[0] = target[1] = 1
  n_s, n_t = source / source.sum(), target / target.sum()
  ious, recalls, right = [], [], 0.0
  for s, t in zip(n_s, n_t):
    intersection = min(s, t)
    union = s + t - intersection
    right += intersection
    ious += [intersection / union] if union else []
    recalls += [intersection / t] if t else []
  found = oracle.bounds(source, target)
  assert found.miou == pytest.approx(np.mean(ious), abs=1e-12)
  assert found.pixel_accuracy == pytest.approx(right, abs=1e-12)
  assert found.class_accuracy == pytest.approx(np.mean(recalls), abs=1e-12)
  # The other way to the same number: total variation.
  assert right == pytest.approx(1 - np.abs(n_s - n_t).sum() / 2, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_one_network_reaches_every_bound_and_none_exceeds_one(seed):
  """Networks with the source's label frequencies; scores are ratios, rounding 1e-12."""
  rng = np.random.RandomState(seed)
  source = rng.multinomial(10_000, rng.dirichlet(np.full(8, 0.3)))
  target = rng.multinomial(10_000, rng.dirichlet(np.full(8, 0.3)))
  limit = oracle.bounds(source, target)
  best, best_recall = score(best_network(source.copy(), target.copy()))
  for name in _MEANS:
    assert best[name] == pytest.approx(getattr(limit, name), abs=1e-12), name
  assert best["iou_per_class"] == pytest.approx(limit.iou_per_class)
  assert best_recall == pytest.approx(limit.recall_per_class)
  # Others: labels and predictions joined at random, from hardly to nearly right.
  labels = np.repeat(np.arange(8), target)
  predictions = np.repeat(np.arange(8), source)
  for shuffled in (0, 1_000, 10_000):
    moved = rng.choice(10_000, shuffled, replace=False)
    predictions[np.sort(moved)] = predictions[moved]
    matrix = confusion.Confusion(8)
    matrix.add(labels, predictions)
    np.testing.assert_array_equal(matrix.counts.sum(axis=0), source)
    for name in _MEANS:
      assert matrix.scores()[name] <= getattr(limit, name) + 1e-12, name


def test_equal_frequencies_allow_everything():
  counts = np.array([3, 1, 0, 7])
  found = oracle.bounds(counts, 5 * counts)
  assert [getattr(found, name) for name in _MEANS] == [1.0] * 4
  assert found.iou_per_class == [1.0, 1.0, None, 1.0]


def test_disjoint_labels_allow_nothing():
  found = oracle.bounds([1, 0], [0, 1])
  assert [getattr(found, name) for name in _MEANS] == [0.0] * 4


def test_bounds_stay_within_0_and_1_for_any_frequencies():
  rng = np.random.RandomState(0)
  for _ in range(500):
    source, target = rng.dirichlet(np.full(rng.randint(2, 40), 0.2), 2)
    found = oracle.bounds(source, np.where(rng.rand() < 0.1, source, target))
    values = [getattr(found, name) for name in _MEANS]
    assert all(0.0 <= value <= 1.0 for value in values)
    assert all(0.0 <= v <= 1.0 for v in found.iou_per_class if v is not None)


@pytest.mark.parametrize(
  ("source", "target"),
  [([0, 0], [1, 1]), ([-1, 2], [1, 1]), ([1, np.nan], [1, 1]), ([1, 1, 1], [1, 1]),
   ([[1, 1]], [1, 1])],
)  # fmt: skip
def test_what_is_no_distribution_is_refused(source, target):
  with pytest.raises(ValueError):
    oracle.bounds(source, target)
