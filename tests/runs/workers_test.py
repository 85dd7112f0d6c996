"""What each replica is handed, and what a worker says of one that is gone."""

import json
import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import pairs
from tfdam.runs import run_folder, workers
from tfdam.training import distribution


class SharesTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.config = synthetic.small_config(
      source__global_batch_size=12, data__height=8, data__width=8
    )
    images = np.zeros((50, 8, 8, 1), np.uint8) + np.arange(50)[:, None, None, None]
    self.examples = examples_lib.Examples(images.astype(np.uint8), np.arange(50), {})

  def labels(self, *share):
    """int64 [5, B]: labels of steps 3 to 7."""
    share = pairs.Share(*share) if share else pairs.WHOLE
    batches = pairs.labelled_batches(self.examples, self.config, 3, share)
    return np.stack([batch["label"].numpy() for batch in batches.take(5)])

  def test_shares_of_all_workers_make_the_global_batch(self):
    for count in (2, 3):
      shares = [self.labels(index, count) for index in range(count)]
      self.assertAllEqual(np.concatenate(shares, axis=1), self.labels())

  def test_both_domains_are_shared_alike_and_move_as_in_the_whole(self):
    config = synthetic.small_config(
      adapt__global_batch_size=12, adapt__augment=True, data__height=8, data__width=8,
      adapt__source_label_weight=1.0, adapt__self_training_weight=1.0,
      adapt__self_training_mix=True, adapt__ema_momentum=0.9,
    )  # fmt: skip

    def drawn(share):
      batches = pairs.domain_batches(self.examples, self.examples, config, 3, share=share)
      return next(iter(batches))

    halves = [drawn(pairs.Share(index, 2)) for index in range(2)]
    parts = drawn(pairs.WHOLE)
    self.assertLen(parts, 6)
    for name, whole in parts.items():
      self.assertAllEqual(np.concatenate([half[name] for half in halves]), whole)

  def test_each_replica_gets_its_slice_in_order(self):
    strategy = synthetic.two_replicas()
    batches = pairs.labelled_batches(self.examples, self.config, 3)
    iterator = iter(distribution.distribute(strategy, lambda: batches))
    for step in self.labels():
      slices = strategy.experimental_local_results(next(iterator)["label"])
      self.assertAllEqual(slices[0], step[:6])
      self.assertAllEqual(slices[1], step[6:])


class LossTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    ("while calling /job:worker/replica:0/task:1: Socket closed", "worker:1 (b:2) no"),
    ("from /job:worker/task:0: Task /job:worker/replica:0/task:2 heartbeat", "worker:2"),
    ("something else", "Another worker no"),
  )
  def test_names_the_other_worker_and_what_was_saved(self, text, named):
    path = self.create_tempdir().full_path
    for place in ("source_only/00000020", "adapted/00000010"):
      os.makedirs(os.path.join(path, "checkpoints", place))
    os.utime(os.path.join(path, "checkpoints", "source_only", "00000020"), (1, 1))
    message = self.explained(tf.errors.UnavailableError(None, None, text), path)
    self.assertIn(named, message)
    self.assertIn("saved at step 10 of adapted: start all workers again", message)

  def test_an_aborted_collective_before_any_save(self):
    error = tf.errors.InternalError(None, None, "Collective ops is aborted by: x")
    message = self.explained(error, self.create_tempdir().full_path)
    self.assertIn("Nothing was saved yet: start all workers again", message)

  def test_other_errors_pass(self):
    error = tf.errors.InvalidArgumentError(None, None, "shapes differ")
    with self.assertRaises(tf.errors.InvalidArgumentError):
      self.explained(error, self.create_tempdir().full_path)

  def explained(self, error, path):
    """The message that worker 0 of three ends with."""
    jobs = {"worker": ["a:1", "b:2", "c:3"]}
    task = {"type": "worker", "index": 0}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": jobs, "task": task})
    self.addCleanup(os.environ.pop, "TF_CONFIG", None)
    # No strategy can be made here: it would wait for the others.
    strategy = tf.distribute.MultiWorkerMirroredStrategy.__new__(
      tf.distribute.MultiWorkerMirroredStrategy
    )
    with self.assertRaises(config_lib.UserError) as caught:
      with workers.loss_explained(strategy, run_folder.RunFolder(path)):
        raise error
    self.assertEqual(caught.exception.exit_status, 75)
    return str(caught.exception)
