"""Scores of images and of scenes."""

import dataclasses

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

  def test_each_targets_scores_stand_beside_those_of_all_and_nothing_is_run_twice(self):
    labels = np.array([0, 1, 1, 0, 1])
    images = np.zeros((5, 28, 28, 1), np.uint8)
    parts = examples.Parts(("day", "dusk", "none"), np.array([1, 0, 0, 1, 0]))
    split = examples.Examples(images, labels, {}, parts=parts)
    config = synthetic.small_config(data__num_classes=2, loop__eval_batch_size=2)
    seen = []

    def always_one(batch):
      seen.append(len(batch))
      return tf.one_hot(tf.fill([len(batch)], 1), 2)

    matrices = {}
    scores = evaluation.score(always_one, split, config, "test", matrices)
    self.assertEqual(seen, [2, 2, 1])
    self.assertEqual(scores["accuracy"], 0.6)
    self.assertAllEqual(matrices["test"], [[0, 2], [0, 3]])
    found = {name: of["accuracy"] for name, of in scores["parts"].items()}
    self.assertEqual(found, {"day": 1.0, "dusk": 0.0})
    self.assertEqual(scores["parts"]["dusk"]["num_images"], 2)

  def test_scenes_have_scores_of_each_target_too(self):
    split = synthetic.scenes(4)
    split = dataclasses.replace(
      split, parts=examples.Parts(("day", "dusk"), np.array([0, 0, 1, 1]))
    )
    config = synthetic.scenes_config()
    logits = lambda batch: tf.one_hot(tf.ones(batch.shape[:3], tf.int32), 3)  # noqa: E731
    scores = evaluation.score(logits, split, config, "test")
    for name, indices in (("day", [0, 1]), ("dusk", [2, 3])):
      alone = dataclasses.replace(split.take(indices), parts=None)
      self.assertEqual(scores["parts"][name], evaluation.score(logits, alone, config))
    alone = dataclasses.replace(split, parts=None)
    del scores["parts"]
    self.assertEqual(scores, evaluation.score(logits, alone, config))

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
