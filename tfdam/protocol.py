"""The interface of models that state their own taps and sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf

from tfdam import sites as sites_lib


class TappedModel(Protocol):
  """A Keras model with a `call` of its own that shows its activations and its sites.

  The networks of tfdam.models are such models. Any other subclass of tf.keras.Model or of
  Keras 3's Model is one if it has these members; it need not inherit from tfdam.
  docs/subclassed-model.md has an example.

  If a model's dropout takes its random numbers as an argument, the model also has
  `num_noise`, how many numbers it needs per image. Its calls then take `noise`, float32
  [B, num_noise], uniform in [0, 1), or None for no dropout.

  Attributes:
    TAPS: names of the activations that calls return, in network order.
  """

  @property
  def TAPS(self) -> Sequence[str]: ...  # noqa: N802

  def __call__(self, images: tf.Tensor, training: bool = False) -> Mapping[str, Any]:
    """Runs the model; the class defines it as `call`.

    Args:
      images: float32 [B, H, W, C], as the model was trained on them.
      training: whether batch norms use the batch's own moments, and update the moving ones.

    Returns:
      {"logits": float [B, classes] or [B, H, W, classes],
       "taps": {name in TAPS: float [B, ..., channels]}}.
    """
    ...

  def sites(self) -> Sequence[sites_lib.Site | tuple]:
    """Every layer that takes a scale and a shift, in network order, as `Site`s."""
    ...

  def logits_from(self, state: sites_lib.State, images: tf.Tensor) -> tf.Tensor:
    """The logits of a call.

    Args:
      state: what the last site's `advance` returned.
      images: float32 [B, H, W, C], where the walk began; for their size.

    Returns:
      float [B, classes] or [B, H, W, classes].
    """
    ...

  def get_config(self) -> dict[str, Any]:
    """The constructor's arguments, from which matching and adaptation make copies."""
    ...
