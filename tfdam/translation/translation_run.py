"""A translation run: trains four networks, and draws examples of their translations.

It writes checkpoints/translation/, metrics, pictures/panels.png and translation.json into
its run folder. If it is started again, it resumes from the newest whole checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import files, memory, runtime
from tfdam.data import feeds, pairs
from tfdam.data import scenes as scenes_lib
from tfdam.reporting import panels
from tfdam.runs import context as context_lib
from tfdam.runs import loading, records, run_folder
from tfdam.training import distribution, loop, networks
from tfdam.translation import (
  generator,
  patch_discriminator,
  translate_step,
  written_set,
)
from tfdam.vocabulary import TRANSLATION, Stage

_FLOAT = 4  # Bytes of a float32.


class TranslationRun:
  """A translation in its run folder: `prepare` checks and builds, `execute` trains.

  Attributes:
    players: the networks, pools and optimisers; built by `prepare`.
  """

  def __init__(
    self,
    config: config_lib.Config,
    domains: context_lib.Domains,
    folder: run_folder.RunFolder,
    strategy: tf.distribute.Strategy,
  ):
    self.config, self.domains, self.strategy = config, domains, strategy
    self.context = context_lib.Context(
      config, domains, folder, records.Records(folder), strategy,
      distribution.share(strategy),
    )  # fmt: skip

  def prepare(self) -> None:
    """Builds the networks.

    Raises:
      config.UserError: images are too small, the pool is too large, batches cannot be split
        among replicas, or the network of `translation.semantic_run` does not fit.
    """
    options = self.config.translation
    replicas = self.strategy.num_replicas_in_sync
    name = "translation.global_batch_size"
    runtime.check_batch(name, options.global_batch_size, replicas)
    check_size(self.config)
    _check_pool(self.config)
    with self.strategy.scope():
      self.players = translate_step.make_players(
        options, self._size, self.config.data.channels, self.config.seed
      )
      self.labeller = _labeller(self.config)
    counts = {
      name: models["target"].count_params()
      for name, models in self.players._asdict().items()
      if name in ("generators", "discriminators")
    }
    logging.info("translation: parameters of each of the %s", counts)

  @property
  def _size(self) -> tuple[int, int]:
    return networks.input_size(self.config.data)

  def execute(self) -> dict[str, Any]:
    """Trains to the end; returns the content of translation.json.

    Raises:
      config.UserError: a file is damaged, or a loss becomes infinite or nan.
    """
    context, config, players = self.context, self.config, self.players
    step = translate_step.TranslateStep(
      players, config.translation, self.strategy.num_replicas_in_sync, self.labeller
    )
    looks = []
    if config.loop.num_panels and config.loop.watch_every:
      looks.append(loop.Look(config.loop.watch_every, self.draw))
    with feeds.failures_explained():
      rate = loop.run(
        TRANSLATION,
        [loop.Phase("translate", step, config.translation.steps)],
        lambda start: pairs.unpaired_batches(
          self.domains.source, self.domains.target, config, start, context.share
        ),
        self.strategy,
        context.checkpoints(TRANSLATION, _saved(players)),
        context.records,
        config.loop,
        looks,
      )
    return self._summed_up(rate)

  def _summed_up(self, rate: float) -> dict[str, Any]:
    """Writes translation.json; keeps the recorded rate if there was nothing left to do."""
    folder = self.context.folder
    before = folder.read_json("translation.json") or {}
    losses = {
      name: value
      for name, value in self.context.records.last_values(TRANSLATION).items()
      if name.startswith("loss/")
    }
    summary = {
      "source": self.config.data.source,
      "target": self.config.data.target,
      "steps": self.config.translation.steps,
      "losses": losses,
      "steps_per_s": before.get("steps_per_s") if math.isnan(rate) else rate,
      "seconds": folder.elapsed()["run_seconds"],
    }
    folder.write_json("translation.json", summary)
    return summary

  def write(self, path: str, splits: Mapping[str, scenes_lib.Split]) -> None:
    """Writes the labelled source data set, translated to the target's look.

    Args:
      path: absolute path of the folder to write.
      splits: the result of written_set.load_splits.

    Raises:
      config.UserError: the folder holds another translation, or an image is damaged.
    """
    generator = self.players.generators["target"]
    about = written_set.origin(self.config, splits)
    about["generator"] = written_set.digest_of(generator)
    written_set.check(path, about)
    written_set.write(path, splits, about, generator, self.config)

  def draw(self, step: int) -> None:
    """Draws images of both domains, translated and translated back: pictures/panels.png."""
    generators = self.players.generators
    columns: list[panels.Column] = []
    for domain, other in (("source", "target"), ("target", "source")):
      images = translate_step.signed(self._some(domain))
      made = generators[other](images)
      shown = (images, made, generators[domain](made))
      for title, batch in zip((domain, f"as {other}", "and back"), shown):
        pixels = written_set.to_pixels(batch)
        columns.append((title, list(_in_colour(pixels))))
    drawn = panels.write(self.context.folder.join("pictures", "panels.png"), columns)
    self.context.records.write_image("panels", step, "panels", drawn)

  def _some(self, domain: str) -> tf.Tensor:
    """A few images of a domain, evenly spaced."""
    split = getattr(self.domains, domain)
    fewest = min(len(self.domains.source), len(self.domains.target))
    count = min(self.config.loop.num_panels, fewest)
    chosen = split.take(np.linspace(0, len(split) - 1, count).round().astype(int))
    (images,) = pairs.ordered_batches(chosen, count, self.config.data)
    return images


def _in_colour(pixels: np.ndarray) -> np.ndarray:
  """Converts grey images to three equal channels, as panels need."""
  return pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1)


def check_size(config: config_lib.Config) -> None:
  """Raises config.UserError if images are too small for the networks."""
  layers = config.translation.discriminator_layers
  smallest = patch_discriminator.smallest_side(layers)
  remedy = "Set data.height and data.width (or the crop's)"
  if smallest > generator.SMALLEST_SIDE:
    remedy += ", or translation.discriminator_layers lower"
  smallest = max(smallest, generator.SMALLEST_SIDE)
  size = networks.input_size(config.data)
  if min(size) < smallest:
    raise config_lib.UserError(
      f"Images are {size[0]}x{size[1]}; a discriminator with {layers} strides, and the"
      f" generators' padding, need sides of {smallest} pixels at least.",
      f"{remedy}.",
    )


def _check_pool(config: config_lib.Config) -> None:
  options = config.translation
  count = max(options.pool_size, options.global_batch_size)
  shape = (*networks.input_size(config.data), config.data.channels)
  memory.check_fits(
    # Two domains, with the old and the new pool of each in memory at once.
    4 * count * math.prod(shape) * _FLOAT,
    f"The pools' {count:,} images of {' x '.join(map(str, shape))}",
    "translation.pool_size or translation.global_batch_size lower",
  )


def _saved(players: translate_step.Players) -> dict[str, Any]:
  """{name: what a checkpoint stores}; the generator of target images is the "model"."""
  return {
    "model": players.generators["target"],
    "to_source": players.generators["source"],
    "discriminators": dict(players.discriminators),
    "optimizers": dict(players.optimizers),
    "pools": dict(players.pools),
  }


def _labeller(config: config_lib.Config) -> translate_step.Labeller | None:
  """The source-only network of `translation.semantic_run`, frozen.

  Raises:
    config.UserError: there is none, its training is unfinished, or it takes images of
      another size.
  """
  options = config.translation
  if not options.semantic_weight:
    return None
  folder = run_folder.RunFolder(runtime.resolve_path(options.semantic_run))
  theirs = folder.read_config()
  shape, own_shape = (
    (*networks.input_size(each.data), each.data.channels) for each in (theirs, config)
  )
  loaded = loading.load_network(theirs, folder, Stage.SOURCE_ONLY)
  shown = files.shown(options.semantic_run)
  problem = ""
  if loaded is None:
    problem = "holds no network of stage source_only"
  elif loaded.unfinished:
    problem = f"has a source network that stands at {loaded.unfinished}"
  elif shape != own_shape:
    problem = f"has a network for images of {shape}, and images here are {own_shape}"
  if problem or loaded is None:
    raise config_lib.UserError(
      f"translation.semantic_run {shown} {problem}.",
      "Set translation.semantic_run to a finished run on images of this size.",
    )
  return lambda images: loaded.network(images, training=False)["logits"]
