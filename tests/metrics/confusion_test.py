"""The confusion matrix and its scores."""

import math

import numpy as np
import pytest

from tfdam.metrics import confusion


def test_counts_and_scores_by_hand():
  matrix = confusion.Confusion(3)
  matrix.add([0, 0, 1], [0, 1, 1])
  matrix.add(np.array([[1, 1]]), np.array([[1, 0]]))
  np.testing.assert_array_equal(matrix.counts, [[1, 1, 0], [1, 2, 0], [0, 0, 0]])
  assert matrix.accuracy() == pytest.approx(3 / 5)
  assert matrix.per_class_accuracy() == [pytest.approx(1 / 2), pytest.approx(2 / 3), None]


def test_without_samples_there_is_no_accuracy():
  assert math.isnan(confusion.Confusion(2).accuracy())


@pytest.mark.parametrize(
  ("labels", "predictions"), [([0, 3], [0, 0]), ([0, 0], [0, -1]), ([0], [0, 0])]
)
def test_what_does_not_fit_is_refused(labels, predictions):
  with pytest.raises(ValueError):
    confusion.Confusion(3).add(labels, predictions)
