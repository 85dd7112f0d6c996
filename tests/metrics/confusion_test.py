"""The confusion matrix and its scores."""

import json
import math
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from tfdam.metrics import confusion

_IGNORED = 255
# Ids of the label files of the 19 classes that Cityscapes scores, in train-id order; every
# other id from 0 to 33 is ignored.
_IDS = np.array(
  [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33], np.uint8
)


def matrix_of(labels, predictions, num_classes, ignored=None):
  matrix = confusion.Confusion(num_classes)
  matrix.add(labels, predictions, ignored)
  return matrix


def test_counts_and_scores_by_hand():
  matrix = confusion.Confusion(3)
  matrix.add([0, 0, 1], [0, 1, 1])
  matrix.add(np.array([[1, 1]]), np.array([[1, 0]]))
  np.testing.assert_array_equal(matrix.counts, [[1, 1, 0], [1, 2, 0], [0, 0, 0]])
  assert matrix.accuracy() == pytest.approx(3 / 5)
  assert matrix.per_class_accuracy() == [pytest.approx(1 / 2), pytest.approx(2 / 3), None]


def test_segmentation_scores_by_hand():
  # Class 2 is predicted once and never a label; class 3 is neither.
  matrix = matrix_of([0, 0, 0, 1, 1, 9], [0, 0, 1, 1, 2, 1], 4, ignored=9)
  np.testing.assert_array_equal(matrix.counts[:2, :3], [[2, 1, 0], [0, 1, 1]])
  assert matrix.iou_per_class() == [
    pytest.approx(2 / 3), pytest.approx(1 / 3), 0.0, None,
  ]  # fmt: skip
  scores = matrix.scores()
  assert scores["miou"] == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
  assert scores["fwiou"] == pytest.approx(3 / 5 * 2 / 3 + 2 / 5 * 1 / 3)
  assert scores["pixel_accuracy"] == matrix.accuracy() == pytest.approx(3 / 5)
  assert scores["class_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
  assert scores["iou_per_class"] == matrix.iou_per_class()
  json.dumps(scores)


def test_predictions_on_ignored_pixels_cost_nothing():
  labels, predictions = np.array([0, 1, 1, 255]), np.array([0, 1, 0, 1])
  with_ignored = matrix_of(labels, predictions, 2, ignored=255)
  without = matrix_of(labels[:3], predictions[:3], 2)
  np.testing.assert_array_equal(with_ignored.counts, without.counts)


def test_every_map_counts_once_whatever_its_size_and_type():
  """Against a cell-by-cell count; sizes about the length of a chunk."""
  rng = np.random.RandomState(0)
  for size in (1, 63, 64, 65, 200):
    labels = rng.randint(0, 5, size).astype(np.uint8)
    labels[rng.rand(size) < 0.2] = _IGNORED
    for dtype in (np.uint8, np.int32, np.int64, np.uint64):
      predictions = rng.randint(0, 5, size).astype(dtype)
      expected = np.zeros((5, 5), np.int64)
      for label, prediction in zip(labels, predictions):
        if label != _IGNORED:
          expected[label, prediction] += 1
      with mock.patch.object(confusion, "_CHUNK", 64):
        matrix = matrix_of(labels, predictions, 5, _IGNORED)
      np.testing.assert_array_equal(matrix.counts, expected)


def test_many_classes_do_not_overflow_small_integers():
  labels = np.array([200, 255], np.uint8)
  matrix = matrix_of(labels, labels, 256)
  assert matrix.counts[200, 200] == matrix.counts[255, 255] == 1


def test_without_samples_there_are_no_scores():
  matrix = matrix_of([7, 7], [0, 1], 2, ignored=7)
  scores = matrix.scores()
  assert scores.pop("iou_per_class") == [None, None]
  assert all(math.isnan(value) for value in scores.values())


@pytest.mark.parametrize(
  ("labels", "predictions"),
  [([0, 3], [0, 0]), ([0, 0], [0, -1]), ([0], [0, 0]), ([0.0], [0]), ([0], [0.5])],
)
def test_what_does_not_fit_is_refused(labels, predictions):
  with pytest.raises(ValueError):
    confusion.Confusion(3).add(labels, predictions)


@pytest.mark.parametrize("prediction", [-1, 3, 255])
def test_a_prediction_that_is_no_class_is_refused_on_ignored_pixels_too(prediction):
  matrix = confusion.Confusion(3)
  with pytest.raises(ValueError, match="predictions"):
    matrix.add([0, 255], [0, prediction], ignored=255)
  assert not matrix.counts.any()


def test_a_refused_batch_leaves_no_part_of_it_behind():
  matrix = confusion.Confusion(3)
  with mock.patch.object(confusion, "_CHUNK", 2), pytest.raises(ValueError):
    matrix.add([0, 0, 0, 3], [0, 0, 0, 0])
  assert not matrix.counts.any()


@pytest.fixture
def cityscapes(tmp_path):
  """Scores of train-id maps by the evaluator of cityscapesScripts, from label-id PNGs."""
  evaluator = pytest.importorskip(
    "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling",
    reason="cityscapesscripts, of the extra dev, is not installed",
  )

  def save(name, ids):
    path = str(tmp_path / name)
    Image.fromarray(ids).save(path)
    return path

  def evaluate(labels, predictions, rng):
    others = np.setdiff1d(np.arange(34), _IDS).astype(np.uint8)
    truth = np.where(
      labels == _IGNORED, rng.choice(others, labels.shape), _IDS[labels % 19]
    )
    maps = [
      (save(f"pred{i}.png", _IDS[p]), save(f"gt{i}.png", t))
      for i, (t, p) in enumerate(zip(truth, predictions))
    ]
    arguments = evaluator.args
    arguments.evalInstLevelScore = arguments.JSONOutput = False
    arguments.quiet = True
    results = evaluator.evaluateImgLists(*map(list, zip(*maps)), arguments)
    names = [evaluator.id2label[i].name for i in _IDS]
    return {
      "miou": results["averageScoreClasses"],
      "iou_per_class": [results["classScores"][name] for name in names],
      "counts": np.array(results["confMatrix"])[np.ix_(_IDS, _IDS)],
    }

  return evaluate


@pytest.mark.parametrize("present", [19, 12])
def test_scores_equal_those_of_the_cityscapes_evaluator(cityscapes, present):
  """To 1e-9: both divide the same integers. With 12 classes, some are absent."""
  rng = np.random.RandomState(present)
  labels = rng.choice(present, (3, 64, 128), p=rng.dirichlet(np.ones(present)))
  right = rng.rand(*labels.shape) < 0.6
  # Two classes more than there are labels of: predicted alone, and absent altogether.
  guesses = rng.randint(0, min(19, present + 2), labels.shape)
  predictions = np.where(right, labels, guesses)
  labels[rng.rand(*labels.shape) < 0.15] = _IGNORED
  matrix = confusion.Confusion(19)
  for label, prediction in zip(labels, predictions):
    matrix.add(label.astype(np.uint8), prediction, _IGNORED)
  theirs = cityscapes(labels, predictions, rng)

  assert matrix.miou() == pytest.approx(theirs["miou"], abs=1e-9)
  ours = [math.nan if iou is None else iou for iou in matrix.iou_per_class()]
  np.testing.assert_allclose(ours, theirs["iou_per_class"], rtol=0, atol=1e-9)
  assert np.isnan(ours).sum() == max(0, 19 - present - 2)
  # Their evaluator gives no other score of all pixels: these follow from its matrix.
  counts = theirs["counts"]
  totals = counts.sum(axis=1)
  occurring = totals > 0
  recall = np.diag(counts)[occurring] / totals[occurring]
  assert matrix.pixel_accuracy() == pytest.approx(
    np.diag(counts).sum() / counts.sum(), abs=1e-9
  )
  assert matrix.class_accuracy() == pytest.approx(recall.mean(), abs=1e-9)
  weighted = totals[occurring] * np.array(theirs["iou_per_class"])[occurring]
  assert matrix.fwiou() == pytest.approx(weighted.sum() / totals.sum(), abs=1e-9)
