"""The only file that imports tensorflow_addons, which ended in 2024: leaving it is one
file's work.
"""

from __future__ import annotations

import warnings

import tensorflow as tf

with warnings.catch_warnings():
  # It announces its own end at every import.
  warnings.simplefilter("ignore")
  import tensorflow_addons


def spectral_norm(layer: tf.keras.layers.Layer, seed: int) -> tf.keras.layers.Layer:
  """Wraps a layer so that each training call divides its kernel by its largest singular
  value (Miyato et al. 2018, Sec. 2.1), as one power iteration a call estimates it.

  Keras 2.15's own wrapper fails inside a tf.function.

  Args:
    layer: with a kernel.
    seed: of the vector that the iteration starts from.
  """
  return _SpectralNorm(layer, seed, name=layer.name)


class _SpectralNorm(tensorflow_addons.layers.SpectralNormalization):
  def __init__(self, layer, seed: int, **kwargs):
    # The wrapper alone: under mixed precision it would read its vector and the kernel in
    # half precision, and could not write them back. The layer computes as it would without.
    super().__init__(layer, power_iterations=1, dtype="float32", **kwargs)
    self._seed = seed

  def build(self, input_shape):
    super().build(input_shape)
    # Addons draws it from the global generator: what was drawn before would decide it.
    self.u.assign(tf.random.stateless_normal(self.u.shape, [self._seed, 0]))
