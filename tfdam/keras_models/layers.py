"""A model's layers, and copies of a model of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdam import config as config_lib
from tfdam.keras_models import versions
from tfdam.matching import folding

_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM2D", "Bidirectional")


def title(model: Any) -> str:
  """How errors name a model."""
  return f"Model '{model.name}' ({type(model).__name__})"


def inside(model: Any) -> list[Any]:
  """The model's layers, including those inside nested models and layers."""
  if versions.graph(model) is None:
    return list(model._flatten_layers(include_self=False))
  found = []
  for layer in model.layers:
    found += inside(layer) if hasattr(layer, "layers") else [layer]
  return found


def check(model: Any) -> None:
  """Raises config.UserError for layers that tfdam does not support."""
  for layer in inside(model):
    kind = folding.kind(layer)
    if kind in _RECURRENT:
      raise config_lib.UserError(
        f"{title(model)} is recurrent ('{layer.name}', {kind}); expected a network that"
        " sees each image by itself."
      )
    if getattr(layer, "data_format", None) == "channels_first":
      raise config_lib.UserError(
        f"{title(model)} has channels first ('{layer.name}'); expected data_format"
        " 'channels_last' in every layer."
      )


def copied(model: Any) -> Any:
  """A model of the same class and configuration, with weights of its own.

  Raises:
    config.UserError: Keras cannot make a copy from the configuration.
  """
  classes = {type(layer).__name__: type(layer) for layer in [model, *inside(model)]}
  own = {name: kind for name, kind in classes.items() if not _is_kerass(kind)}
  try:
    with versions.custom_objects(model, own):
      return type(model).from_config(model.get_config())
  except Exception as error:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise config_lib.UserError(
      f"Model '{model.name}' cannot be copied from its configuration ({reason}). Give"
      f" {'it and ' if versions.graph(model) is None else ''}its own layers a get_config,"
      " and register them with keras.saving.register_keras_serializable()."
    ) from error


def set_weights(model: Any, weights: Sequence[np.ndarray]) -> None:
  """Sets weights as Keras does, and updates layers that compute with copies of them."""
  model.set_weights(weights)
  for layer in inside(model):
    if folding.kind(layer) == "Normalization":
      layer.finalize_state()  # Keras 3 computes with tensors derived from the weights.


def _is_kerass(kind: type) -> bool:
  return kind.__module__.partition(".")[0] in ("keras", "tf_keras")
