"""The fused Adam against Keras's."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam.training import optimizers

_FIELDS = {"beta_1": 0.5, "epsilon": 1e-8, "jit_compile": False}


def walk(optimizer, strategy=None, num_steps=20):
  """A variable's way under seeded gradients."""
  rng = np.random.RandomState(0)
  strategy = strategy or tf.distribute.get_strategy()
  with strategy.scope():
    variable = tf.Variable(np.linspace(-1, 1, 6).reshape(2, 3), dtype=tf.float32)
    optimizer = optimizer()
    optimizer.build([variable])
  gradients = rng.normal(size=(num_steps, 2, 3)).astype(np.float32)

  def step(gradient):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(gradient * variable) / strategy.num_replicas_in_sync
    optimizer.apply_gradients([(tape.gradient(loss, variable), variable)])

  @tf.function
  def update(gradient):
    strategy.run(step, args=(gradient,))

  for gradient in gradients:
    update(gradient)
  return variable.numpy()


class FusedAdamTest(tf.test.TestCase, parameterized.TestCase):
  def test_walks_where_kerass_adam_walks(self):
    ours = walk(lambda: optimizers.FusedAdam(0.01, **_FIELDS))
    keras = walk(lambda: tf.keras.optimizers.Adam(0.01, **_FIELDS))
    # Twenty steps of 0.01, each rounded in float32 of order 1.
    self.assertAllClose(ours, keras, atol=1e-6)
    self.assertGreater(np.abs(ours - np.linspace(-1, 1, 6).reshape(2, 3)).max(), 0.01)

  def test_walks_the_same_on_two_replicas(self):
    one = walk(lambda: optimizers.FusedAdam(0.01, **_FIELDS))
    two = walk(lambda: optimizers.FusedAdam(0.01, **_FIELDS), synthetic.two_replicas())
    self.assertAllClose(one, two, atol=1e-6)

  def test_shut_steps_leave_no_trace(self):
    """Open, shut, open walks as two open steps, bias correction included."""
    ways = []
    for gates in ((True, True), (False, True, False, False, True)):
      variable = tf.Variable([1.0, -2.0])
      optimizer = optimizers.FusedAdam(0.01, **_FIELDS)
      optimizer.build([variable])
      gradients = iter(([0.3, -0.1], [-0.2, 0.5]))
      for is_open in gates:
        gradient = tf.constant(next(gradients) if is_open else [9.0, 9.0])
        optimizer.apply_if(tf.constant(is_open), [(gradient, variable)])
      ways.append(variable.numpy())
      self.assertEqual(optimizer.iterations, 2)
    self.assertAllEqual(*ways)

  def test_keeps_the_moving_average(self):
    fields = {**_FIELDS, "use_ema": True, "ema_momentum": 0.9}
    variable = tf.Variable([1.0, -2.0])
    optimizer = optimizers.FusedAdam(0.1, **fields)
    optimizer.build([variable])
    expected = variable.numpy()
    for _ in range(5):
      optimizer.apply_gradients([(tf.constant([0.3, -0.1]), variable)])
      expected = 0.9 * expected + 0.1 * variable.numpy()
    # float32 sums of order 1.
    self.assertAllClose(optimizers.averages(optimizer)[0], expected, atol=1e-6)
