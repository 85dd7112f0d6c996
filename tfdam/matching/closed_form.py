"""Gaussian i.i.d. matching of a network, site by site (Sec. 4.1)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import progress
from tfdam import sites as sites_lib
from tfdam.matching import folding, gaussian, site_walk, waiting

# Scale and shift of a site's output, float64 [channels] each.
_Affine = tuple[tf.Tensor, tf.Tensor]
# Takes activations, [B, ..., channels].
_Measure = Callable[[tf.Tensor], gaussian.Moments]


def match(
  source: Any,
  target: Any,
  source_images: Iterable[tf.Tensor] | None,
  target_images: Iterable[tf.Tensor],
  options: config_lib.Match,
) -> list[dict[str, Any]]:
  """Gives the target's sites the source's moments by folding scales and shifts into layers.

  With method "adabn", batch norms take the target's moments as their moving moments
  instead, and no other layer changes.

  Correcting a site changes the input of the next one, so the target's moments are measured
  site by site. Its activations are kept at the last site (in memory up to
  options.memory_mb, then on disk), so the whole walk costs one forward pass.

  Args:
    source: a network (network.py); not changed.
    target: a network of the same architecture; changed in place.
    source_images: batches of float32 [B, H, W, C]. If None, the moving moments of each
      batch norm stand for the source's, and no other site is matched.
    target_images: batches of the other domain.
    options: sites and bounds.

  Returns:
    One record per site: {"site", "channels", "dead_channels", "clipped_channels",
    "mean_scale"}.

  Raises:
    config.UserError: `options.sites` names a site that the network does not have, or there
      is nothing to match.
  """
  chosen = choose_sites(target, options)
  walk = site_walk.SiteWalk(target)
  source_moments: dict[str, gaussian.Moments] = {}
  if source_images is None:
    source_moments = _moving_moments(source, chosen)
    chosen = set(source_moments)
  elif options.method == "gaussian":
    source_walk = walk if walk.serves(source) else site_walk.SiteWalk(source)
    source_moments = _source_moments(source_walk, source_images, chosen)
  records = []
  sites = walk.sites()
  correction: _Affine | None = None
  with (
    waiting.WaitingStates(target_images, options.memory_mb) as states,
    progress.bar("gaussian", 0, len(sites), "sites") as shown,
  ):
    for i in range(len(sites)):
      if i == 1:  # The first pass has counted the batches.
        sites = walk.sites(len(states))
      site = sites[i]
      found: list[gaussian.Moments] = []
      is_chosen = site.name in chosen
      measure = walk.measure if is_chosen else None
      states.update(functools.partial(_advance, site, correction, measure, found))
      correction = None
      if is_chosen:
        moments = _merged(site, found)
        change = _correct(site, source_moments.get(site.name), moments, options)
        wanted = source_moments.get(site.name, moments)
        records.append(_record(site.name, change[0], wanted, moments, options))
        correction = None if site.waits_before else change
      shown.update(i + 1, {})
  _tell(records)
  return records


def _advance(
  site: sites_lib.Site,
  correction: _Affine | None,
  measure: _Measure | None,
  found: list[gaussian.Moments],
  state: sites_lib.State,
) -> sites_lib.State:
  """Moves one batch from the last site, with its correction applied, to this one.

  Args:
    site: where to move to.
    correction: the last site's scale and shift; None if it has none, or if the state is
      kept before that site's layer.
    measure: takes this site's moments; None if they are not needed.
    found: the batch's moments at this site are appended to it.
    state: the batch at the last site.
  """
  if correction is not None:
    state = {**state, "output": _applied(*correction, state["output"])}
  state = site.advance(state)
  if measure is not None:
    found.append(measure(state["output"]))
  return state


def _merged(site: sites_lib.Site, found: list[gaussian.Moments]) -> gaussian.Moments:
  """Moments of a site's output over all batches."""
  moments = functools.reduce(gaussian.merge, found)
  if site.waits_before:
    moments = moments.after(*folding.scale_and_shift(site.layer))
  return moments


def _correct(
  site: sites_lib.Site,
  wanted: gaussian.Moments | None,
  found: gaussian.Moments,
  options: config_lib.Match,
) -> _Affine:
  """Changes a site's layer; returns the scale and shift of its output.

  Args:
    wanted: the source's moments, for Eq. (2); None for AdaBN.
    found: the target's moments.
  """
  if wanted is None:
    return folding.adopt_moments(site.layer, found.mean, found.variance)
  alpha, beta = gaussian.affine(wanted, found, options.max_scale, options.min_variance)
  return folding.fold(site.layer, alpha, beta)


