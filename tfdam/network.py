"""Wraps any Keras model for matching, adaptation, scoring and export."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Union

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import sites as sites_lib
from tfdam.keras_models import graph_model, layers, tapped_model, versions

_OUTPUTS = ("auto", "logits", "probabilities")
# Taps, sites and logits come from a graph, or from the model's own methods.
_Inside = Union[graph_model.GraphModel, tapped_model.Tapped]


class Expects(NamedTuple):
  """How to prepare images for a network: (pixels * scale - mean) / deviation.

  Pixels are from 0 to 255. A network that begins with Rescaling or Normalization layers
  does not need this.

  Attributes:
    scale: factor of pixels, such as 1 / 255.
    mean: one number, or one per channel, subtracted from scaled pixels.
    deviation: one number, or one per channel, which divides the result.
    channel_order: "rgb" or "bgr".
  """

  scale: float = 1.0
  mean: float | Sequence[float] = 0.0
  deviation: float | Sequence[float] = 1.0
  channel_order: str = "rgb"

  def check(self, channels: int) -> None:
    """Raises config.UserError for numbers with which images cannot be prepared."""
    if self.channel_order not in ("rgb", "bgr"):
      raise config_lib.UserError(
        f"Expects.channel_order is {self.channel_order!r}; expected 'rgb' or 'bgr'."
      )
    for name in ("scale", "mean", "deviation"):
      values = np.ravel(np.asarray(getattr(self, name), np.float64))
      sizes = (1,) if name == "scale" else (1, channels)
      if len(values) not in sizes or not np.isfinite(values).all():
        raise config_lib.UserError(
          f"Expects.{name} is {getattr(self, name)}; expected a finite number"
          + (f", or {channels} of them, one per channel." if name != "scale" else ".")
        )
      if name != "mean" and not values.all():
        raise config_lib.UserError(f"Expects.{name} is 0, which leaves nothing of images.")

  def prepared(self, pixels: tf.Tensor) -> tf.Tensor:
    """Turns pixels [..., C] from 0 to 255 into the network's input, float32 [..., C]."""
    pixels = tf.cast(pixels, tf.float32)
    if self.channel_order == "bgr":
      pixels = pixels[..., ::-1]
    mean, deviation = (tf.constant(v, tf.float32) for v in (self.mean, self.deviation))
    return (pixels * self.scale - mean) / deviation

  def prepared_units(self, images: tf.Tensor) -> tf.Tensor:
    """Turns images [..., C] from 0 to 1 into the network's input, up to rounding.

    If the network takes images from 0 to 1, they are returned unchanged, so that it gets
    the same bits as a network of tfdam.
    """
    if self.channel_order == "bgr":
      images = images[..., ::-1]
    deviation = np.asarray(self.deviation, np.float64)
    factor = np.broadcast_to(255.0 * self.scale, deviation.shape) / deviation
    shift = np.asarray(self.mean, np.float64) / deviation
    if not np.allclose(factor, 1.0, rtol=1e-7, atol=0.0):
      images = images * tf.constant(factor, tf.float32)
    return images - tf.constant(shift, tf.float32) if shift.any() else images


