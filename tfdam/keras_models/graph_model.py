"""A Functional or Sequential model, whose parts are found in its graph."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import sites as sites_lib
from tfdam.keras_models import finding, layers, stretches, versions
from tfdam.keras_models import program as program_lib


class GraphModel:
  """Taps, sites and logits found in a graph; same interface as tapped_model.Tapped.

  Attributes:
    model: the Keras model, of Keras 2 or 3.
    taps: every layer that can be a tap.
    usual_taps: the useful taps, in network order.
    left_out: {layer: why it is not a site}.
    how_logits: where logits are taken, as a phrase.
    num_noise: random numbers per image that a call takes: 0.
  """

  num_noise = 0

  def __init__(self, model: Any, outputs: str):
    """Finds taps, sites and logits.

    Args:
      model: a model with a graph.
      outputs: as for `network.Network`.

    Raises:
      config.UserError: the model has several inputs or outputs, is recurrent, or has
        channels first.
    """
    _check(model)
    self.model, self._outputs = model, outputs
    self._program = program_lib.read(model)
    self._logits = (
      finding.Logits(self._program.output, None, "the output as it is")
      if outputs != "auto" else finding.find_logits(self._program)
    )  # fmt: skip
    self.how_logits = self._logits.how
    found = finding.find(self._program)
    self.left_out = found.left_out
    self._walk = stretches.Stretches(self._program, found.places, self._logits)
    self.usual_taps = finding.tap_names(self._program, self._logits.output)
    self._numbers = {
      one.name: one.writes[0] for one in self._program.operations if finding.is_tap(one)
    }
    self.taps = tuple(self._numbers)

  @property
  def input_shape(self) -> tuple[int | None, ...]:
    """(H, W, C); None where any size is allowed."""
    return tuple(versions.graph(self.model).inputs[0].shape[1:])

  @property
  def output_shape(self) -> tuple[int | None, ...]:
    """(classes,) or (H, W, classes); None where a size depends on the images."""
    return tuple(versions.graph(self.model).outputs[0].shape[1:])

  @property
  def scales_pixels(self) -> bool:
    """Whether the model begins with layers that scale pixels."""
    return finding.begins_with_scaling(self._program)

  def forward(
    self, images: tf.Tensor, training: bool, noise: None, taps: Collection[str]
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns (logits, {tap: activations}) for images in the model's own format."""
    numbers = {tap: self._numbers[tap] for tap in taps}
    return self._walk.forward(images, training, numbers)

  def tap_shape(self, tap: str) -> tuple[int | None, ...]:
    """The shape of a tap's activations without the batch axis."""
    number = self._numbers[tap]
    one = next(o for o in self._program.operations if number in o.writes)
    return one.shapes[0][1:]

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """The sites, in network order."""
    return self._walk.sites()

  def matching_sites(self, compiled: bool) -> tuple[sites_lib.Site, ...]:
    """The sites for matching, faster with many batches; see stretches.py."""
    return self._walk.stretches(compiled)

  def logits_from(self, state: sites_lib.State, images: tf.Tensor) -> tf.Tensor:
    """The logits, from the state after the last site."""
    return self._walk.logits_from(state)

  def copied(self) -> GraphModel:
    """A GraphModel of a copy of the model, with weights of its own."""
    copy = layers.copied(self.model)
    layers.set_weights(copy, self.model.get_weights())
    return GraphModel(copy, self._outputs)


def _check(model: Any) -> None:
  """Raises config.UserError for a graph that cannot be walked through."""
  found = versions.graph(model)
  inputs, outputs = versions.ends(found)
  for word, ends in (("inputs", inputs), ("outputs", outputs)):
    if len(ends) != 1:
      raise config_lib.UserError(
        f"{layers.title(model)} has {len(ends)} {word}; expected one. Make a model of one"
        " with keras.Model(model.inputs[0], model.outputs[0])."
      )
  shape = tuple(found.inputs[0].shape)
  if len(shape) != 4:
    raise config_lib.UserError(
      f"{layers.title(model)} takes {shape}; expected images, [batch, height, width,"
      " channels]."
    )
  layers.check(model)
