"""Scores without labels, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from tfdam.metrics import label_free


def logits(*rows):
  """Logits whose softmax is the rows, up to a constant that must not matter."""
  with np.errstate(divide="ignore"):
    return np.log(np.array(rows, np.float64)).astype(np.float32) + 3.0


def predicted(*rows, num_classes=2):
  found = label_free.Predictions(num_classes)
  found.add(logits(*rows))
  return found


def test_two_samples_by_hand():
  """p = (3/4, 1/4) and (1/2, 1/2): their entropies, and that of their mean (5/8, 3/8)."""
  found = predicted((0.75, 0.25), (0.5, 0.5)).scores(np.array([0.5, 0.5]))
  first = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
  entropy = (first + math.log(2)) / 2
  marginal = 5 / 8 * math.log(8 / 5) + 3 / 8 * math.log(8 / 3)
  assert found["entropy"] == pytest.approx(entropy, abs=1e-6)  # logits are float32
  assert found["marginal_entropy"] == pytest.approx(marginal, abs=1e-6)
  assert found["information"] == pytest.approx(marginal - entropy, abs=1e-6)


def test_sure_predictions_of_all_classes_have_all_information():
  found = predicted((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), num_classes=4)
  scores = found.scores(np.full(4, 0.25))
  assert scores == {
    "entropy": 0.0,
    "marginal_entropy": pytest.approx(math.log(4)),
    "information": pytest.approx(math.log(4)),
    "marginal_distance": 0.0,
  }


@pytest.mark.parametrize("row", [(1.0, 0.0), (0.5, 0.5), (0.9, 0.1)])
def test_one_answer_for_all_has_no_information(row):
  scores = predicted(row, row, row).scores(np.array([0.5, 0.5]))
  assert scores["information"] == pytest.approx(0.0, abs=1e-12)


def test_the_distance_is_of_likeliest_classes_not_of_mean_chances():
  """Of three samples two say class 0: shares (2/3, 1/3) against (1/4, 3/4)."""
  found = predicted((0.6, 0.4), (0.6, 0.4), (0.1, 0.9))
  np.testing.assert_allclose(found.shares(), [2 / 3, 1 / 3])
  scores = found.scores(np.array([0.25, 0.75]))
  assert scores["marginal_distance"] == pytest.approx(2 / 3 - 1 / 4)


def test_every_pixel_is_a_sample_whatever_the_batches(monkeypatch):
  maps = np.random.RandomState(0).normal(0.0, 3.0, (4, 6, 5, 3)).astype(np.float32)
  prior = np.array([0.2, 0.3, 0.5])
  whole = label_free.Predictions(3)
  whole.add(maps)
  monkeypatch.setattr(label_free, "_CHUNK", 7)
  parts = label_free.Predictions(3)
  for part in np.split(maps, [1, 3]):
    parts.add(part)
  assert parts.num_samples == whole.num_samples == 4 * 6 * 5
  np.testing.assert_array_equal(parts.counts, whole.counts)
  for name, value in whole.scores(prior).items():
    assert parts.scores(prior)[name] == pytest.approx(value, rel=1e-12)


def test_large_logits_do_not_overflow():
  found = label_free.Predictions(2)
  found.add(np.array([[1e30, -1e30], [-1e30, 1e30]], np.float32))
  scores = found.scores(np.array([0.5, 0.5]))
  assert scores["entropy"] == 0.0
  assert scores["information"] == pytest.approx(math.log(2))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_show_as_nan(value):
  found = label_free.Predictions(2)
  found.add(np.array([[value, 0.0], [0.0, 0.0]]))
  scores = found.scores(np.array([0.5, 0.5]))
  assert math.isnan(scores["entropy"])
  assert math.isnan(scores["information"])


def test_without_samples_there_are_no_numbers():
  scores = label_free.Predictions(2).scores(np.array([0.5, 0.5]))
  assert all(math.isnan(value) for value in scores.values())


def test_another_number_of_classes_is_refused():
  with pytest.raises(ValueError, match=r"logits \(2, 2\); expected 3 classes"):
    label_free.Predictions(3).add(np.zeros((2, 2)))


def test_rank_correlation_by_hand():
  """Spearman without ties is 1 - 6 sum(d^2) / (n (n^2 - 1)); here d = 0, 1, -1, 0."""
  truths = [0.1, 0.5, 0.7, 0.9]
  assert label_free.rank_correlation([1, 3, 2, 4], truths) == pytest.approx(1 - 12 / 60)
  assert label_free.rank_correlation([0, 1, 10, 1e9], truths) == pytest.approx(1.0)
  assert label_free.rank_correlation([4, 3, 2, 1], truths) == pytest.approx(-1.0)


def test_runs_without_a_number_are_left_out():
  scores, truths = [1.0, None, 2.0, math.nan, 3.0, 0.0], [0.1, 0.9, 0.2, 0.0, 0.3, None]
  assert label_free.rank_correlation(scores, truths) == pytest.approx(1.0)


@pytest.mark.parametrize(("scores", "truths"), [
  ([1, 2], [1, 2]), ([], []), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.5, 0.5, 0.5]),
  ([1, 2, None], [1, 2, 3]),
])  # fmt: skip
def test_too_few_or_equal_runs_have_no_order(scores, truths):
  assert label_free.rank_correlation(scores, truths) is None


def test_pairs_are_wanted():
  with pytest.raises(ValueError, match="2 scores and 3 truths"):
    label_free.rank_correlation([1, 2], [1, 2, 3])