class Network(tf.Module):
  """A Keras model with its taps and sites.

  In a Functional or Sequential model they are found automatically; any other model states
  them itself, as a `TappedModel`. The model is not changed: matching and adaptation change
  copies of it.

  Attributes:
    model: the Keras model, of Keras 2 or 3.
    TAPS: names of the taps that calls return, in network order.
    num_noise: random numbers per image that dropout takes; 0 unless the model states it.
    left_out: {layer: why Gaussian matching cannot change it}.
  """

  def __init__(
    self,
    model: Any,
    outputs: str = "auto",
    enlarge: bool = False,
    expects: Expects | None = None,
    name: str = "network",
    unit_images: bool = False,
  ):
    """Finds the model's taps and sites.

    Args:
      model: a built tf.keras or Keras 3 model with one input, [B, H, W, C], and one output,
        [B, classes] or [B, H, W, classes]; or a `TappedModel`, which is tested on an image.
      outputs: "logits"; "probabilities", whose logarithms are the logits; or "auto", which
        skips a softmax at the end and takes any other output for logits.
      enlarge: whether to enlarge score maps bilinearly to the images' size.
      expects: how to prepare pixels of image files; None if they need no preparation.
      name: the network's name; the model keeps its own.
      unit_images: whether calls take images from 0 to 1, as in runs, and prepare them by
        `expects`; if False, calls take images in the model's own format.

    Raises:
      config.UserError: the model has neither a graph nor the members of a `TappedModel`;
        its members contradict what it computes; it has several inputs or outputs, is
        recurrent, or has channels first.
    """
    super().__init__(name=name)
    if isinstance(model, (str, os.PathLike)):
      raise config_lib.UserError(
        f"model is a path, {os.fspath(model)!r}; expected a Keras model. Load it with"
        " tf.keras.models.load_model, or keras.models.load_model for a file of Keras 3."
      )
    if outputs not in _OUTPUTS:
      raise config_lib.UserError(
        f"outputs is {outputs!r}; expected one of {', '.join(_OUTPUTS)}."
        f"{config_lib.nearest(str(outputs), _OUTPUTS)}"
      )
    # In a holder that TensorFlow does not track: Keras' own tracking uses other names.
    # `view` and `clone` pass an analysed model.
    is_found = isinstance(model, (graph_model.GraphModel, tapped_model.Tapped))
    self._held = _Held(model if is_found else _look_inside(model, outputs))
    if expects is not None:
      expects.check(self.input_shape[-1] or 1)
    self._outputs, self._enlarge, self.expects = outputs, enlarge, expects
    self._unit_images = unit_images
    self.num_noise = self._inside.num_noise
    self.left_out = self._inside.left_out
    self.TAPS = self._inside.usual_taps
    # The variables in checkpoints, in the order of the model's weights.
    self._kept = [versions.variable(v) for v in self.model.weights]
    self.trainable = True

  @property
  def model(self) -> Any:
    return self._inside.model

  @property
  def _inside(self) -> _Inside:
    return self._held.inside

  @property
  def input_shape(self) -> tuple[int | None, ...]:
    """(H, W, C) of the model's images; None where any size is allowed."""
    return self._inside.input_shape

  @property
  def output_shape(self) -> tuple[int | None, ...]:
    """(classes,) or (H, W, classes) of the scores; None where a size varies."""
    return self._inside.output_shape

  @property
  def prepares(self) -> bool:
    """Whether it is known how to prepare pixels: by `expects`, or by the model's layers."""
    return self.expects is not None or self.scales_pixels

  @property
  def scales_pixels(self) -> bool:
    """Whether the model begins with layers that scale pixels."""
    return self._inside.scales_pixels

  @property
  def how_logits(self) -> str:
    """Where logits are taken, as a phrase for reports."""
    return self._inside.how_logits

  @property
  def all_taps(self) -> tuple[str, ...]:
    """Every layer that can be a tap; `TAPS` has the useful ones."""
    return self._inside.taps

  def __call__(
    self, images: tf.Tensor, training: bool = False, noise: tf.Tensor | None = None
  ) -> dict[str, Any]:
    """Runs the model.

    Args:
      images: float [B, H, W, C], in the model's own format, or from 0 to 1 (`unit_images`).
      training: whether batch norms use the batch's own moments, and update the moving ones.
        Dropout layers stay off.
      noise: float32 [B, num_noise], the random numbers for dropout in a model with
        `num_noise`; None for no dropout.

    Returns:
      {"logits": float32 [B, classes] or [B, H, W, classes], "taps": {tap: float [B, ...]}}.
    """
    logits, taps = self._inside.forward(self._taken(images), training, noise, self.TAPS)
    return {"logits": self._finished(logits, images), "taps": taps}

  def activations(self, images: tf.Tensor, taps: Iterable[str]) -> dict[str, tf.Tensor]:
    """Computes only these taps, in inference: {tap: float [B, ...]}."""
    return self._inside.forward(self._taken(images), False, None, [*taps])[1]

  def tap_shape(self, tap: str) -> tuple[int | None, ...]:
    """The shape of a tap's activations without the batch axis; None where it varies."""
    return self._inside.tap_shape(tap)

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """Every layer that takes a scale and a shift, in network order."""
    return self._from_images(self._inside.sites())

  def matching_sites(self, compiled: bool) -> tuple[sites_lib.Site, ...]:
    """The sites in a form for matching, which walks many batches through them.

    Args:
      compiled: whether to compile the walk, which pays off for more than a few batches.
    """
    return self._from_images(self._inside.matching_sites(compiled))

  def _from_images(self, sites: tuple[sites_lib.Site, ...]) -> tuple[sites_lib.Site, ...]:
    """Makes the first site take images in the format of calls."""
    if not self._unit_images or not sites:
      return sites

    def advance(state: sites_lib.State) -> sites_lib.State:
      return sites[0].advance({**state, "output": self._taken(state["output"])})

    return (sites[0]._replace(advance=advance), *sites[1:])

  def logits_from(self, state: sites_lib.State, images: tf.Tensor) -> tf.Tensor:
    """The logits of `images`, from the state after their last site."""
    return self._finished(self._inside.logits_from(state, images), images)

  def view(self, taps: Sequence[str]) -> Network:
    """A network with the same model, whose calls return only these taps.

    Raises:
      config.UserError: there is no such layer, or its output is no activation.
    """
    for tap in taps:
      if tap not in self.all_taps:
        raise config_lib.UserError(
          f"Tap '{tap}' is not in {self.model.name}, where {len(self.all_taps)} layers can"
          f" be one ({_some(self.all_taps)}).{config_lib.nearest(tap, self.all_taps)}"
        )
    made = self._around(self._inside, self.name)
    made.TAPS = tuple(name for name in self.all_taps if name in taps)
    return made

  def clone(self, name: str = "") -> Network:
    """An independent copy with the same weights.

    Raises:
      config.UserError: Keras cannot copy the model from its configuration.
    """
    made = self._around(self._inside.copied(), name or self.name)
    made.TAPS = self.TAPS
    return made

  @property
  def variables(self) -> list[tf.Variable]:
    return list(self._kept)

  @property
  def trainable_variables(self) -> list[tf.Variable]:
    if not self.trainable:
      return []
    return [versions.variable(v) for v in self.model.trainable_variables]

  @property
  def non_trainable_variables(self) -> list[tf.Variable]:
    moving = {v.ref() for v in self.trainable_variables}
    return [v for v in self._kept if v.ref() not in moving]

  def get_weights(self) -> list[np.ndarray]:
    return self.model.get_weights()

  def set_weights(self, weights: Sequence[np.ndarray]) -> None:
    layers.set_weights(self.model, weights)

  @property
  def submodules(self) -> tuple[Any, ...]:
    """The model's layers, including those of nested models."""
    return tuple(layers.inside(self.model))

  def _around(self, inside: _Inside, name: str) -> Network:
    """Another network, with this one's settings."""
    return Network(
      inside, self._outputs, self._enlarge, self.expects, name, self._unit_images
    )

  def _taken(self, images: tf.Tensor) -> tf.Tensor:
    """Converts the images of a call to the model's own format."""
    if not self._unit_images:
      return images
    return (self.expects or Expects()).prepared_units(images)

  def _finished(self, logits: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Converts scores to float32 logits, enlarged to the images' size if configured."""
    logits = tf.cast(logits, tf.float32)
    if self._outputs == "probabilities":
      logits = tf.math.log(tf.maximum(logits, 1e-7))
    if self._enlarge:
      logits = tf.image.resize(logits, tf.shape(images)[1:3])
    return logits


class _Held:
  """Hides a model from TensorFlow's tracking."""

  def __init__(self, inside: _Inside):
    self.inside = inside


def _look_inside(model: Any, outputs: str) -> _Inside:
  """Analyses a model; raises config.UserError if it is not a usable Keras model."""
  if not versions.version(model) or not hasattr(model, "layers"):
    raise config_lib.UserError(
      f"model is {type(model).__name__}; expected a Keras model (tf.keras or Keras 3)."
    )
  if versions.graph(model) is not None:
    return graph_model.GraphModel(model, outputs)
  if versions.kind_name(model) == "Sequential":
    raise config_lib.UserError(
      f"{layers.title(model)} has not seen an input: its layers have no shapes yet. Begin"
      " it with a keras.Input, or call it on one image."
    )
  return tapped_model.tried(model)


def _some(names: Iterable[str], count: int = 6) -> str:
  every = list(names)
  shown = ", ".join(every[:count])
  return f"{shown}, ..." if len(every) > count else shown


def auto_taps(names: Sequence[str]) -> list[str]:
  """The taps for "auto": four, spread evenly over depth, including the last."""
  count = min(config_lib.NUM_AUTO, len(names))
  return [names[(i + 1) * len(names) // count - 1] for i in range(count)]
