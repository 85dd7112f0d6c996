"""Computes what a report shows besides scores and losses, and writes report.json.

Confusion matrices are stored when a stage is scored. The rest is computed once, at the end
of the run, from its networks. Nothing here uses random state or changes a weight.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging
from PIL import Image

from tfdam import config as config_lib
from tfdam import files
from tfdam.data import feeds, pairs
from tfdam.metrics import divergence, gap, palette
from tfdam.reporting import evaluation, panels
from tfdam.reporting.report import facts as facts_lib
from tfdam.runs import activations, pictures, run_folder
from tfdam.runs import context as context_lib
from tfdam.training import distribution
from tfdam.vocabulary import Stage

Networks = Mapping[str, Any]

FILE = "report.json"
# Pixels of one domain that go through a network, and bounds of the number of images: dense
# layers have one location per image, and histograms need many.
_PIXELS = 1 << 19
_FEWEST = {"segmentation": 16, "classification": 64}
_MOST_IMAGES = 500
_BATCH_PIXELS = 1 << 18
_LOCATIONS = 64
# At most so many layers in the gap, and so many taps and channels with histograms.
_MOST_LAYERS, _MOST_TAPS, _MOST_CHANNELS = 16, 6, 3
_NUM_BINS = 40
_MOST_SCENES, _MOST_WIDTH = 6, 480
_JPEG_QUALITY = 85
# Variables of layers that are not learned.
_NOT_LEARNED = ("moving_mean", "moving_variance", "seed_generator")


def keep_confusion(
  folder: run_folder.RunFolder, stage: str, matrices: Mapping[str, np.ndarray]
) -> None:
  """Adds a stage's confusion matrices, {split: counts}, to report.json."""
  facts = _found(folder)
  small = {
    split: counts.tolist()
    for split, counts in matrices.items()
    if len(counts) <= facts_lib.MOST_CLASSES
  }
  facts.setdefault("confusion", {})[stage] = small
  # Drop the rest: if the stage was scored again, it is another network's.
  folder.write_json(FILE, {k: facts[k] for k in ("version", "confusion") if k in facts})


def complete(
  context: context_lib.Context,
  networks: Networks,
  columns: Sequence[panels.Column] = (),
) -> None:
  """Computes what report.json lacks, after all stages.

  Args:
    context: the run's.
    networks: {stage: its network}, Stage.SOURCE_ONLY first.
    columns: of the run's panels, the result of `pictures.draw`.
  """
  facts = _found(context.folder)
  for stage in _ends(networks):
    counted = stage in facts.get("confusion", {})
    if distribution.agree(context.strategy, not counted):
      matrices: dict[str, np.ndarray] = {}
      scored = context.domains.scored
      evaluation.score_splits(networks[stage], scored, context.config, matrices)
      keep_confusion(context.folder, stage, matrices)
      facts = _found(context.folder)
  if distribution.agree(context.strategy, facts.get("stages") != list(networks)):
    found = {**facts, "stages": list(networks), "drift": _drift(networks)}
    if context.config.loop.watch_every:
      found.update(_activations(context, networks))
    if columns:
      found["panels"] = _panels(columns, pictures.class_names(context))
    context.folder.write_json(FILE, found)


def _found(folder: run_folder.RunFolder) -> dict[str, Any]:
  """The content of report.json; a damaged one counts as empty, and is computed again."""
  try:
    facts = folder.read_json(FILE)
  except config_lib.UserError as error:
    logging.warning("%s Computing it again.", error)
    facts = None
  return facts or {"version": facts_lib.VERSION}


def _ends(networks: Networks) -> list[str]:
  """The first and the last stage; one stage if there are no others."""
  stages = list(networks)
  return list(dict.fromkeys((stages[0], stages[-1])))


def _drift(networks: Networks) -> list[facts_lib.Drift]:
  """The drift of every site's weights, for every stage after the first."""
  source = _weights(networks[Stage.SOURCE_ONLY])
  rows = []
  for stage, network in networks.items():
    if stage == Stage.SOURCE_ONLY:
      continue
    for layer, weights in _weights(network).items():
      before = source.get(layer)
      if before is None or len(before) != len(weights):
        continue
      share = np.linalg.norm(weights - before) / max(float(np.linalg.norm(before)), 1e-12)
      rows.append(facts_lib.Drift(stage=stage, layer=layer, share=float(share)))
  return rows


def _weights(network: Any) -> dict[str, np.ndarray]:
  """{site: its layer's learned weights as one vector}."""
  found = {}
  for site in network.sites():
    parts = [
      variable.numpy().ravel()
      for variable in site.layer.weights
      if not any(name in _path(variable) for name in _NOT_LEARNED)
    ]
    if parts:
      found[site.name] = np.concatenate(parts).astype(np.float64)
  return found


def _path(variable: Any) -> str:
  """A variable's name with its layer's; in Keras 3, `name` lacks the layer's."""
  return f"{getattr(variable, 'path', '')} {variable.name}"


