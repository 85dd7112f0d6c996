"""Normalisation layers that Keras 2.15 lacks; the only file that uses tensorflow_addons.

TensorFlow Addons ended in 2024 with TensorFlow 2.15, whose own wrapper for spectral
normalisation fails inside a tf.function. Later versions of tf-keras have layers that
compute the same.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings

from tfdam import config as config_lib
from tfdam import stack

_SPECTRAL = "adapt.spectral_norm"
# {what needs addons: what else a user can do}.
_INSTEAD = {_SPECTRAL: f", or set {_SPECTRAL}=False"}


def _remedy(wanted_by: str) -> str:
  return (
    "Run pip install 'tensorflow-addons==0.23.0', take the other stack"
    f" (TFDAM_STACK=tf221){_INSTEAD.get(wanted_by, '')}."
  )


def check(wanted_by: str = _SPECTRAL) -> None:
  """Raises config.UserError if this file's layers cannot be made; imports no TensorFlow.

  Args:
    wanted_by: the field or feature that needs them, for the message.
  """
  if _is_needed() and not importlib.util.find_spec("tensorflow_addons"):
    raise config_lib.UserError(
      f"{wanted_by} needs tensorflow-addons on TensorFlow 2.15, which is not installed.",
      _remedy(wanted_by),
    )


def instance_norm():
  """A layer that normalises each channel of each image by its own moments.

  After Ulyanov et al. 2016, without scale and shift. It has no variables, so checkpoints
  fit both stacks.

  Call arguments:
    maps: float [B, H, W, channels].

  Raises:
    config.UserError: TensorFlow 2.15 without tensorflow-addons.
  """
  import tensorflow as tf

  options = {"center": False, "scale": False, "epsilon": 1e-5}
  if _is_needed():
    return _addons("instance normalisation").layers.InstanceNormalization(**options)
  # With -1, each channel is a group.
  return tf.keras.layers.GroupNormalization(groups=-1, **options)


def spectral_norm(layer, seed: int):
  """Wraps a layer in spectral normalisation (Miyato et al. 2018, Sec. 2.1).

  Each training call divides the kernel by its largest singular value, which is estimated by
  one power iteration per call.

  Args:
    layer: a tf.keras.layers.Layer with a kernel.
    seed: determines the vector from which the iteration starts.

  Raises:
    config.UserError: TensorFlow 2.15 without tensorflow-addons.
  """
  return _seeded_wrapper()(layer, seed, name=layer.name)


def _is_needed() -> bool:
  return stack.installed() == "tf215"


@functools.lru_cache(maxsize=1)
def _seeded_wrapper():
  """The wrapper's class, with a seeded start of the power iteration."""
  import tensorflow as tf

  class SpectralNorm(_wrapper(tf)):  # type: ignore[misc]
    def __init__(self, layer, seed: int, **kwargs):
      # float32 for the wrapper only: under mixed precision it would read its vector and the
      # kernel in half precision, and could not write them back. The layer is not affected.
      super().__init__(layer, power_iterations=1, dtype="float32", **kwargs)
      self._seed = seed

    def add_weight(self, *args, **kwargs):
      # This is for its vector, which tf-keras would make in half precision.
      return super().add_weight(*args, **{**kwargs, "dtype": "float32"})

    def build(self, input_shape):
      super().build(input_shape)
      if not hasattr(self, "u"):
        # Use the name that addons has, so that checkpoints fit both stacks.
        self.u = self.vector_u
      # Draw it again: the global generator's value depends on what was drawn before.
      self.u.assign(tf.random.stateless_normal(self.u.shape, [self._seed, 0]))

  return SpectralNorm


def _wrapper(tf):
  if not _is_needed():
    return tf.keras.layers.SpectralNormalization
  return _addons(_SPECTRAL).layers.SpectralNormalization


def _addons(wanted_by: str):
  """The package tensorflow_addons; raises config.UserError if it cannot be imported."""
  try:
    with warnings.catch_warnings():
      # The package announces its end of life at every import.
      warnings.simplefilter("ignore")
      import tensorflow_addons
  except ImportError as error:
    raise config_lib.UserError(
      f"{wanted_by} needs tensorflow-addons, which cannot be imported ({error}).",
      _remedy(wanted_by),
    ) from error
  return tensorflow_addons
