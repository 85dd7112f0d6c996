"""Refuses, before the first step, what would fail after hours of it.

Each check takes the run's config, and most of them the source network as it was built.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import files
from tfdam.data import examples as examples_lib
from tfdam.matching import closed_form, folding
from tfdam.runs import target_guides
from tfdam.training import networks, per_target
from tfdam.vocabulary import Task


def check_task(config: config_lib.Config, source: Any) -> None:
  """Raises config.UserError if network and data are for different tasks."""
  data = config.data
  size = networks.input_size(data)
  scores = source(tf.zeros([1, *size, data.channels]))["logits"].shape
  labels_pixels = scores.rank == 4
  if labels_pixels != (config.task == Task.SEGMENTATION):
    network, labelled = ("pixels", "images") if labels_pixels else ("images", "pixels")
    raise config_lib.UserError(
      f"model.name is '{config.model.name}', which labels {network}, but"
      f" {data.source} has labelled {labelled}.",
      "Set model.name or data.source.",
    )
  if labels_pixels and config.needs_source_labels and scores[1:3] != size:
    shown = " and ".join(f"{height} x {width}" for height, width in (scores[1:3], size))
    raise config_lib.UserError(
      f"The network's scores and the labels that it trains on differ in size: {shown}.",
      "Set model.enlarge=True.",
    )


def check_shares(
  config: config_lib.Config, parts: examples_lib.Parts | None, replicas: int
) -> None:
  """Raises config.UserError if replicas would get unequal numbers of the targets."""
  size = config.adapt.global_batch_size
  if parts and size % (replicas * len(parts.names)):
    divisor = replicas * len(parts.names)
    down = size - size % divisor
    sizes = [str(near) for near in (down, down + divisor) if near]
    of_each = f" on each of {replicas} replicas" if replicas > 1 else ""
    raise config_lib.UserError(
      f"adapt.global_batch_size is {size}, but batches need equally many of each target"
      f" ({', '.join(parts.names)}){of_each}; expected a multiple of {divisor}, such as"
      f" {' or '.join(sizes)}.",
      "Set adapt.global_batch_size.",
    )


def check_norms(
  config: config_lib.Config, source: Any, parts: examples_lib.Parts | None, name: str
) -> None:
  """Raises config.UserError if domains cannot have norms of their own.

  Args:
    config: the run's.
    source: the source network.
    parts: the targets, if there are several.
    name: the field of section adapt that asks for them.
  """
  if name == "per_target" and parts is None:
    raise config_lib.UserError(
      f"adapt.per_target is True, but {config.data.target} is one target.",
      "Set adapt.per_target=False, or join several in data.target by '+'.",
    )
  if not per_target.norms_of(source):
    raise config_lib.UserError(
      f"adapt.{name} is True, but {config.model.name} has no batch norm.",
      f"Set adapt.{name}=False, or model.name to a network that has some (lenet_bn;"
      " lite0_pyramid, erfnet or drn26 of scenes).",
    )
  if config.match.enabled and not sites_of_norms(config, source):
    raise config_lib.UserError(
      f"match.sites is '{config.match.sites}', but adapt.{name} is True, which matches"
      " batch norms alone; expected one of them.",
      f"Set match.sites=all or adapt.{name}=False.",
    )


def sites_of_norms(config: config_lib.Config, network: Any) -> list[str]:
  """The sites to match that are batch norms, in network order."""
  options = config.match
  chosen = closed_form.choose_sites(network, options, config.model.name)
  return [
    site.name for site in network.sites()
    if site.name in chosen and folding.is_batch_norm(site.layer)
  ]  # fmt: skip


def check_matcher(config: config_lib.Config, source: Any) -> None:
  """Raises config.UserError if adaptation would fail after source training."""
  if config.adapt.is_joint and config.task == Task.SEGMENTATION:
    raise config_lib.UserError(
      "adapt.objective is 'joint_mmd', which compares images, but"
      f" {config.data.source} has scenes with a label for each pixel.",
      "Set adapt.objective=least_squares.",
    )
  has_norms = any(map(folding.is_batch_norm, source.submodules))
  if config.adapt.batch_norm == "train" and not has_norms:
    raise config_lib.UserError(
      f"adapt.batch_norm is 'train', but {config.model.name} has no batch norm.",
      "Set adapt.batch_norm=matched.",
    )
  if not source.trainable_variables:
    raise config_lib.UserError(
      f"All layers of {files.shown(config.model.path)} were frozen when it was saved, so"
      " adaptation has no weights to train.",
      "Set layer.trainable = True and save it again, or adapt.steps=0.",
    )
  if config.adapt.curriculum_weight:
    target_guides.feature_tap(config, source)
  if config.adapt.discriminator != "per_location":
    size = networks.input_size(config.data)
    images = tf.zeros([1, *size, config.data.channels])
    networks.build_discriminators(config, source(images))
