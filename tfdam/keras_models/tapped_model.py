"""A model that states its own taps and sites (protocol.py)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import protocol
from tfdam import sites as sites_lib
from tfdam.keras_models import layers, tapped_trial, versions

PAGE = "docs/subclassed-model.md"
# The side, in pixels, of the test image where the model's size is open.
_SIDE = 64
# {member of the protocol: what to add if it is missing}.
_MEMBERS = {
  "TAPS": "the names of the activations that its calls return, a tuple",
  "sites": "sites(), which returns a (name, layer, advance) for each layer to match",
  "logits_from": "logits_from(state, images), the logits after the last site",
}


class Tapped:
  """Taps, sites and logits from a model's own methods; see graph_model for those found.

  Attributes:
    model: a protocol.TappedModel of Keras 2 or 3.
    taps: the taps that its calls return.
    usual_taps: the same as `taps`.
    left_out: {layer: why it is not a site}.
    how_logits: where logits are taken, as a phrase.
    num_noise: random numbers per image that a call takes, for dropout.
    scales_pixels: False, since it is not known.
  """

  how_logits = "the 'logits' that its call returns"
  scales_pixels = False

  def __init__(self, model: Any):
    """Reads the model's members and shapes; `tried` checks them first."""
    self.model: protocol.TappedModel | Any = model
    self.taps = self.usual_taps = tuple(model.TAPS)
    self.num_noise = getattr(model, "num_noise", 0)
    self._takes_training = versions.takes_training(model)
    shape = _built_on(model)
    output = self._call(tf.zeros(_image_shape(shape)), False, None)
    self._tap_shapes = {
      tap: tuple(found.shape[1:]) for tap, found in output["taps"].items()
    }
    self.output_shape = tuple(output["logits"].shape[1:])
    self.input_shape = shape
    if len(self.output_shape) == 3:  # Networks that label pixels take images of any size.
      self.input_shape = (None, None, shape[-1])
      self.output_shape = (None, None, self.output_shape[-1])
      self._tap_shapes = {
        tap: (None, None, found[-1]) if len(found) == 3 else found
        for tap, found in self._tap_shapes.items()
      }
    sites = {id(site.layer) for site in self.sites()}
    self.left_out = {
      layer.name: "its model's sites() leaves it out"
      for layer in layers.inside(model)
      if layer.weights and id(layer) not in sites and not _holds_layers(layer)
    }

  def forward(
    self, images: tf.Tensor, training: bool, noise: tf.Tensor | None, taps: Collection[str]
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns (logits, {tap: activations}) for images in the model's own format."""
    output = self._call(images, training, noise)
    return output["logits"], {tap: output["taps"][tap] for tap in taps}

  def tap_shape(self, tap: str) -> tuple[int | None, ...]:
    """The shape of a tap's activations without the batch axis; None where it varies."""
    return self._tap_shapes[tap]

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """The sites, in network order."""
    return tuple(sites_lib.Site(*site) for site in self.model.sites())

  def matching_sites(self, compiled: bool) -> tuple[sites_lib.Site, ...]:
    """The same as `sites`: a model's own sites are not compiled."""
    del compiled
    return self.sites()

  def logits_from(self, state: sites_lib.State, images: tf.Tensor) -> tf.Tensor:
    """The logits, from the state after the last site."""
    return self.model.logits_from(state, images)

  def copied(self) -> Tapped:
    """A Tapped of a copy of the model, with weights of its own."""
    return Tapped(_copied(self.model))

  def _call(self, images: tf.Tensor, training: bool, noise: tf.Tensor | None) -> Any:
    options: dict[str, Any] = {"training": training} if self._takes_training else {}
    if noise is not None:
      options["noise"] = noise
    return self.model(images, **options)


def tried(model: Any) -> Tapped:
  """Checks that a model with its own `call` meets the protocol, and wraps it.

  The check runs about five forward passes on one image. The model is not changed.

  Raises:
    config.UserError: the model lacks members of the protocol, or they contradict what it
      computes.
  """
  title = layers.title(model)
  missing = [name for name in _MEMBERS if not hasattr(model, name)]
  if len(missing) == len(_MEMBERS):
    raise config_lib.UserError(
      f"{title} has a `call` of its own, so tfdam cannot find its layers; expected a"
      " Functional or Sequential model, or one with TAPS, sites() and logits_from()."
      f" Build it with keras.Model(inputs, outputs), or see {PAGE}."
    )
  if missing:
    present = [name for name in _MEMBERS if name not in missing]
    remedies = [_MEMBERS[name] for name in missing]
    raise config_lib.UserError(
      f"{title} has {' and '.join(present)}, but no {' and no '.join(missing)}; expected"
      f" all of {', '.join(_MEMBERS)}. Add {'; and '.join(remedies)} ({PAGE})."
    )
  layers.check(model)
  shape = _built_on(model)
  if not shape or not model.weights:
    raise config_lib.UserError(
      f"{title} has not seen an image: its layers have no weights yet. Call it on one."
    )
  if len(shape) != 3 or not shape[-1]:
    raise config_lib.UserError(
      f"{title} was built with {shape} without the batch; expected images, (height, width,"
      " channels). Call it on one."
    )
  image = tf.random.stateless_uniform(_image_shape(shape), (0, 0))
  tapped_trial.run(model, _copied(model), image, versions.takes_training(model), PAGE)
  return Tapped(model)


def _copied(model: Any) -> Any:
  """A built copy of the model with the same weights."""
  copy = layers.copied(model)
  copy(tf.zeros(_image_shape(_built_on(model))))
  try:
    layers.set_weights(copy, model.get_weights())
  except ValueError as error:
    raise config_lib.UserError(
      f"A copy of {layers.title(model)} from its configuration has other weights"
      f" ({str(error).splitlines()[0]}). Give it a get_config with every argument of its"
      f" constructor ({PAGE})."
    ) from error
  return copy


def _built_on(model: Any) -> tuple[int | None, ...]:
  """The shape, without the batch axis, that a model was built with; () if not built."""
  shape = (model.get_build_config() or {}).get("input_shape")
  return tuple(shape[1:]) if isinstance(shape, (tuple, list, tf.TensorShape)) else ()


def _image_shape(shape: tuple[int | None, ...]) -> list[int]:
  """The shape of a test image, [1, H, W, C]."""
  return [1, *(size or _SIDE for size in shape)]


def _holds_layers(layer: Any) -> bool:
  return bool(list(layer._flatten_layers(include_self=False)))
