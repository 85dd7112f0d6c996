"""Activations of a run's networks on images of both domains, for games and pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import files
from tfdam.data import feeds, pairs
from tfdam.metrics import gap as gap_lib
from tfdam.metrics import source_or_not_rounds as rounds_lib
from tfdam.runs import loading, run_folder
from tfdam.vocabulary import Stage

# Of a map; more would fill histograms no better. Values of an image and a tap: 64 images of
# a map with thousands of channels would take gigabytes.
_LOCATIONS, _VALUES = 1_024, 1 << 18


class Tapped(NamedTuple):
  """What one network's taps gave on some images.

  Attributes:
    values: {tap: float32 [images, locations, channels]}, some locations of large maps, the
      same of every image.
    shapes: {tap: of its activations without the batch}.
  """

  values: dict[str, np.ndarray]
  shapes: dict[str, tuple[int, ...]]


def by_stage(
  config: config_lib.Config,
  folder: run_folder.RunFolder,
  splits: Mapping[str, feeds.Split],
  num_images: int,
  seed: int,
) -> Iterator[tuple[str, Tapped, Tapped]]:
  """Yields each stage, the source network on source images, and its own on target images.

  One stage at a time: activations are large.

  Args:
    splits: {"source": ..., "target": ...}, the training splits.
    num_images: of each, at most.
    seed: of their choice.

  Raises:
    config.UserError: there is no source network, or an image is damaged.
  """

  def images(domain: str) -> tf.data.Dataset:
    seeded = dataclasses.replace(config, seed=seed)
    size = config.loop.eval_batch_size
    return pairs.probe_batches(splits[domain], num_images, size, seeded)

  source = None
  for stage in Stage:
    loaded = loading.load_network(config, folder, stage)
    if loaded is None:
      continue
    if loaded.unfinished:
      logging.warning("%s stands at %s.", stage, loaded.unfinished)
    with feeds.failures_explained():
      if stage == Stage.SOURCE_ONLY:
        source = collect(loaded.network, images("source"))
      if source is None:
        break
      target = collect(loaded.network, images("target"))
    yield str(stage), source, target
  if source is None:
    raise config_lib.UserError(
      f"{files.shown(folder.path)} holds no checkpoint of stage source_only. Set --workdir"
      " to a run that has one."
    )


def collect(
  network: tf.keras.Model,
  batches: tf.data.Dataset,
  taps: Sequence[str] = (),
  locations: int = _LOCATIONS,
) -> Tapped:
  """Runs a network on images, in inference.

  Args:
    batches: float32 [B, H, W, C], in [0, 1].
    taps: wanted, in network order; empty: all.
    locations: of a map, at most.
  """
  parts: dict[str, list[np.ndarray]] = {tap: [] for tap in taps or network.TAPS}
  shapes: dict[str, tuple[int, ...]] = {}
  for images in batches:
    every = network(images, training=False)["taps"]
    for tap, found in parts.items():
      activations = tf.cast(every[tap], tf.float32).numpy()
      shapes[tap] = activations.shape[1:]
      maps = activations.reshape(len(activations), -1, activations.shape[-1])
      # The same places of every image, drawn: an even stride would follow a map's width.
      most = max(1, min(locations, _VALUES // maps.shape[-1]))
      places = np.random.RandomState(0).permutation(maps.shape[1])[:most]
      found.append(maps[:, np.sort(places)])
  return Tapped({tap: np.concatenate(found) for tap, found in parts.items()}, shapes)


def gap(
  source: Tapped, target: Tapped, seed: int = 0, is_strict: bool = True
) -> gap_lib.Gap:
  """How far apart they are, tap by tap: the engine of api.measure_gap.

  Args:
    is_strict: whether a tap that cannot be compared is an error; else it is left out.

  Raises:
    config.UserError: activations that are not finite, or fewer than two images.
  """
  rows = []
  for depth, (tap, shape) in enumerate(source.shapes.items()):
    pair = source.values[tap], target.values[tap]
    try:
      rows.append(gap_lib.LayerGap.measured(tap, depth, shape, *pair, seed))
    except ValueError as error:
      if not is_strict:
        logging.warning("Layer %s is left out: %s.", files.shown(tap), error)
        continue
      raise config_lib.UserError(f"Tap '{tap}' cannot be compared: {error}.") from error
  return gap_lib.Gap(tuple(rows))


def pairs_of_taps(source: Tapped, target: Tapped) -> rounds_lib.Taps:
  """{tap: (source, target)}, in network order."""
  return {tap: (found, target.values[tap]) for tap, found in source.values.items()}
