"""Gives the source's training images the look of the target's (data.source_style).

Each source image takes the look of one target image, which is always the same one. Source
labels do not change, and target labels are not opened.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator

import numpy as np

from tfdam import config as config_lib
from tfdam.data import array_transforms, scene_files, scenes, styles
from tfdam.data import examples as examples_lib

# Values that are styled at once, in all channels: some 100 MiB of complex numbers.
_AT_ONCE = 1 << 21


def training(
  source: scenes.Split, target: scenes.Split, options: config_lib.Data, seed: int
) -> scenes.Split:
  """Returns the source at the network's size and in the target's look.

  Images in memory are styled at once, scenes when they are read.

  Args:
    source: the training split as stored; the labels of scenes are resized too.
    target: the target's training split as a run adapts to it, without labels.
    options: `source_style` and its fields; size and channels.
    seed: the run's seed, which pairs the images.
  """
  pairing = _pairing(len(source), len(target), seed)
  if isinstance(source, scenes.Scenes):
    changed: scenes.Split = _scenes(source, target, pairing, options)
  else:
    changed = _examples(source, target, pairing, options)
  style = options.source_style
  shown = f"{style}, share {options.fourier_share:g}" if style == "fourier" else style
  note = f"source {options.source}/train in the look of {options.target}/train: {shown}"
  digest = _digest(target, options, seed)
  return dataclasses.replace(
    changed,
    digests={**changed.digests, "style": digest},
    notes=(*changed.notes, note),
  )


def _pairing(count: int, num_targets: int, seed: int) -> np.ndarray:
  """Returns int [count], a target image for each source image, all about equally often."""
  seed = config_lib.derive_seed(seed, "source style")
  # RandomState: NumPy promises that its streams never change.
  return np.resize(np.random.RandomState(seed).permutation(num_targets), count)


def _digest(target: scenes.Split, options: config_lib.Data, seed: int) -> str:
  """Returns a checksum of all that decides the styling, apart from the source."""
  fields = dataclasses.asdict(options)
  names = (
    "source_style", "fourier_share", "height", "width", "channels", "target",
    "target_limit", "target_skew",
  )  # fmt: skip
  decides = {
    "seed": seed,
    "fields": {name: fields[name] for name in names},
    "target": target.digests,
    "num_targets": len(target),
  }
  return examples_lib.md5(json.dumps(decides, sort_keys=True).encode())


def _scenes(
  source: scenes.Scenes, target: scenes.Split, pairing: np.ndarray, options: config_lib.Data
) -> scenes.Scenes:
  style, like = styles.STYLES[options.source_style], _reader(target, options, 3)

  def change(i: int, image: np.ndarray) -> np.ndarray:
    return style(image, like(pairing[i : i + 1])[0], options)

  return scenes.at_size(source, options, change=change)


def _examples(
  source: examples_lib.Examples, target: scenes.Split, pairing: np.ndarray,
  options: config_lib.Data,
) -> examples_lib.Examples:  # fmt: skip
  style, channels = styles.STYLES[options.source_style], options.channels
  read, like = _reader(source, options, channels), _reader(target, options, channels)
  step = max(1, _AT_ONCE // (options.height * options.width * channels))

  def blocks() -> Iterator[np.ndarray]:
    for start in range(0, len(source), step):
      block = np.arange(start, min(start + step, len(source)))
      yield style(read(block), like(pairing[block]), options)

  what = f"styling {options.source}/train"
  with scene_files.with_patience(blocks(), what, -(-len(source) // step)) as patient:
    return dataclasses.replace(source, images=np.concatenate(list(patient)))


def _reader(
  split: scenes.Split, options: config_lib.Data, channels: int
) -> Callable[[np.ndarray], np.ndarray]:
  """Returns a function that reads images as a network sees them.

  It takes indices, int [n], and returns uint8 [n, height, width, channels].
  """

  def read(indices: np.ndarray) -> np.ndarray:
    if isinstance(split, scenes.Scenes):
      stored = np.stack([split.read_image(int(i)) for i in indices])
    else:
      stored = split.images[indices]
    return array_transforms.as_network_sees(stored, options.height, options.width, channels)

  return read
