"""What matching, adaptation, scoring and export need of a network, of any Keras model."""

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
# Where taps, sites and logits come from: found in a graph, or said by the model itself.
_Inside = Union[graph_model.GraphModel, tapped_model.Tapped]


class Expects(NamedTuple):
  """What a network expects of its images, said once: (pixels * scale - mean) / deviation.

  Pixels are 0 to 255. A network that begins with Rescaling or Normalization layers needs
  none of it.

  Attributes:
    scale: factor of pixels, such as 1 / 255.
    mean: a number, or one a channel, after the factor.
    deviation: the same.
    channel_order: "rgb" or "bgr".
  """

  scale: float = 1.0
  mean: float | Sequence[float] = 0.0
  deviation: float | Sequence[float] = 1.0
  channel_order: str = "rgb"

  def check(self, channels: int) -> None:
    """Raises config.UserError for numbers that no image can be prepared with."""
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
          + (f", or {channels} of them, one a channel." if name != "scale" else ".")
        )
      if name != "mean" and not values.all():
        raise config_lib.UserError(f"Expects.{name} is 0, which leaves nothing of images.")

  def prepared(self, pixels: tf.Tensor) -> tf.Tensor:
    """float32 [..., C] as the network takes it, of pixels [..., C] from 0 to 255."""
    pixels = tf.cast(pixels, tf.float32)
    if self.channel_order == "bgr":
      pixels = pixels[..., ::-1]
    mean, deviation = (tf.constant(v, tf.float32) for v in (self.mean, self.deviation))
    return (pixels * self.scale - mean) / deviation

  def prepared_units(self, images: tf.Tensor) -> tf.Tensor:
    """The same of images [..., C] from 0 to 1, to rounding.

    Nothing is computed where a network takes these: it sees the bits that a network of ours
    would see.
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

  They are found in a Functional or Sequential model; any other says them itself, as a
  `TappedModel`. The model stays as it is: matching and adaptation change copies of it.

  Attributes:
    model: the Keras model, of Keras 2 or 3.
    TAPS: names of layers after which activations are looked at, in network order.
    num_noise: random numbers an image that dropout takes: 0 but for a model that says so.
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
    """Finds out what a model consists of.

    Args:
      model: a built tf.keras or Keras 3 model of one input, [B, H, W, C], and one output,
        [B, classes] or [B, H, W, classes]; or a `TappedModel`, which is tried on one image.
      outputs: "logits", "probabilities" (their logarithms are the logits), or "auto": a
        softmax at the end is left out, any other output is taken for logits.
      enlarge: whether score maps are enlarged to the images' size, bilinearly.
      expects: how pixels are prepared where images are files; None: not at all.
      name: a name of its own; the model keeps the model's.
      unit_images: whether calls take images from 0 to 1, as runs feed them to any network,
        and prepare them by what `expects` says of pixels; else images as the model takes
        them.

    Raises:
      config.UserError: a model with neither a graph nor the members of a `TappedModel`, or
        whose members contradict what it computes; one of several inputs or outputs,
        recurrent, or with channels first.
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
    # In a holder that TensorFlow does not look into: Keras' own tracking has other names.
    # `view` and `clone` hand over what is found out already.
    is_found = isinstance(model, (graph_model.GraphModel, tapped_model.Tapped))
    self._held = _Held(model if is_found else _look_inside(model, outputs))
    if expects is not None:
      expects.check(self.input_shape[-1] or 1)
    self._outputs, self._enlarge, self.expects = outputs, enlarge, expects
    self._unit_images = unit_images
    self.num_noise = self._inside.num_noise
    self.left_out = self._inside.left_out
    self.TAPS = self._inside.usual_taps
    # What checkpoints hold, in the order of the model's weights.
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
    """(H, W, C) of the images that the model takes; None where it takes any."""
    return self._inside.input_shape

  @property
  def output_shape(self) -> tuple[int | None, ...]:
    """(classes,) or (H, W, classes) of the scores; None where it depends on the images."""
    return self._inside.output_shape

  @property
  def prepares(self) -> bool:
    """Whether pixels from 0 to 255 become what the model takes: said, or by its layers."""
    return self.expects is not None or self.scales_pixels

  @property
  def scales_pixels(self) -> bool:
    """Whether the model begins with layers that scale pixels."""
    return self._inside.scales_pixels

  @property
  def how_logits(self) -> str:
    """Where logits are taken, for reports."""
    return self._inside.how_logits

  @property
  def all_taps(self) -> tuple[str, ...]:
    """Every layer that can be a tap; `TAPS` are those worth a look."""
    return self._inside.taps

  def __call__(
    self, images: tf.Tensor, training: bool = False, noise: tf.Tensor | None = None
  ) -> dict[str, Any]:
    """Runs the model.

    Args:
      images: float [B, H, W, C], as the model takes them, or from 0 to 1 (`unit_images`).
      training: whether batch norms use the batch's own moments, and update the moving ones;
        dropout stays out.
      noise: float32 [B, num_noise], what a model with `num_noise` drops by; None: nothing
        is dropped.

    Returns:
      {"logits": float32 [B, classes] or [B, H, W, classes], "taps": {tap: float [B, ...]}}.
    """
    logits, taps = self._inside.forward(self._taken(images), training, noise, self.TAPS)
    return {"logits": self._finished(logits, images), "taps": taps}

  def activations(self, images: tf.Tensor, taps: Iterable[str]) -> dict[str, tf.Tensor]:
    """{tap: float [B, ...]} in inference, of those taps alone."""
    return self._inside.forward(self._taken(images), False, None, [*taps])[1]

  def tap_shape(self, tap: str) -> tuple[int | None, ...]:
    """Of a tap's activations without the batch; None where it depends on the image."""
    return self._inside.tap_shape(tap)

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """Every layer that takes a scale and a shift, in network order."""
    return self._from_images(self._inside.sites())

  def matching_sites(self, compiled: bool) -> tuple[sites_lib.Site, ...]:
    """The same for matching, which walks through many batches.

    Args:
      compiled: worth its time for more than a few batches.
    """
    return self._from_images(self._inside.matching_sites(compiled))

  def _from_images(self, sites: tuple[sites_lib.Site, ...]) -> tuple[sites_lib.Site, ...]:
    """Sites of which the first takes images as calls do."""
    if not self._unit_images or not sites:
      return sites

    def advance(state: sites_lib.State) -> sites_lib.State:
      return sites[0].advance({**state, "output": self._taken(state["output"])})

    return (sites[0]._replace(advance=advance), *sites[1:])

  def logits_from(self, state: sites_lib.State, images: tf.Tensor) -> tf.Tensor:
    """The logits of `images`, from the state after their last site."""
    return self._finished(self._inside.logits_from(state, images), images)

  def view(self, taps: Sequence[str]) -> Network:
    """Another network of the same model, whose calls return these taps alone.

    Raises:
      config.UserError: no such layer, or one whose output is no activation.
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
    """A copy of its own, with the same weights.

    Raises:
      config.UserError: Keras cannot make one from the model's configuration.
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
    """The model's layers, those of nested models among them."""
    return tuple(layers.inside(self.model))

  def _around(self, inside: _Inside, name: str) -> Network:
    """Another network, with this one's settings."""
    return Network(
      inside, self._outputs, self._enlarge, self.expects, name, self._unit_images
    )

  def _taken(self, images: tf.Tensor) -> tf.Tensor:
    """What a call was given, as the model takes it."""
    if not self._unit_images:
      return images
    return (self.expects or Expects()).prepared_units(images)

  def _finished(self, logits: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """float32, of the images' size where that was asked for."""
    logits = tf.cast(logits, tf.float32)
    if self._outputs == "probabilities":
      logits = tf.math.log(tf.maximum(logits, 1e-7))
    if self._enlarge:
      logits = tf.image.resize(logits, tf.shape(images)[1:3])
    return logits


class _Held:
  """Keeps a model out of TensorFlow's sight."""

  def __init__(self, inside: _Inside):
    self.inside = inside


def _look_inside(model: Any, outputs: str) -> _Inside:
  """Raises config.UserError for what is no model that can be walked through."""
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
  """The taps that "auto" stands for: four, spread evenly over depth, with the last."""
  count = min(config_lib.NUM_AUTO, len(names))
  return [names[(i + 1) * len(names) // count - 1] for i in range(count)]
