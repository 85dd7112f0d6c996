"""Normalisations that Keras 2.15 lacks, and the only file that knows tensorflow_addons.

Addons ended in 2024 with TensorFlow 2.15, whose own wrapper for spectral normalisation
fails inside a tf.function. From there on tf-keras has layers that compute the same.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings

from tfdam import config as config_lib
from tfdam import stack

_SPECTRAL = "adapt.spectral_norm"
# What else a user can do without addons.
_INSTEAD = {_SPECTRAL: f", or set {_SPECTRAL}=False"}


def _remedy(wanted_by: str) -> str:
  return (
    "Run pip install 'tensorflow-addons==0.23.0', take the other stack"
    f" (TFDAM_STACK=tf221){_INSTEAD.get(wanted_by, '')}."
  )


def check(wanted_by: str = _SPECTRAL) -> None:
  """Raises config.UserError where the layers of this file are not there; starts nothing.

  Args:
    wanted_by: what needs them.
  """
  if _is_needed() and not importlib.util.find_spec("tensorflow_addons"):
    raise config_lib.UserError(
      f"{wanted_by} needs tensorflow-addons on TensorFlow 2.15, which is not installed.",
      _remedy(wanted_by),
    )


def instance_norm():
  """A layer that normalises each channel of each image by its own moments, no more.

  Ulyanov et al. 2016. It has no variables, so that checkpoints of either stack fit the
  other.

  Call arguments:
    maps: float [B, H, W, channels].

  Raises:
    config.UserError: TensorFlow 2.15 without tensorflow-addons.
  """
  import tensorflow as tf

  options = {"center": False, "scale": False, "epsilon": 1e-5}
  if _is_needed():
    return _addons("instance normalisation").layers.InstanceNormalization(**options)
  # A group is one channel.
  return tf.keras.layers.GroupNormalization(groups=-1, **options)


def spectral_norm(layer, seed: int):
  """Wraps a layer so that each training call divides its kernel by its largest singular
  value (Miyato et al. 2018, Sec. 2.1), as one power iteration a call estimates it.

  Args:
    layer: a tf.keras.layers.Layer with a kernel.
    seed: of the vector that the iteration starts from.

  Raises:
    config.UserError: TensorFlow 2.15 without tensorflow-addons.
  """
  return _seeded_wrapper()(layer, seed, name=layer.name)


def _is_needed() -> bool:
  return stack.installed() == "tf215"


@functools.lru_cache(maxsize=1)
def _seeded_wrapper():
  """The wrapper's class, with a start of the iteration that is the seed's."""
  import tensorflow as tf

  class SpectralNorm(_wrapper(tf)):  # type: ignore[misc]
    def __init__(self, layer, seed: int, **kwargs):
      # The wrapper alone: under mixed precision it would read its vector and the kernel in
      # half precision, and could not write them back. The layer computes as without it.
      super().__init__(layer, power_iterations=1, dtype="float32", **kwargs)
      self._seed = seed

    def add_weight(self, *args, **kwargs):
      # Its vector; tf-keras would take the half precision that a kernel is read in.
      return super().add_weight(*args, **{**kwargs, "dtype": "float32"})

    def build(self, input_shape):
      super().build(input_shape)
      if not hasattr(self, "u"):
        # Addons' name: with it the checkpoints of either stack fit the other.
        self.u = self.vector_u
      # It was drawn from the global generator: what was drawn before would decide it.
      self.u.assign(tf.random.stateless_normal(self.u.shape, [self._seed, 0]))

  return SpectralNorm


def _wrapper(tf):
  if not _is_needed():
    return tf.keras.layers.SpectralNormalization
  return _addons(_SPECTRAL).layers.SpectralNormalization


def _addons(wanted_by: str):
  """The package; raises config.UserError where it cannot be imported."""
  try:
    with warnings.catch_warnings():
      # It announces its own end at every import.
      warnings.simplefilter("ignore")
      import tensorflow_addons
  except ImportError as error:
    raise config_lib.UserError(
      f"{wanted_by} needs tensorflow-addons, which cannot be imported ({error}).",
      _remedy(wanted_by),
    ) from error
  return tensorflow_addons
