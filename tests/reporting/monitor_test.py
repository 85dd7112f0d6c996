"""The monitor: what it counts, when it warns, and that it changes nothing."""

import glob
import json
import os
from unittest import mock

import numpy as np
import tensorflow as tf

from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam.models import lenet
from tfdam.reporting import monitor, tables
from tfdam.runs import records, run_folder

_TAGS = [f"activations/{tap}" for tap in lenet.LeNet.TAPS]


def network(seed=3):
  model = lenet.LeNet(10, seed=seed)
  model(tf.zeros([1, 28, 28, 1]))
  return model


def histograms(path, run):
  """{tag: {step: [buckets, 3]}} of a run in TensorBoard."""
  found = {}
  for file in glob.glob(os.path.join(path, "summaries", run, "events*")):
    for event in tf.compat.v1.train.summary_iterator(file):
      for value in event.summary.value:
        if value.metadata.plugin_data.plugin_name == "histograms":
          found.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
  return found


def total(histogram):
  return histogram[:, 2].sum()


class WatchTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.path = self.create_tempdir().full_path
    images, self.labels = synthetic.digits(60, 28)
    self.images = tf.constant(images[..., None] / 255.0, tf.float32)
    self.source, self.target = network(), network()
    # Any network's own predictions: an untrained one need not follow the labels.
    self.prior = self.shares(self.source)

  def shares(self, model):
    predicted = tf.argmax(model(self.images)["logits"], axis=-1).numpy()
    return np.bincount(predicted, minlength=10) / len(predicted)

  def make(self, prior=None, batches=2, **options):
    return monitor.Monitor(
      "adapted",
      {"source": self.source, "target": self.target},
      {name: tf.split(self.images, batches) for name in ("source", "target")},
      self.prior if prior is None else prior,
      records.Records(run_folder.RunFolder(self.path)),
      config_lib.Loop(**options),
    )

  def lines(self):
    with open(os.path.join(self.path, "metrics.jsonl")) as file:
      return [json.loads(line) for line in file]

  def silence_fc3(self, count):
    """Zeroes what the first `count` channels of fc3 are made of."""
    keep = tf.constant([0.0] * count + [1.0] * (500 - count))
    self.target.fc3.kernel.assign(self.target.fc3.kernel * keep)
    self.target.fc3.bias.assign(self.target.fc3.bias * keep)

  def predict_one_class(self):
    self.target.fc4.bias.assign(tf.one_hot(7, 10, on_value=1e3))

  def test_a_copy_of_the_source_raises_no_alarm(self):
    look = self.make(alarm_dead_share=0.0, alarm_marginal=0.0)
    with mock.patch.object(monitor.logging, "warning") as warning:
      look(0)
      look(1_000)
    warning.assert_not_called()
    self.assertEqual(look.alarms(), [])
    for line in self.lines():
      self.assertEqual(line["watch/marginal_distance"], 0.0)
      for tap in lenet.LeNet.TAPS:
        source_dead = line[f"watch/{tap}/source_dead_channels"]
        self.assertEqual(line[f"watch/{tap}/dead_channels"], source_dead)

  def test_half_of_the_channels_zeroed_raises_the_alarm_with_the_taps_name(self):
    look = self.make(alarm_marginal=1.0)
    look(0)
    self.silence_fc3(250)
    with self.assertLogs(level="WARNING") as logged:
      look(1_000)
    self.assertLen(logged.output, 1)
    self.assertRegex(logged.output[0], "step 1000: .* of 500 channels of fc3 are dead")
    self.assertIn("--config.adapt.drift_weight", logged.output[0])
    self.assertEqual([alarm["step"] for alarm in look.alarms()], [1_000])

  def test_dead_channels_are_those_that_never_change(self):
    """Counted by NumPy over all images at once; the monitor sees two batches."""
    self.silence_fc3(250)
    self.target.fc3.bias.assign(tf.one_hot(3, 500))  # constant, but not zero: dead, too
    self.make()(0)
    fc3 = self.target(self.images)["taps"]["fc3"].numpy()
    expected = int((fc3 == fc3[0]).all(axis=0).sum())
    self.assertGreaterEqual(expected, 250)
    self.assertLess(expected, 500)
    self.assertEqual(self.lines()[0]["watch/fc3/dead_channels"], expected)

  def test_a_channel_alive_in_one_batch_alone_is_alive(self):
    """Constant within each batch, but not the same constant."""
    self.images = tf.concat([tf.zeros([30, 28, 28, 1]), tf.ones([30, 28, 28, 1])], axis=0)
    self.make()(0)
    logits = self.source(self.images)["taps"]["fc4"].numpy()
    self.assertTrue((logits[0] != logits[-1]).all())
    self.assertEqual(self.lines()[0]["watch/fc4/dead_channels"], 0)

  def test_one_predicted_class_raises_the_marginal_alarm(self):
    look = self.make(prior=np.full(10, 0.1))
    self.predict_one_class()
    with self.assertLogs(level="WARNING") as logged:
      look(1_000)
    self.assertIn("Predicted labels (classes seen: 1) are 0.90 from", logged.output[0])
    self.assertAlmostEqual(self.lines()[0]["watch/marginal_distance"], 0.9)
    self.assertEqual(self.lines()[0]["watch/classes_predicted"], 1)

  def test_a_crossing_is_said_once_and_again_after_it_was_gone(self):
    look = self.make()
    healthy, said = self.target.get_weights(), []
    for step, collapsed in enumerate((False, True, True, False, True), start=1):
      self.target.set_weights(healthy)
      if collapsed:
        self.predict_one_class()
      with mock.patch.object(monitor.logging, "warning") as warning:
        look(step)
      said.append(warning.call_count)
    self.assertEqual(said, [0, 1, 0, 0, 1])
    self.assertEqual([alarm["step"] for alarm in look.alarms()], [2, 5])

  def test_what_the_start_shows_is_a_shift_and_no_alarm_until_the_next_look(self):
    look = self.make(prior=np.full(10, 0.1))
    self.predict_one_class()
    with mock.patch.object(monitor.logging, "warning") as warning:
      look(0)
    warning.assert_not_called()
    self.assertEqual(look.alarms(), [])
    look(1_000)
    self.assertIn("0.90 at step 0", look.alarms()[0]["what"])

  def test_without_labels_the_prior_is_what_the_source_network_predicts(self):
    look = self.make()
    look.prior = None
    look(0)
    self.assertEqual(self.lines()[0]["watch/marginal_distance"], 0.0)

  def test_tensorboard_gets_both_networks_under_the_same_tags(self):
    self.silence_fc3(500)
    self.make()(20)
    source, target = (histograms(self.path, f"adapted_{d}") for d in ("source", "target"))
    self.assertCountEqual(source, _TAGS)
    self.assertCountEqual(target, _TAGS)
    self.assertEqual(total(source["activations/fc3"][20]), 60 * 500)
    # All of the target's fc3 is zero, and the source's is not.
    left, right, count = target["activations/fc3"][20].T
    self.assertEqual(count[(left <= 0) & (right >= 0)].sum(), 60 * 500)
    self.assertGreater(np.count_nonzero(source["activations/fc3"][20][:, 2]), 5)

  def test_a_large_map_is_sampled_in_whole_locations(self):
    self.make()(0)
    found = histograms(self.path, "adapted_source")
    # 12 x 12 locations an image and 20 channels: 2,000 of 8,640 locations.
    self.assertEqual(total(found["activations/conv1"][0]), 2_000 * 20)

  def test_activations_that_are_not_finite_do_not_stop_the_run(self):
    self.target.fc3.bias.assign(tf.fill([500], float("nan")))
    self.target.conv1.bias.assign(tf.fill([20], float("inf")))
    self.make()(1_000)
    self.assertLen(self.lines(), 1)

  def test_watching_changes_no_weight_and_draws_nothing_at_random(self):
    before = [w.copy() for m in (self.source, self.target) for w in m.get_weights()]
    draws = []
    for watched in (False, True):
      tf.random.set_seed(5)
      np.random.seed(5)
      if watched:
        self.make()(1_000)
      draws.append((float(tf.random.uniform([])), np.random.uniform()))
    self.assertEqual(*draws)
    for weights in zip(
      before, (w for m in (self.source, self.target) for w in m.get_weights())
    ):
      self.assertAllEqual(*weights)


