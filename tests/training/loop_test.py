"""The loop: one trace, exact step counts, resume, signals, non-finite losses."""

import json
import os
import signal
from unittest import mock

import tensorflow as tf

from tests import synthetic
from tfdam.runs import checkpoints, records, run_folder
from tfdam.training import loop


class CountingStep:
  """Adds each batch to a variable; its loss turns nan at a given value."""

  metric_names = ("loss/value",)

  def __init__(self, state, bad_value=-1.0, on_trace=None):
    self.state, self.bad_value, self.on_trace = state, bad_value, on_trace

  def __call__(self, batch):
    if self.on_trace:
      self.on_trace()
    self.state.assign_add(batch)
    loss = tf.where(batch == self.bad_value, float("nan"), batch)
    return {"loss/value": loss}


def batches(start):
  return tf.data.Dataset.range(start, 1_000).map(lambda x: tf.cast(x, tf.float32))


class LoopTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.path = self.create_tempdir().full_path
    self.options = (
      synthetic.small_config().loop
    )  # a look up every 5 steps, a checkpoint every 10

  def run_stage(self, state, *num_steps, step=None, strategy=None, options=None, looks=()):
    self.checkpoints = checkpoints.Checkpoints(
      os.path.join(self.path, "c"), {"state": state}
    )
    step = step or CountingStep(state)
    phases = [loop.Phase(f"phase {i}", step, steps) for i, steps in enumerate(num_steps)]
    folder = run_folder.RunFolder(self.path)
    return loop.run(
      "stage", phases, batches, strategy or tf.distribute.get_strategy(), self.checkpoints,
      records.Records(folder), options or self.options, looks,
    )  # fmt: skip

  def lines(self):
    with open(os.path.join(self.path, "metrics.jsonl")) as file:
      return [json.loads(line) for line in file]

  def test_runs_every_step_once_and_reports_means_of_windows(self):
    state = tf.Variable(0.0)
    rate = self.run_stage(state, 12, 11)
    self.assertEqual(float(state), sum(range(23)))
    self.assertGreater(rate, 0)
    lines = self.lines()
    self.assertEqual([line["step"] for line in lines], [5, 10, 12, 17, 20, 23])
    self.assertEqual([line["loss/value"] for line in lines], [2, 7, 10.5, 14, 18, 21])
    self.assertEqual([line["phase"] for line in lines], ["phase 0"] * 3 + ["phase 1"] * 3)
    self.assertEqual(checkpoints.steps(self.checkpoints.folder), [20, 23])

  def test_a_line_whose_end_a_kill_cut_off_does_not_run_into_the_next(self):
    state = tf.Variable(0.0)
    self.run_stage(state, 5)
    with open(os.path.join(self.path, "metrics.jsonl"), "r+") as file:
      file.truncate(len(file.read()) - 1)
    self.run_stage(state, 10)
    self.assertEqual([line["step"] for line in self.lines()], [5, 10])

  def test_one_trace_a_phase_whatever_the_window(self):
    traces = []
    state = tf.Variable(0.0)
    step = CountingStep(state, on_trace=lambda: traces.append(1))
    self.run_stage(state, 23, step=step)
    self.assertLen(traces, 1)

  def test_a_finished_stage_does_nothing_again(self):
    state = tf.Variable(0.0)
    self.run_stage(state, 10)
    fresh = tf.Variable(0.0)
    self.run_stage(fresh, 10)
    self.assertEqual(float(fresh), sum(range(10)))
    self.assertLen(self.lines(), 2)

  def test_resumes_from_the_newest_checkpoint_in_the_right_phase(self):
    state = tf.Variable(0.0)
    step = CountingStep(state, bad_value=26.0)
    with self.assertRaisesRegex(
      loop.NonFiniteLoss, "loss/value became nan between steps 25 and 30 of stage"
    ):
      self.run_stage(state, 15, 20, step=step)
    self.assertEqual(checkpoints.steps(self.checkpoints.folder), [10, 20])
    with open(os.path.join(self.path, "metrics.jsonl"), "a") as file:
      file.write('{"stage": "stage", "st')  # as a kill would leave it
    resumed = tf.Variable(0.0)
    self.run_stage(resumed, 15, 20)
    self.assertEqual(float(resumed), sum(range(35)))
    # Lines past the checkpoint were written again, not twice.
    self.assertEqual([line["step"] for line in self.lines()], [5, 10, 15, 20, 25, 30, 35])

  def test_sigterm_saves_and_exits_with_143(self):
    state = tf.Variable(0.0)
    step = CountingStep(state)

    def on_write(*args, **kwargs):
      os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with self.assertRaises(SystemExit) as caught:
      with mock.patch.object(records.Records, "write", on_write):
        self.run_stage(state, 40, step=step)
    self.assertEqual(caught.exception.code, 143)
    self.assertEqual(checkpoints.steps(self.checkpoints.folder), [5])
    self.assertEqual(signal.getsignal(signal.SIGTERM), before)

  def test_a_look_comes_at_the_start_at_its_steps_and_at_the_end(self):
    state, seen = tf.Variable(0.0), []
    look = loop.Look(7, lambda done: seen.append((done, float(state))))
    self.run_stage(state, 12, 11, looks=[look])
    self.assertEqual(seen, [(done, sum(range(done))) for done in (0, 7, 14, 21, 23)])
    self.assertEqual(float(state), sum(range(23)))

  def test_looks_keep_their_own_steps_and_their_order(self):
    seen = []
    looks = [
      loop.Look(every, lambda done, every=every: seen.append((every, done)))
      for every in (4, 6)
    ]
    self.run_stage(tf.Variable(0.0), 13, looks=looks)
    expected = [(4, 0), (6, 0), (4, 4), (6, 6), (4, 8), (4, 12), (6, 12), (4, 13), (6, 13)]
    self.assertEqual(seen, expected)

  def test_looks_take_no_time_of_the_steps(self):
    seconds = 0.0

    def spend(amount):
      nonlocal seconds
      seconds += amount

    look = loop.Look(5, lambda _: spend(1e3))
    with mock.patch.object(loop, "time") as time:
      time.perf_counter = lambda: seconds
      written = mock.patch.object(
        records.Records, "write", side_effect=lambda *_: spend(1.0)
      )
      with written:
        rate = self.run_stage(tf.Variable(0.0), 20, looks=[look])
    self.assertEqual(rate, 5.0)  # a second every five steps

  def test_a_resumed_stage_does_not_look_at_its_start_again(self):
    state, seen = tf.Variable(0.0), []
    looks = [loop.Look(10, seen.append)]
    with self.assertRaises(loop.NonFiniteLoss):
      step = CountingStep(state, bad_value=16.0)
      self.run_stage(state, 20, step=step, looks=[loop.Look(10, lambda _: None)])
    self.run_stage(tf.Variable(0.0), 20, looks=looks)
    self.assertEqual(seen, [20])

  def test_replicas_share_the_batch_and_average_their_metrics(self):
    strategy = synthetic.two_replicas()
    with strategy.scope():
      seen = tf.Variable(
        0.0, synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
      )  # fmt: skip

    class Step:
      metric_names = ("loss/mean",)

      def __call__(self, batch):
        seen.assign_add(tf.reduce_sum(batch))
        return {"loss/mean": tf.reduce_mean(batch)}

    many_steps = loop.compile_steps(Step(), strategy)
    pairs = batches(0).batch(4, drop_remainder=True)
    iterator = iter(strategy.experimental_distribute_dataset(pairs))
    means = many_steps(iterator, tf.constant(3))
    self.assertAllClose(means["loss/mean"], 5.5)  # of 0 .. 11
    self.assertAllClose(seen, 66.0)
    many_steps(iterator, tf.constant(2))
    self.assertEqual(many_steps.experimental_get_tracing_count(), 1)
