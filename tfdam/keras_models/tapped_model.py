"""A model that says itself where its taps and sites are (protocol.py)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import protocol
from tfdam import sites as sites_lib
from tfdam.keras_models import layers, tapped_trial, versions

PAGE = "docs/own-model.md"
# What a size that is open is tried with.
_SIDE = 64
# The protocol's members, and what mends it where one is missing.
_MEMBERS = {
  "TAPS": "the names of the activations that its calls return, a tuple",
  "sites": "sites(), which returns a (name, layer, advance) for each layer to match",
  "logits_from": "logits_from(state, images), the logits after the last site",
}


class Tapped:
  """Taps, sites and logits as a model shows them; as graph_model.py finds them.

  Attributes:
    model: of Keras 2 or 3; a protocol.TappedModel.
    taps: those that its calls return.
    usual_taps: the same.
    left_out: {layer: why it is no site}.
    how_logits: where logits are taken.
    num_noise: random numbers an image that a call takes, for dropout.
    scales_pixels: unknown, so False.
  """

  how_logits = "the 'logits' that its call returns"
  scales_pixels = False

  def __init__(self, model: Any):
    """Finds out what the model says; see `tried`."""
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
    if len(self.output_shape) == 3:  # what labels pixels does so in images of any size
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
    """(logits, {tap: activations}) of images as the model takes them."""
    output = self._call(images, training, noise)
    return output["logits"], {tap: output["taps"][tap] for tap in taps}

  def tap_shape(self, tap: str) -> tuple[int | None, ...]:
    """Of a tap's activations without the batch; None where it depends on the image."""
    return self._tap_shapes[tap]

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """In network order."""
    return tuple(sites_lib.Site(*site) for site in self.model.sites())

  def matching_sites(self, compiled: bool) -> tuple[sites_lib.Site, ...]:
    """The same: what its model gives is walked as it is."""
    del compiled
    return self.sites()

  def logits_from(self, state: sites_lib.State, images: tf.Tensor) -> tf.Tensor:
    """From the state after the last site."""
    return self.model.logits_from(state, images)

  def copied(self) -> Tapped:
    """The same of a copy of the model, with weights of its own."""
    return Tapped(_copied(self.model))

  def _call(self, images: tf.Tensor, training: bool, noise: tf.Tensor | None) -> Any:
    options: dict[str, Any] = {"training": training} if self._takes_training else {}
    if noise is not None:
      options["noise"] = noise
    return self.model(images, **options)


def tried(model: Any) -> Tapped:
  """Takes a model whose `call` is its own, once it has proved to meet the protocol.

  On one image, which costs some five forward passes; the model stays as it is.

  Raises:
    config.UserError: the model has no such members, or half of them; or they contradict
      what it computes.
  """
  title = layers.title(model)
  missing = [name for name in _MEMBERS if not hasattr(model, name)]
  if len(missing) == len(_MEMBERS):
    raise config_lib.UserError(
      f"{title} has a `call` of its own, so that nobody sees its layers; expected a"
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
  """A copy of the model, built and with its weights."""
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
  """The shape, without the batch, that a model was built with; () before that."""
  shape = (model.get_build_config() or {}).get("input_shape")
  return tuple(shape[1:]) if isinstance(shape, (tuple, list, tf.TensorShape)) else ()


def _image_shape(shape: tuple[int | None, ...]) -> list[int]:
  """[1, H, W, C]."""
  return [1, *(size or _SIDE for size in shape)]


def _holds_layers(layer: Any) -> bool:
  return bool(list(layer._flatten_layers(include_self=False)))
