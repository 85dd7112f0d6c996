"""DRN-C-26 against its layer table."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfdam.models import drn


class DRN26Test(tf.test.TestCase, parameterized.TestCase):
  def test_taps_have_the_shapes_of_the_layer_table(self):
    model = drn.DRN26(5, width=0.25)
    taps = model(tf.zeros([1, 32, 48, 3]))["taps"]
    self.assertEqual(
      {name: tuple(tap.shape[1:]) for name, tap in taps.items()},
      {
        "stage1": (32, 48, 4), "stage2": (16, 24, 8), "stage3": (8, 12, 16),
        "stage4": (4, 6, 32), "stage5": (4, 6, 64), "stage6": (4, 6, 128),
        "stage7": (4, 6, 128), "stage8": (4, 6, 128), "score": (4, 6, 5),
      },
    )  # fmt: skip

  def test_the_number_of_parameters_by_hand(self):
    model = drn.DRN26(19)
    model(tf.zeros([1, 8, 8, 3]))

    def conv(inputs, outputs, size=3):  # and its batch norm
      return size * size * inputs * outputs + 2 * outputs

    def first(inputs, outputs):  # unit, with a projection
      return conv(inputs, outputs) + conv(outputs, outputs) + conv(inputs, outputs, size=1)

    def second(channels):
      return 2 * conv(channels, channels)

    by_hand = conv(3, 16, size=7) + second(16) + first(16, 32)
    by_hand += first(32, 64) + second(64) + first(64, 128) + second(128)
    by_hand += first(128, 256) + second(256) + first(256, 512) + second(512)
    by_hand += second(512) + second(512) + (512 + 1) * 19
    norms = 16 + 2 * 16 + 3 * 32 + 5 * (64 + 128 + 256 + 512) + 2 * 512 + 2 * 512
    self.assertEqual(by_hand, 20_623_331)
    self.assertEqual(sum(np.prod(v.shape) for v in model.trainable_variables), by_hand)
    self.assertEqual(model.count_params(), by_hand + 2 * norms)

  def test_dilations_and_strides_are_the_tables(self):
    stages = drn.DRN26(5).blocks[:-1]
    strides = [stage.units[0].first.conv.strides[0] for stage in stages]
    self.assertEqual(strides, [1, 2, 2, 2, 1, 1, 1, 1])
    for stage, expected in zip(stages, (1, 1, 1, 1, 2, 4, 2, 1)):
      for unit in stage.units:
        self.assertEqual(unit.first.conv.dilation_rate[0], expected)
        self.assertEqual(unit.second.conv.dilation_rate[0], expected)
    projections = [bool(unit.projection) for stage in stages for unit in stage.units]
    # Where channels change; those of stages 7 and 8 have nothing beside them.
    expected = [False, True, True, False, True, False, True, False, True, False]
    self.assertEqual(projections, [*expected, False, False])

  @parameterized.parameters((32, 48), (27, 43))
  def test_inference_is_that_of_plain_layers(self, height, width):
    model = drn.DRN26(5, width=0.1)
    x = tf.random.stateless_uniform([2, height, width, 3], [0, 0])
    model(x)
    rng = np.random.RandomState(0)
    for variable in model.variables:
      if "_bn" in variable.name:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    found = model(x)["taps"]["score"]

    def pair(layer, x):
      conv, norm = layer.conv, layer.norm
      border = conv.kernel_size[0] // 2 * conv.dilation_rate[0]
      # Kernel with holes: no dilated convolution is relied on.
      kernel = conv.kernel.numpy()
      if conv.dilation_rate[0] > 1:
        size = 2 * border + 1
        holes = np.zeros((size, size, *kernel.shape[2:]), np.float32)
        holes[::border, ::border] = kernel
        kernel = holes
      x = tf.nn.conv2d(
        tf.keras.layers.ZeroPadding2D(border)(x), kernel, conv.strides, "VALID"
      )
      plain = tf.keras.layers.BatchNormalization(epsilon=1e-5)
      plain.build(x.shape)
      plain.set_weights(norm.get_weights())
      return plain(x, training=False)

    y = tf.nn.relu(pair(model.blocks[0].stem, x))
    for number, stage in enumerate(model.blocks[:-1], 1):
      for unit in stage.units:
        shortcut = pair(unit.projection, y) if unit.projection else y
        y = pair(unit.second, tf.nn.relu(pair(unit.first, y)))
        y = tf.nn.relu(y + shortcut if number < 7 else y)
    expected = model.blocks[-1].conv(y)
    scale = tf.reduce_max(tf.abs(expected))
    # float32 through 25 layers, relative to the largest score.
    self.assertAllClose(found / scale, expected / scale, atol=1e-5)
