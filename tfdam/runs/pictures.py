"""Draws the pictures at the end of a run.

pictures/panels.png        scenes: image, true labels, and every stage's label map
pictures/activations-*.png histograms of single channels on both domains
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import feeds, pairs
from tfdam.data import scenes as scenes_lib
from tfdam.reporting import evaluation, panels, source_or_not
from tfdam.reporting import monitor as monitor_lib
from tfdam.runs import context as context_lib
from tfdam.vocabulary import Stage

Networks = Mapping[str, tf.keras.Model]


def draw(context: context_lib.Context, networks: Networks) -> list[panels.Column]:
  """Writes the run's pictures.

  Args:
    context: the run's.
    networks: {stage: its network}, including Stage.SOURCE_ONLY.

  Returns:
    The columns of the panels; empty if there are none.
  """
  columns = panel_columns(context, networks)
  if columns:
    path = context.folder.join("pictures", "panels.png")
    drawn = panels.write(path, columns, class_names(context))
    context.records.write_image("panels", 0, "panels", drawn)
  if context.config.loop.watch_every:
    _draw_activations(context, networks)
  return columns


def class_names(context: context_lib.Context) -> tuple[str, ...]:
  """Names of the classes in panels; empty if each image has one label."""
  named = _shown_split(context).class_names
  return tuple(named or config_lib.parse_classes(context.config.data.classes))


def _shown_split(context: context_lib.Context) -> feeds.Split:
  """The test split or, without one, the target's training split."""
  return context.domains.scored["test"] or context.domains.target


def panel_columns(context: context_lib.Context, networks: Networks) -> list[panels.Column]:
  """Columns of a few scenes: "image", "truth" if known, and every stage's prediction."""
  split = _shown_split(context)
  count = min(context.config.loop.num_panels, len(split))
  if not context.config.data.classes or not count:
    return []
  chosen = split.take(np.linspace(0, len(split) - 1, count).round().astype(int))
  (images,) = pairs.ordered_batches(chosen, count, context.config.data)
  shown = np.round(255 * images.numpy()).astype(np.uint8)
  if shown.shape[-1] == 1:
    shown = shown.repeat(3, axis=-1)
  columns: list[panels.Column] = [("image", list(shown))]
  if isinstance(chosen, scenes_lib.Scenes) and chosen.read_label is not None:
    columns.append(("truth", [chosen.read_label(i) for i in range(count)]))
  for stage, network in networks.items():
    logits = evaluation.logits_of(network, images, chosen)
    maps = [evaluation.label_map(one, tuple(images.shape[1:3])) for one in logits]
    columns.append((Stage(stage).shown, maps))
  return columns


def _draw_activations(context: context_lib.Context, networks: Networks) -> None:
  """Draws Source-or-Not (Sec. 5.1) for the source network and the last stage's network."""
  config, source = context.config, networks[Stage.SOURCE_ONLY]
  on_source = monitor_lib.probe(source, _probe_images(context.domains.source, config))
  target_images = _probe_images(context.domains.target, config)
  chosen = [tap for tap in config.adapt.tap_weights if tap in source.TAPS]
  # Not a set: all workers read networks together, so the order must be the same.
  for stage in dict.fromkeys((Stage.SOURCE_ONLY, list(networks)[-1])):
    on_target = monitor_lib.probe(networks[stage], target_images)
    taps = {
      tap: (on_source.samples[tap].numpy(), on_target.samples[tap].numpy())
      for tap in chosen or source.TAPS
    }
    source_or_not.activation_histograms(
      context.folder.join("pictures", f"activations-{stage}.png"),
      taps,
      f"{config.data.source} and {config.data.target}, {Stage(stage).shown}",
    )


def _probe_images(split: feeds.Split, config: config_lib.Config) -> tf.data.Dataset:
  limit, size = config.loop.watch_images, config.loop.eval_batch_size
  return pairs.probe_batches(split, limit, size, config)
