"""Superpixels and landmarks, against NumPy's own averages."""

import numpy as np
import pytest

from tests import synthetic
from tfdam.curriculum import logistic, superpixels

pytest.importorskip("skimage")


@pytest.fixture
def scene():
  drawn = synthetic.scenes(1)
  return drawn.read_image(0) / 255.0, drawn.read_label(0)


def test_segments_are_about_as_many_as_asked_and_always_the_same(scene):
  lab = superpixels.to_lab(scene[0])
  found = superpixels.segment(lab, 40)
  assert 20 <= found.max() + 1 <= 60
  np.testing.assert_array_equal(np.unique(found), np.arange(found.max() + 1))
  np.testing.assert_array_equal(found, superpixels.segment(lab, 40))


def test_grey_images_have_superpixels_too(scene):
  grey = superpixels.to_lab(scene[0].mean(-1, keepdims=True))
  np.testing.assert_allclose(grey[..., 1:], 0.0, atol=1e-2)
  assert superpixels.segment(grey, 20).shape == grey.shape[:2]


def test_features_are_averages_over_a_superpixels_pixels(scene):
  rng = np.random.RandomState(0)
  lab = superpixels.to_lab(scene[0])
  found = superpixels.segment(lab, 30)
  activations = rng.normal(size=(8, 12, 5)).astype(np.float32)  # of a 32x48 image
  features = superpixels.features(found, activations, lab)
  enlarged = np.repeat(np.repeat(activations, 4, 0), 4, 1)
  rows, columns = np.mgrid[:32, :48]
  for number in range(found.max() + 1):
    inside = found == number
    expected = np.concatenate([
      lab[inside].mean(0), lab[inside].std(0),
      [(rows[inside].mean() + 0.5) / 32, (columns[inside].mean() + 0.5) / 48],
      [inside.mean()], enlarged[inside].mean(0),
    ])  # fmt: skip
    # Deviations are differences of squares of up to 1e4, in float64, then float32.
    np.testing.assert_allclose(features[number], expected, rtol=1e-4, atol=1e-4)


def test_a_superpixels_class_is_that_of_most_labelled_pixels():
  found = np.array([[0, 0, 0, 1], [2, 2, 1, 1]])
  labels = np.array([[1, 1, 0, 255], [0, 255, 255, 2]], np.uint8)
  # Of superpixel 1 a third has a label, of 2 a half.
  np.testing.assert_array_equal(superpixels.dominant(found, labels, 3), [1, -1, 0])


def test_landmarks_are_the_surest_share_of_an_image():
  found = np.array([[0, 1, 2], [3, 4, 4]])
  chances = np.array([[0.6, 0.4], [0.1, 0.9], [0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])
  marks = superpixels.landmarks(found, chances, 0.6)
  none = superpixels.NONE
  np.testing.assert_array_equal(marks.numbers, [[none, 0, none], [1, 2, 2]])
  np.testing.assert_array_equal(marks.classes, [1, 0, 1])
  assert len(superpixels.landmarks(found, chances, 0.001).classes) == 1


def test_more_landmarks_than_numbers_leave_the_surest():
  found = np.arange(400).reshape(20, 20)
  sure = np.linspace(0.5, 1.0, 400)
  marks = superpixels.landmarks(found, np.stack([1 - sure, sure], 1), 1.0)
  assert len(marks.classes) == 255
  assert marks.numbers[-1, -1] == 0
  assert marks.numbers[0, 0] == superpixels.NONE


def test_the_classifier_tells_classes_by_colour(scene):
  image, labels = scene
  lab = superpixels.to_lab(image)
  found = superpixels.segment(lab, 60)
  features = superpixels.features(found, np.zeros((4, 4, 2)), lab)
  classes = superpixels.dominant(found, labels, 3)
  known = classes >= 0
  classify = superpixels.classifier(features[known], classes[known], 3)
  scale = logistic.Scale.of(features[known])
  chances = classify(scale(features[known]))
  assert (chances.argmax(1) == classes[known]).mean() > 0.9
