"""ERFNet's encoder against its layer table."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam.models import erfnet


def small(num_classes=5, **options):
  """4 to 32 channels, the blocks 01, 02, 03, 04 (strided), 05 and 06 (dilated), 07."""
  return erfnet.ERFNet(num_classes, **{"width": 0.25, "depth": 0.2, **options})


def images(*shape, seed=0):
  return tf.random.stateless_uniform(shape, [seed, 0])


def randomise(model, seed=0):
  """Norms away from their initial values, so that folding has something to do."""
  rng = np.random.RandomState(seed)
  for variable in model.variables:
    if "_bn" in variable.name or "bias" in variable.name:
      variable.assign(rng.uniform(0.5, 1.5, variable.shape))


def plain_scores(model, x):
  """The scores, by Keras' layers alone."""
  layers = tf.keras.layers

  def conv(layer, x):
    padding = "same"
    if layer.strides == (2, 2):
      x, padding = layers.ZeroPadding2D(1)(x), "valid"
    plain = layers.Conv2D(
      layer.filters, layer.kernel_size, layer.strides, padding,
      dilation_rate=layer.dilation_rate,
    )  # fmt: skip
    plain.build(x.shape)
    plain.kernel, plain.bias = layer.kernel, layer.bias
    return plain(x)

  def norm(layer, x):
    plain = layers.BatchNormalization(epsilon=1e-3)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    plain.gamma, plain.beta = layer.gamma, layer.beta
    return plain(x, training=False)

  for block in model.blocks[:-1]:
    if hasattr(block, "tall1"):
      y = tf.nn.relu(conv(block.tall1, x))
      y = tf.nn.relu(norm(block.broad1.norm, conv(block.broad1.conv, y)))
      y = tf.nn.relu(conv(block.tall2, y))
      x = tf.nn.relu(x + norm(block.broad2.norm, conv(block.broad2.conv, y)))
    elif hasattr(block, "pair"):
      # PyTorch's padding of 1 and output padding of 1: what Keras' has less the first.
      wide = layers.Conv2DTranspose(block.pair.conv.filters, 3, 2, "valid")
      wide.build(x.shape)
      wide.kernel, wide.bias = block.pair.conv.kernel, block.pair.conv.bias
      x = tf.nn.relu(norm(block.pair.norm, wide(x)[:, 1:, 1:]))
    else:
      both = [conv(block.conv, x), layers.MaxPool2D(2, padding="same")(x)]
      x = tf.nn.relu(norm(block.norm, layers.Concatenate()(both)))
  last = model.blocks[-1].conv
  if not model.has_decoder:
    return conv(last, x)
  # Each pixel becomes four: its channels times a 2x2 kernel.
  scores = tf.einsum("bhwi,klci->bhkwlc", x, last.kernel)
  shape = [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], last.filters]
  return tf.reshape(scores, shape) + last.bias


