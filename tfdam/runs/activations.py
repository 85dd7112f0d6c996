"""Activations of a run's networks on images of both domains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import files, progress
from tfdam.data import feeds, pairs
from tfdam.metrics import gap as gap_lib
from tfdam.metrics import source_or_not_rounds as rounds_lib
from tfdam.runs import loading, run_folder
from tfdam.vocabulary import Stage

# At most so many locations of a map (more would not improve histograms), and so many values
# per image and tap (64 images of a map with thousands of channels would take gigabytes).
_LOCATIONS, _VALUES = 1_024, 1 << 18


class Tapped(NamedTuple):
  """The activations of one network's taps on some images.

  Attributes:
    values: {tap: float32 [images, locations, channels]}; of large maps only some locations,
      the same for every image.
    shapes: {tap: shape of its activations without the batch axis}.
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
  """Yields each stage with the activations to compare.

  It yields one stage at a time, since activations are large.

  Args:
    config: the run's.
    folder: the run folder.
    splits: {"source": ..., "target": ...}, the training splits.
    num_images: at most so many images of each split.
    seed: determines which images are chosen.

  Yields:
    (stage, activations of the source network on source images, activations of the stage's
    network on target images).

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
    network: returns {"taps": ...}.
    batches: float32 [B, H, W, C], in [0, 1].
    taps: names of taps, in network order; empty for all.
    locations: at most so many locations of a map.
  """
  parts: dict[str, list[np.ndarray]] = {tap: [] for tap in taps or network.TAPS}
  shapes: dict[str, tuple[int, ...]] = {}
  for images in batches:
    every = network(images, training=False)["taps"]
    for tap, found in parts.items():
      activations = tf.cast(every[tap], tf.float32).numpy()
      shapes[tap] = activations.shape[1:]
      maps = activations.reshape(len(activations), -1, activations.shape[-1])
      # The same random places for every image: an even stride could align with columns.
      most = max(1, min(locations, _VALUES // maps.shape[-1]))
      places = np.random.RandomState(0).permutation(maps.shape[1])[:most]
      found.append(maps[:, np.sort(places)])
  return Tapped({tap: np.concatenate(found) for tap, found in parts.items()}, shapes)


def gap(
  source: Tapped, target: Tapped, seed: int = 0, is_strict: bool = True
) -> gap_lib.Gap:
  """Measures the gap between activations, tap by tap; api.measure_gap uses this.

  Args:
    source: activations on source images.
    target: activations of the same taps on target images.
    seed: of the measurement.
    is_strict: whether a tap that cannot be compared raises an error; else it is skipped.

  Raises:
    config.UserError: activations are not finite, or there are fewer than two images.
  """
  rows = []
  with progress.bar("gap", 0, len(source.shapes), "layers") as shown:
    for depth, (tap, shape) in enumerate(source.shapes.items()):
      pair = source.values[tap], target.values[tap]
      try:
        rows.append(gap_lib.LayerGap.measured(tap, depth, shape, *pair, seed))
      except ValueError as error:
        if is_strict:
          raise config_lib.UserError(f"Tap '{tap}' cannot be compared: {error}.") from error
        logging.warning("Layer %s is left out: %s.", files.shown(tap), error)
      shown.update(depth + 1, {})
  return gap_lib.Gap(tuple(rows))


def pairs_of_taps(source: Tapped, target: Tapped) -> rounds_lib.Taps:
  """{tap: (source, target)}, in network order."""
  return {tap: (found, target.values[tap]) for tap, found in source.values.items()}