class WatchedRunTest(tf.test.TestCase):
  # Each look has something to complain of.
  OPTIONS = {"watch_every": 5, "alarm_marginal": 0.0, "alarm_dead_share": 1.0}

  @classmethod
  def setUpClass(cls):
    """Makes `whole`, a watched run that nothing disturbed."""
    super().setUpClass()
    cls.folder = in_process.class_folder(cls)
    cls.root = synthetic.write_all(os.path.join(cls.folder, "data"))
    cls.whole = cls.execute("whole", **cls.OPTIONS)

  @classmethod
  def path(cls, name):
    return os.path.join(cls.folder, name)

  @classmethod
  def execute(cls, name, **options):
    fields = {f"loop__{key}": value for key, value in options.items()}
    return in_process.execute(synthetic.small_config(**fields), cls.root, cls.path(name))

  def metrics(self, name):
    with open(os.path.join(self.path(name), "metrics.jsonl")) as file:
      return file.read()

  def looks(self, name):
    lines = map(json.loads, self.metrics(name).splitlines())
    return [line for line in lines if line["phase"] == "watch"]

  def assert_same_weights(self, one, other):
    for stage in ("source_only", "gaussian", "adapted"):
      first, second = (in_process.weights(self.path(name), stage) for name in (one, other))
      self.assertCountEqual(first, second)
      for name in first:
        self.assertAllEqual(first[name], second[name])

  def test_a_watched_run_ends_with_the_same_bits(self):
    # 7 is no multiple of log_every: windows end where the monitor looks.
    watched = self.execute("watched", watch_every=7, watch_images=40)
    unwatched = self.execute("unwatched", watch_every=0)
    self.assert_same_weights("watched", "unwatched")
    self.assertEqual(watched["stages"], unwatched["stages"])
    self.assertEqual([look["step"] for look in self.looks("watched")], [0, 7, 14, 20])
    self.assertEqual(self.looks("unwatched"), [])
    self.assertEqual([alarm for alarm in unwatched["alarms"] if alarm["step"]], [])
    summaries = os.path.join(self.path("unwatched"), "summaries")
    self.assertCountEqual(os.listdir(summaries), ["source_only", "gaussian", "adapted"])

  def test_histograms_stand_at_start_between_and_at_the_end(self):
    for domain in ("source", "target"):
      found = histograms(self.path("whole"), f"adapted_{domain}")
      self.assertEqual({tag: list(found[tag]) for tag in found}, {
        tag: [0, 5, 10, 15, 20] for tag in _TAGS
      })  # fmt: skip
    # Before and after matching.
    found = histograms(self.path("whole"), "gaussian_target")
    for tag in _TAGS:
      self.assertEqual(list(found[tag]), [0, 1])
      self.assertNotAllEqual(found[tag][0], found[tag][1])

  def test_a_killed_run_has_each_look_and_each_alarm_once(self):
    # Before the first step it is the source network's labels that are told.
    self.assertEqual([alarm["step"] for alarm in self.whole["alarms"]], [0, 5])
    look = monitor.Monitor.__call__
    # Before the look at 10, where a checkpoint is due, too; after the others.
    for kill, after in ((0, True), (10, False), (15, True)):

      def killed(self, step, kill=kill, after=after):
        if step != kill or after:
          look(self, step)
        if step == kill:
          raise KeyboardInterrupt

      with mock.patch.object(monitor.Monitor, "__call__", killed):
        with self.assertRaises(KeyboardInterrupt):
          self.execute("killed", **self.OPTIONS)
    resumed = self.execute("killed", **self.OPTIONS)
    self.assert_same_weights("whole", "killed")
    self.assertEqual(self.metrics("whole"), self.metrics("killed"))
    self.assertEqual(self.whole["alarms"], resumed["alarms"])
    again = self.execute("killed", **self.OPTIONS)
    self.assertEqual(self.whole["alarms"], again["alarms"])

  def test_results_say_of_how_many_channels_the_dead_are(self):
    taps = {"conv1": 20, "conv2": 50, "fc3": 500, "fc4": 10}
    self.assertEqual(self.whole["tap_channels"], taps)
    for look in self.looks("whole"):
      for tap, channels in taps.items():
        self.assertBetween(look[f"watch/{tap}/dead_channels"], 0, channels)

  def test_the_report_names_step_and_complaint(self):
    before, note = tables.alarm_notes(self.whole)
    self.assertRegex(before, "alarm before adaptation: Labels that the source network")
    self.assertRegex(note, "alarm at step 5 of adaptation: Predicted labels .* in total")
    self.assertEqual(tables.alarm_notes({}), [])
