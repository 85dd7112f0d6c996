"""Checks on one image whether a model's taps and sites match what it computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import sites as sites_lib
from tfdam.keras_models import layers
from tfdam.matching import folding

# Tolerances relative to the largest value, for rounding in another order in float32 and in
# half precision. Real mistakes are larger.
_ROUNDING = 1e-3
_HALF_ROUNDING = 0.1
# A scale that no layer has by chance.
_ALPHA = 1.5


def run(model: Any, copy: Any, image: tf.Tensor, takes_training: bool, page: str) -> None:
  """Raises config.UserError for a model that does not meet the protocol.

  Args:
    model: a built model with the protocol's members; not changed.
    copy: a copy with the same weights; changed.
    image: float32 [1, H, W, C].
    takes_training: whether the model's calls take `training`.
    page: the page that describes the protocol, for messages.
  """
  trial = _Trial(layers.title(model), page)
  inference = {"training": False} if takes_training else {}
  logits = trial.check_call(model, model(image, **inference))
  sites = trial.check_sites(model)
  names = [site.name for site in trial.check_sites(copy)]
  for site, name in zip(sites, names):
    if site.name != name:
      trial.fail(
        f"has a site '{site.name}', which its copy calls '{name}'",
        "Give the layer a name of its own",
      )
  trial.check_same(
    "a copy of it from its configuration", copy(image, **inference)["logits"], logits,
    "Give it a get_config with every argument of its constructor, and have nothing else"
    " decide what it computes",
  )  # fmt: skip
  trial.check_walk(copy, image, logits)


class _Trial:
  """The checks of one model, and the form of their messages."""

  def __init__(self, title: str, page: str):
    self._title, self._page = title, page

  def fail(self, what: str, remedy: str) -> None:
    """Raises config.UserError."""
    raise config_lib.UserError(f"{self._title} {what}. {remedy} ({self._page}).")

  def check_call(self, model: Any, output: Any) -> tf.Tensor:
    """Checks what a call returned; returns its logits."""
    wanted = "{'logits': scores, 'taps': {name: activations}}"
    if not isinstance(output, Mapping) or not {"logits", "taps"} <= set(output):
      came = _kind(output)
      self.fail(f"gives {came}; expected {wanted}", f"Have its call return {wanted}")
    logits, taps = output["logits"], output["taps"]
    if not isinstance(taps, Mapping) or set(taps) != set(model.TAPS):
      came = f"taps {', '.join(taps)}" if isinstance(taps, Mapping) else _kind(taps)
      self.fail(
        f"gives {came}; expected those of its TAPS, {', '.join(model.TAPS)}",
        "Have its call and its TAPS name the same",
      )
    if not _is_float(logits) or logits.shape.rank not in (2, 4):
      self.fail(
        f"gives logits that are {_kind(logits)}; expected float [batch, classes] or [batch,"
        " height, width, classes]",
        "Have its call return scores before a softmax",
      )
    for name, tap in taps.items():
      if not _is_float(tap) or tap.shape.rank < 2:
        self.fail(
          f"has a tap '{name}' that is {_kind(tap)}; expected float [batch, ..., channels]",
          "Have its call return activations",
        )
    return logits

  def check_sites(self, model: Any) -> list[sites_lib.Site]:
    """Checks that each site can take a scale and a shift; returns the sites."""
    form = "Have sites() return (name, layer, advance) for each layer to match"
    found = []
    for one in model.sites():
      is_triple = isinstance(one, tuple) and len(one) == 3
      is_site = isinstance(one, sites_lib.Site) or is_triple
      if not is_site or not callable(one[2]):
        self.fail(f"has a site that is {_kind(one)}", form)
      found.append(sites_lib.Site(*one))
    names = [site.name for site in found]
    if not names:
      self.fail("has no sites; expected one or more", form)
    for site in found:
      if names.count(site.name) > 1:
        self.fail(f"has {names.count(site.name)} sites '{site.name}'", "Name each its own")
      if folding.kind(site.layer) not in folding.KINDS or not folding.can_fold(site.layer):
        self.fail(
          f"has a site '{site.name}' at a {type(site.layer).__name__}, which takes no scale"
          f" and shift; expected a layer with a bias of these: {', '.join(folding.KINDS)}",
          "Take the layer, or the norm after it, whose weights tfdam knows",
        )
    return found

  def check_same(self, what: str, found: tf.Tensor, wanted: tf.Tensor, remedy: str) -> None:
    """Raises config.UserError for tensors that differ by more than rounding."""
    if found.shape != wanted.shape:
      self.fail(
        f"and {what} give scores of other shapes, {tuple(wanted.shape)} and"
        f" {tuple(found.shape)}",
        remedy,
      )
    difference, bound = _difference(found, wanted)
    if not difference <= bound:
      self.fail(f"and {what} differ, by up to {difference:.2g}", remedy)

  def check_walk(self, copy: Any, image: tf.Tensor, logits: tf.Tensor) -> None:
    """Checks that the walk equals the call, and that layers act on their sites' outputs."""
    state: sites_lib.State = {"output": image}
    for site in self.check_sites(copy):
      before = self._advanced(site, state)
      channels = before["output"].shape[-1]
      # Larger than any output, so that a non-linearity after the layer cannot hide it.
      shift = 1.0 + float(tf.reduce_max(tf.abs(tf.cast(before["output"], tf.float32))))
      kept = site.layer.get_weights()
      folding.fold(site.layer, tf.fill([channels], _ALPHA), tf.fill([channels], shift))
      after = self._advanced(site, state)
      site.layer.set_weights(kept)
      for entry, wanted in before.items():
        if entry == "output":
          wanted = _ALPHA * tf.cast(wanted, tf.float32) + shift
        difference, bound = _difference(after[entry], wanted)
        if difference <= bound:
          continue
        if entry == "output":
          self.fail(
            f"has a site '{site.name}' whose 'output' is not what its layer gives: a scale"
            f" and a shift of the layer's weights do not scale and shift it",
            "Have its advance return the layer's output, before the non-linearity",
          )
        self.fail(
          f"has a site '{site.name}' that puts '{entry}' into the state, which depends on"
          " the site's own layer; matching changes 'output' alone",
          "Keep only what stands before the layer, and have the next advance do the rest",
        )
      state = before
    self.check_same(
      "the walk along its sites", copy.logits_from(state, image), logits,
      "Have each advance compute what its call does between two sites, in inference",
    )  # fmt: skip

  def _advanced(self, site: sites_lib.Site, state: sites_lib.State) -> sites_lib.State:
    found = site.advance(dict(state))
    if not isinstance(found, Mapping) or not _is_float(found.get("output")):
      self.fail(
        f"has a site '{site.name}' whose advance gives {_kind(found)}; expected a state",
        "Have it return a dict with the layer's output as 'output', and what later sites"
        " need",
      )
    for entry, value in found.items():
      if not tf.is_tensor(value):
        self.fail(
          f"has a site '{site.name}' that puts {_kind(value)} into the state as '{entry}'",
          "Keep tensors alone there, which can wait on the disk",
        )
    return dict(found)


def _difference(found: tf.Tensor, wanted: tf.Tensor) -> tuple[float, float]:
  """Returns (largest difference, tolerance for rounding)."""
  is_half = found.dtype.size < 4 or wanted.dtype.size < 4
  found, wanted = tf.cast(found, tf.float32), tf.cast(wanted, tf.float32)
  largest = float(tf.reduce_max(tf.abs(wanted)))
  rounding = _HALF_ROUNDING if is_half else _ROUNDING
  return float(tf.reduce_max(tf.abs(found - wanted))), rounding * largest + 1e-6


def _is_float(value: Any) -> bool:
  return tf.is_tensor(value) and value.dtype.is_floating


def _kind(value: Any) -> str:
  """Describes a value in a few words, for messages."""
  if tf.is_tensor(value):
    return f"{value.dtype.name} {tuple(value.shape)}"
  if isinstance(value, Mapping):
    return f"a dict of {', '.join(map(str, value))}"
  return f"a {type(value).__name__}"