class ERFNetTest(tf.test.TestCase, parameterized.TestCase):
  def test_taps_have_the_shapes_of_the_layer_table(self):
    model = erfnet.ERFNet(19)
    outputs = model(images(1, 32, 48, 3))
    shapes = {name: tuple(tap.shape[1:]) for name, tap in outputs["taps"].items()}
    expected = {"block01": (16, 24, 16), "block02": (8, 12, 64), "block08": (4, 6, 128)}
    expected.update({f"block{i:02d}": (8, 12, 64) for i in range(3, 8)})
    expected.update({f"block{i:02d}": (4, 6, 128) for i in range(9, 17)})
    expected["block17"] = (4, 6, 19)
    self.assertEqual(shapes, expected)
    self.assertEqual(model.TAPS, tuple(sorted(expected)))
    self.assertEqual(
      [block.tall2.dilation_rate[0] for block in model.blocks[8:16]],
      [2, 4, 8, 16, 2, 4, 8, 16],
    )
    self.assertEqual(model.num_noise, 5 * 64 + 8 * 128)

  def test_the_number_of_parameters_by_hand(self):
    model = erfnet.ERFNet(19)
    model(tf.zeros([1, 8, 8, 3]))

    def downsampler(inputs, outputs):
      return (9 * inputs + 1) * (outputs - inputs) + 2 * outputs

    def non_bottleneck(channels):
      return 4 * (3 * channels + 1) * channels + 2 * 2 * channels

    by_hand = downsampler(3, 16) + downsampler(16, 64) + downsampler(64, 128)
    by_hand += 5 * non_bottleneck(64) + 8 * non_bottleneck(128) + (128 + 1) * 19
    moving = 2 * (16 + 64 + 128) + 5 * 4 * 64 + 8 * 4 * 128
    self.assertEqual(by_hand, 1_876_495)
    self.assertEqual(sum(np.prod(v.shape) for v in model.trainable_variables), by_hand)
    self.assertEqual(model.count_params(), by_hand + moving)
    whole = erfnet.ERFNet(19, decoder=True)
    whole(tf.zeros([1, 8, 8, 3]))
    by_hand -= (128 + 1) * 19
    by_hand += (9 * 128 + 3) * 64 + (9 * 64 + 3) * 16 + (4 * 16 + 1) * 19
    by_hand += 2 * non_bottleneck(64) + 2 * non_bottleneck(16)
    self.assertEqual(sum(np.prod(v.shape) for v in whole.trainable_variables), by_hand)
    self.assertEqual(round(by_hand / 1e6, 2), 2.06)  # as published

  @parameterized.parameters((32, 48), (29, 43))
  def test_the_decoder_gives_scores_of_the_images_size(self, height, width):
    model = small(decoder=True)
    x = images(2, height, width, 3)
    outputs = model(x)
    self.assertEqual(outputs["logits"].shape, [2, height, width, 5])
    rows, columns = 8 * -(-height // 8), 8 * -(-width // 8)
    shapes = [tuple(tap.shape[1:]) for tap in outputs["taps"].values()][6:]
    quarter, half = (rows // 4, columns // 4, 16), (rows // 2, columns // 2, 4)
    self.assertEqual(shapes, [quarter] * 3 + [half] * 3 + [(rows, columns, 5)])
    randomise(model)
    found, expected = model(x)["taps"]["block13"], plain_scores(model, x)
    scale = tf.reduce_max(tf.abs(expected))
    # float32 through 25 layers, relative to the largest score.
    self.assertAllClose(found / scale, expected / scale, atol=2e-5)
    self.assertAllEqual(model(x)["logits"], found[:, :height, :width])

  def test_width_and_depth_scale_it(self):
    model = erfnet.ERFNet(5, width=0.01, depth=0.01)
    taps = model(images(1, 16, 16, 3))["taps"]
    self.assertEqual([tap.shape[-1] for tap in taps.values()], [4, 16, 16, 32, 32, 5])
    self.assertEqual(model.TAPS, tuple(f"block{i:02d}" for i in range(1, 7)))
    model = erfnet.ERFNet(5, width=0.5, depth=0.4)  # 2 and 3 blocks
    taps = model(images(1, 16, 16, 3))["taps"]
    self.assertEqual(
      [tap.shape[-1] for tap in taps.values()], [8, 32, 32, 32, 64, 64, 64, 64, 5]
    )

  @parameterized.parameters((32, 48), (29, 43))
  def test_inference_and_its_gradients_are_those_of_plain_layers(self, height, width):
    model = small()
    x = images(2, height, width, 3)
    model(x)
    randomise(model)
    variables = model.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
      found, expected = model(x)["taps"]["block07"], plain_scores(model, x)
      scale = tf.reduce_max(tf.abs(expected))
      losses = [tf.reduce_mean(tf.square(y / scale)) for y in (found, expected)]
    # float32 through 15 layers, relative to the largest score.
    self.assertAllClose(found / scale, expected / scale, atol=1e-5)
    gradients = [tape.gradient(loss, variables) for loss in losses]
    for variable, one, other in zip(variables, *gradients):
      # Cancelling sums over the maps, relative to the largest.
      largest = tf.reduce_max(tf.abs(other))
      self.assertGreater(float(largest), 0.0, variable.name)
      self.assertAllClose(one / largest, other / largest, atol=1e-4)

  def test_a_negative_scale_reaches_the_pooled_channels_after_the_maximum(self):
    model = small()
    x = images(1, 16, 16, 3)
    model(x)
    model.blocks[0].norm.gamma.assign([-1.0] * 4)
    found, expected = model(x)["taps"]["block07"], plain_scores(model, x)
    self.assertAllClose(found, expected, atol=1e-5)  # float32 through 15 layers

  def test_training_moves_every_moving_moment(self):
    model = small()
    model(tf.zeros([1, 16, 16, 3]))
    before = [v.numpy() for v in model.non_trainable_variables]
    model(images(2, 32, 32, 3), training=True)
    for variable, then in zip(model.non_trainable_variables, before):
      self.assertNotAllClose(variable, then)
    now = [v.numpy() for v in model.non_trainable_variables]
    model(images(2, 32, 32, 3))
    for variable, then in zip(model.non_trainable_variables, now):
      self.assertAllEqual(variable, then)

  def test_initial_weights_depend_on_the_seed_alone(self):
    def weights(seed, name):
      model = small(seed=seed, name=name)
      model(tf.zeros([1, 16, 16, 3]))
      return model.get_weights()

    first = weights(1, "source")
    tf.random.normal([3])  # what was drawn in between must not matter
    for one, other in zip(first, weights(1, "target")):
      self.assertAllEqual(one, other)
    self.assertNotAllEqual(first[2], weights(2, "source")[2])

  def test_two_replicas_train_as_one(self):
    x = images(4, 32, 32, 3)

    def make():
      model = small()
      model(tf.zeros([1, 32, 32, 3]))
      return model

    def step(model, x, noise):
      with tf.GradientTape() as tape:
        logits = model(x, training=True, noise=noise)["logits"]
        loss = tf.reduce_sum(tf.square(logits)) / 1e4
      return logits, tape.gradient(loss, model.trainable_variables)

    single = make()
    noise = images(4, single.num_noise, seed=1)
    logits, gradients = step(single, x, noise)
    strategy = synthetic.two_replicas()
    with strategy.scope():
      shared = make()

    def replica_step(x, noise):
      halves, gradients = step(shared, x, noise)
      context = tf.distribute.get_replica_context()
      return halves, context.all_reduce("sum", gradients)

    parts = strategy.experimental_distribute_values_from_function(
      lambda c: tuple(tf.split(v, 2)[c.replica_id_in_sync_group] for v in (x, noise))
    )
    halves, summed = strategy.run(tf.function(replica_step), parts)
    joined = tf.concat(strategy.experimental_local_results(halves), axis=0)
    # float32 sums in another order, through 15 layers that normalise by few samples.
    self.assertAllClose(joined, logits, atol=1e-3)
    for one, other in zip(summed, gradients):
      local = strategy.experimental_local_results(one)[0]
      self.assertAllClose(local, other, atol=1e-3 * max(1.0, np.abs(other).max()))
    for one, other in zip(shared.get_weights(), single.get_weights()):
      self.assertAllClose(one, other, atol=1e-4)


class DropoutTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.model = small()
    self.images = images(2, 16, 16, 3)
    self.noise = images(2, self.model.num_noise, seed=1)
    self.model(self.images)

  def taps(self, noise, model=None):
    return (model or self.model)(self.images, noise=noise)["taps"]

  def test_is_a_function_of_the_noise(self):
    first, again = self.taps(self.noise), self.taps(self.noise)
    other, none = self.taps(1.0 - self.noise), self.taps(None)
    self.assertAllEqual(first["block07"], again["block07"])
    self.assertNotAllEqual(first["block07"], other["block07"])
    self.assertNotAllEqual(first["block07"], none["block07"])

  def test_drops_channels_of_an_image_and_scales_the_others(self):
    block = self.model.blocks[4]
    noise = np.full(self.noise.shape, 0.5, np.float32)
    dropped = range(block.noise.start + 3, block.noise.start + 7)
    noise[1, dropped] = 0.299  # a rate of 0.3
    state = {"output": images(2, 4, 4, 32, seed=2), "input": tf.zeros([2, 4, 4, 32])}
    found = block._join({**state, "noise": tf.constant(noise)})["output"]
    expected = state["output"].numpy() / 0.7
    expected[1, ..., 3:7] = 0.0
    self.assertAllClose(found, expected, rtol=1e-6)  # one division in float32

  def test_every_block_has_noise_of_its_own(self):
    slices = [b.noise for b in self.model.blocks if hasattr(b, "noise")]
    used = [i for s in slices for i in range(s.start, s.stop)]
    self.assertEqual(used, list(range(self.model.num_noise)))

  def test_full_noise_drops_nothing_but_scales(self):
    """What is dropped is below the rate: 1 - eps never is."""
    state = {"output": tf.ones([1, 1, 1, 16]), "input": tf.zeros([1, 1, 1, 16])}
    noise = tf.fill([1, self.model.num_noise], 0.999)
    found = self.model.blocks[2]._join({**state, "noise": noise})["output"]
    self.assertAllClose(found, tf.fill([1, 1, 1, 16], 1 / 0.97), rtol=1e-6)

  def test_a_factor_of_zero_takes_no_noise(self):
    model = small(dropout=0.0)
    self.assertEqual(model.num_noise, 0)
    self.assertAllEqual(
      self.taps(tf.zeros([2, 0]), model)["block07"], self.taps(None, model)["block07"]
    )

  def test_noise_of_another_length_is_refused(self):
    with self.assertRaisesRegex(ValueError, "takes 80 numbers"):
      self.model(self.images, noise=tf.zeros([2, 79]))
