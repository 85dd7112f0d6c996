"""Folding a scale and a shift into a layer, of Keras 2 and of Keras 3."""

import numpy as np
import pytest
import tensorflow as tf

from tests import keras_networks
from tfdam.matching import folding
from tfdam.models import conv_norm

ALPHA, BETA = np.array([2.0, 0.5, 1.5, 0.1]), np.array([1.0, -1.0, 0.25, 3.0])
SHAPES = {1: (4, 9, 4), 2: (4, 6, 5, 4), 3: (2, 4, 4, 4, 4)}

# {name: (Keras' modules -> layer of four output channels, dimensions of its input)}.
LAYERS = {
  "Dense": (lambda k: k.Dense(4, activation="relu"), 2),
  "Conv1D": (lambda k: k.Conv1D(4, 2), 1),
  "Conv2D": (lambda k: k.Conv2D(4, 2, strides=2, activation="tanh"), 2),
  "Conv2D of groups": (lambda k: k.Conv2D(4, 2, groups=2), 2),
  "Conv3D": (lambda k: k.Conv3D(4, 2), 3),
  "Conv1DTranspose": (lambda k: k.Conv1DTranspose(4, 2), 1),
  "Conv2DTranspose": (lambda k: k.Conv2DTranspose(4, (2, 3), strides=2), 2),
  "Conv3DTranspose": (lambda k: k.Conv3DTranspose(4, 2), 3),
  "DepthwiseConv1D": (lambda k: k.DepthwiseConv1D(2), 1),
  "DepthwiseConv2D": (lambda k: k.DepthwiseConv2D(2), 2),
  "SeparableConv1D": (lambda k: k.SeparableConv1D(4, 2), 1),
  "SeparableConv2D": (lambda k: k.SeparableConv2D(4, 2, depth_multiplier=2), 2),
  "BatchNormalization": (lambda k: k.BatchNormalization(), 2),
  "BatchNormalization without gamma": (lambda k: k.BatchNormalization(scale=False), 2),
  "BatchNormalization without beta": (lambda k: k.BatchNormalization(center=False), 2),
  "BatchNormalization without either": (
    lambda k: k.BatchNormalization(scale=False, center=False), 2
  ),
  "LayerNormalization": (lambda k: k.LayerNormalization(), 2),
  "GroupNormalization": (lambda k: k.GroupNormalization(2), 2),
}  # fmt: skip


def trained(layer, inputs):
  """The layer with weights that are no one's defaults."""
  layer(inputs)
  random = np.random.RandomState(1)
  layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
  return layer


def before_activation(layer, inputs):
  activation = getattr(layer, "activation", None)
  if activation is not None:
    layer.activation = None
  found = np.array(layer(inputs))
  if activation is not None:
    layer.activation = activation
  return found


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_computes_the_affine_output(name, version):
  make, dimensions = LAYERS[name]
  layer = make(keras_networks.keras_of(version).layers)
  inputs = np.random.RandomState(0).normal(size=SHAPES[dimensions]).astype(np.float32)
  trained(layer, inputs)
  assert folding.kind(layer) == name.split()[0]
  assert folding.can_fold(layer)
  num_variables = len(layer.weights)
  before = before_activation(layer, inputs)
  alpha, beta = folding.fold(layer, ALPHA, BETA)
  np.testing.assert_allclose(alpha, ALPHA)
  np.testing.assert_allclose(beta, BETA)
  # float32 rounding of sums of products of order 10.
  np.testing.assert_allclose(
    before_activation(layer, inputs), before * ALPHA + BETA, rtol=1e-5, atol=2e-4
  )
  assert len(layer.weights) == num_variables


def test_every_kind_that_is_known_is_tried():
  assert {name.split()[0] for name in LAYERS} == set(folding.KINDS)


def test_a_moving_variance_cannot_fall_below_zero():
  norm = tf.keras.layers.BatchNormalization(scale=False, epsilon=1e-3)
  norm(tf.zeros([1, 4]))
  norm.moving_variance.assign([1e-4, 1.0, 1.0, 1.0])
  alpha, _ = folding.fold(norm, np.full(4, 10.0), np.zeros(4))
  assert norm.moving_variance.numpy()[0] == 0.0
  # What is left is epsilon: sqrt((1e-4 + 1e-3) / 1e-3).
  np.testing.assert_allclose(alpha, [np.sqrt(1.1), 10.0, 10.0, 10.0])


class Doubling(tf.keras.layers.Conv2D):
  """Computes what no one outside can know."""

  def call(self, inputs):
    return super().call(inputs) ** 2


@pytest.mark.parametrize(
  "layer",
  [
    tf.keras.layers.Dense(4, use_bias=False),
    tf.keras.layers.LayerNormalization(center=False),
    tf.keras.layers.MaxPool2D(),
    tf.keras.layers.EinsumDense("abcd,de->abce", (None, 5, 4), bias_axes="e"),
    Doubling(4, 2),
  ],
  ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_cannot_take_it_is_refused(layer):
  layer(tf.zeros([1, 6, 5, 4]))
  with pytest.raises(TypeError):
    folding.fold(layer, ALPHA, BETA)


def test_our_own_layers_are_what_their_keras_classes_are():
  assert folding.kind(conv_norm.Conv(4, 3)) == "Conv2D"
  assert folding.kind(conv_norm.BatchNorm()) == "BatchNormalization"


def test_moving_moments_are_those_of_the_output():
  norm = tf.keras.layers.BatchNormalization(momentum=0.0)
  inputs = np.random.RandomState(0).normal(2.0, 3.0, (64, 4)).astype(np.float32)
  norm(inputs, training=True)
  norm.gamma.assign([0.5, 2.0, 1.0, 0.0])
  norm.beta.assign([1.0, 0.0, -1.0, 3.0])
  mean, variance = folding.moving_moments(norm)
  outputs = norm(inputs).numpy()
  np.testing.assert_allclose(mean, outputs.mean(0), atol=1e-5)
  np.testing.assert_allclose(variance, outputs.var(0), atol=1e-4)