def choose_sites(
  model: Any, options: config_lib.Match, kind: str = "the network"
) -> set[str]:
  """The names of the sites to match.

  Args:
    kind: the network's name in MODELS, for the message.

  Raises:
    config.UserError: the network has no site that fits, or not one that was asked for.
  """
  sites = model.sites()
  if not sites:
    raise config_lib.UserError(
      f"No layer of {kind} takes a scale and a shift: there is nothing to match. Take a"
      " network with biases or norms, or leave matching out (match.enabled)."
    )
  fitting = [site.name for site in sites if _fits(site, options)]
  if not fitting:
    raise config_lib.UserError(
      f"match.method is 'adabn', but {kind} has no batch norm.",
      "Set match.method=gaussian, or model.name to a network that has some (lenet_bn;"
      " erfnet or drn26 of scenes).",
    )
  if options.sites == "all":
    return set(fitting)
  chosen = [name.strip() for name in options.sites.split(",") if name.strip()]
  if not chosen:
    raise config_lib.UserError(
      f"match.sites is '{options.sites}'; expected 'all' or some of {', '.join(fitting)}.",
      "Set match.sites, or match.enabled=False to leave matching out.",
    )
  for name in chosen:
    if name not in fitting:
      raise config_lib.UserError(
        f"Site '{name}' is not in {kind} ({', '.join(fitting)})."
        f"{config_lib.nearest(name, fitting)}",
        "Set match.sites.",
      )
  return set(chosen)


def _fits(site: sites_lib.Site, options: config_lib.Match) -> bool:
  """Whether the method can change the site's layer."""
  return options.method == "gaussian" or folding.is_batch_norm(site.layer)


def _source_moments(
  walk: site_walk.SiteWalk, images: Iterable[tf.Tensor], chosen: set[str]
) -> dict[str, gaussian.Moments]:
  """Moments of every chosen site, batch by batch; activations are not kept."""
  batch_moments: dict[str, list[gaussian.Moments]] = {name: [] for name in chosen}
  sites, batches = walk.begin(images)
  for batch in batches:
    state = {"output": batch}
    for site in sites:
      state = site.advance(state)
      if site.name in chosen:
        batch_moments[site.name].append(walk.measure(state["output"]))
  return {
    site.name: _merged(site, batch_moments[site.name])
    for site in sites if site.name in chosen
  }  # fmt: skip


def _moving_moments(source: Any, chosen: set[str]) -> dict[str, gaussian.Moments]:
  """The moments that each chosen batch norm kept from training."""
  found = {}
  for site in source.sites():
    if site.name in chosen and folding.is_batch_norm(site.layer):
      mean, variance = folding.moving_moments(site.layer)
      found[site.name] = gaussian.Moments(tf.ones([], tf.float64), mean, variance)
  if not found:
    raise config_lib.UserError(
      "There are no source images, and the network has no batch norm whose moving moments"
      " could stand for them. Give source images."
    )
  return found


def _applied(alpha: tf.Tensor, beta: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
  """Corrects an output that was computed before the site's layer was corrected."""
  return tf.cast(alpha, output.dtype) * output + tf.cast(beta, output.dtype)


def _record(
  name: str,
  alpha: tf.Tensor,
  wanted: gaussian.Moments,
  found: gaussian.Moments,
  options: config_lib.Match,
) -> dict[str, Any]:
  dead = gaussian.dead_channels(wanted, found, options.min_variance).numpy()
  scales = alpha.numpy()
  at_bound = (scales <= 1 / options.max_scale) | (scales >= options.max_scale)
  if options.method == "adabn":  # AdaBN has no bounds and no dead channels.
    dead, at_bound = (np.zeros(len(scales), bool) for _ in range(2))
  return {
    "site": name,
    "channels": len(scales),
    "dead_channels": int(dead.sum()),
    "clipped_channels": int((at_bound & ~dead).sum()),
    "mean_scale": float(scales.mean()),
  }


def _tell(records: Sequence[Mapping[str, Any]]) -> None:
  """Warns once of channels that could not be matched; the records count them by site."""

  def unmatched(record: Mapping[str, Any]) -> int:
    return record["dead_channels"] + record["clipped_channels"]

  if any(map(unmatched, records)):
    worst = max(records, key=unmatched)
    logging.warning(
      "%d of %d channels are dead (only shifted), %d have their scale bounded; most of them"
      " at %s, %d of %d.",
      sum(record["dead_channels"] for record in records),
      sum(record["channels"] for record in records),
      sum(record["clipped_channels"] for record in records),
      *(worst["site"], unmatched(worst), worst["channels"]),
    )