def _activations(context: context_lib.Context, networks: Networks) -> dict[str, Any]:
  """The gap by layer and histograms of channels, before and after adaptation."""
  config, source = context.config, networks[Stage.SOURCE_ONLY]
  taps = _chosen_taps(source.TAPS, config.adapt.tap_weights, _MOST_LAYERS)
  on_source = _sampled(source, context.domains.source, config, taps)
  before = _sampled(source, context.domains.target, config, taps)
  gaps = {"before": activations.gap(on_source, before, is_strict=False)}
  after = None
  last = _ends(networks)[-1]
  if last != Stage.SOURCE_ONLY:
    after = _sampled(networks[last], context.domains.target, config, taps)
    gaps["after"] = activations.gap(on_source, after, is_strict=False)
    both = {row.layer for row in gaps["before"].rows}
    both &= {row.layer for row in gaps["after"].rows}
    gaps = {
      name: gap.Gap(tuple(row for row in found.rows if row.layer in both))
      for name, found in gaps.items()
    }
  adapted = [tap for tap in taps if tap in config.adapt.tap_weights]
  shown = _chosen_taps(adapted if config.adapt.steps and adapted else taps, {}, _MOST_TAPS)
  return {
    "num_images": max((len(found) for found in on_source.values.values()), default=0),
    **{name: found.to_json() for name, found in gaps.items()},
    "taps": [
      {"tap": tap, "channels": _channels(tap, on_source, before, after)} for tap in shown
    ],
  }


def _chosen_taps(every: Sequence[str], wanted: Mapping[str, float], most: int) -> list[str]:
  """At most `most` taps in network order: the wanted ones, then others evenly spaced."""
  chosen = [tap for tap in every if tap in wanted][:most]
  others = [tap for tap in every if tap not in chosen]
  room = min(most - len(chosen), len(others))
  chosen += [others[(i + 1) * len(others) // room - 1] for i in range(room)]
  return [tap for tap in every if tap in chosen]


def _sampled(
  network: Any, split: feeds.Split, config: config_lib.Config, taps: Sequence[str]
) -> activations.Tapped:
  """Activations of taps on some images, at a few locations."""
  pixels = max(1, config.data.height * config.data.width)
  most = min(_MOST_IMAGES, config.loop.watch_images)
  count = min(most, max(_FEWEST[config.task], _PIXELS // pixels))
  size = max(1, min(config.loop.eval_batch_size, _BATCH_PIXELS // pixels))
  batches = pairs.probe_batches(split, count, size, config)
  return activations.collect(network, batches, taps, _LOCATIONS)


def _channels(
  tap: str,
  source: activations.Tapped,
  before: activations.Tapped,
  after: activations.Tapped | None,
) -> list[dict[str, Any]]:
  """Histograms of the channels that differ most before adaptation; ties by number."""
  targets = [before] if after is None else [before, after]
  found = [_histograms(source.values[tap], target.values[tap]) for target in targets]
  bits = divergence.jensen_shannon(found[0].source, found[0].target)
  order = np.argsort(-np.nan_to_num(bits, nan=-1.0), kind="stable")[:_MOST_CHANNELS]
  return [
    {
      "channel": int(channel),
      "before": _histogram(found[0], channel),
      "after": [_histogram(other, channel) for other in found[1:]],
    }
    for channel in order
    if np.isfinite(bits[channel])
  ]


def _histograms(source: np.ndarray, target: np.ndarray) -> divergence.Histograms:
  pooled_source, pooled_target = (x.reshape(-1, x.shape[-1]) for x in (source, target))
  return divergence.histograms(pooled_source, pooled_target, _NUM_BINS)


def _histogram(found: divergence.Histograms, channel: int) -> facts_lib.Histogram:
  source, target = found.source[channel], found.target[channel]
  edges = found.edges[channel]
  return facts_lib.Histogram(
    low=float(edges[0]),
    high=float(edges[-1]),
    source=source.round(5).tolist(),
    target=target.round(5).tolist(),
    bits=float(divergence.jensen_shannon(source, target)),
  )


def _panels(
  columns: Sequence[panels.Column], class_names: Sequence[str]
) -> facts_lib.Panels:
  """Encodes a few scenes as small files.

  Args:
    columns: "image" first, "truth" if it is known, then one per stage.
    class_names: names of the classes, in the order of labels.
  """
  table = palette.colours(class_names)
  stages = {stage.shown: stage.value for stage in Stage}
  scenes = []
  every = {title: pictures[:_MOST_SCENES] for title, pictures in columns}
  for i, image in enumerate(every["image"]):
    width = min(_MOST_WIDTH, image.shape[1])
    size = (width, max(1, round(width * image.shape[0] / image.shape[1])))
    smooth = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    painted = {
      title: facts_lib.encoded(_painted(pictures[i], size, table))
      for title, pictures in every.items()
      if title != "image"
    }
    scenes.append(
      facts_lib.Scene(
        image=facts_lib.encoded(_file(smooth, "JPEG", quality=_JPEG_QUALITY)),
        truth=painted.get("truth", ""),
        stages={stages[title]: text for title, text in painted.items() if title in stages},
      )
    )
  return facts_lib.Panels(
    classes=[files.shown(name) for name in class_names],
    colours=table.tolist(),
    scenes=scenes,
  )


def _painted(labels: np.ndarray, size: tuple[int, int], table: np.ndarray) -> bytes:
  """Encodes a label map as a small PNG."""
  painted = Image.fromarray(palette.colourise(labels, table))
  painted = painted.resize(size, Image.Resampling.NEAREST)
  return _file(painted.quantize(256, dither=Image.Dither.NONE), "PNG")


def _file(picture: Image.Image, kind: str, **options: Any) -> bytes:
  data = io.BytesIO()
  picture.save(data, kind, **options)
  return data.getvalue()
