"""Scores of images and of scenes."""

import numpy as np
import tensorflow as tf

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import examples, scenes
from tfdam.reporting import evaluation


class EvaluationTest(tf.test.TestCase):
  def test_of_many_classes_the_one_numbered_as_ignored_pixels_counts(self):
    labels = np.array([0, 255, 255, 299])
    images = np.zeros((4, 28, 28, 1), np.uint8)
    split = examples.Examples(images, labels, {})
    config = synthetic.small_config(data__num_classes=300)
    self.assertEqual(scenes.IGNORED, 255)

    def all_the_same(batch):
      return tf.one_hot(tf.fill([len(batch)], 255), 300)

    scores = evaluation.score(all_the_same, split, config)
    self.assertEqual(scores["accuracy"], 0.5)
    self.assertEqual(scores["per_class_accuracy"][255], 1.0)

  def test_labels_that_are_all_ignored_are_no_score(self):
    nothing = np.full((28, 28), scenes.IGNORED, np.uint8)
    split = scenes.Scenes(
      ["a"],
      lambda i: np.zeros((28, 28, 1), np.uint8),
      lambda i: nothing,
      ("road", "sky"),
      {},
    )
    config = synthetic.small_config(data__num_classes=0, data__classes="road,sky")
    with self.assertRaisesRegex(config_lib.UserError, "split 'test', has a pixel of"):
      evaluation.score(lambda batch: tf.zeros([1, 28, 28, 2]), split, config, "test")
