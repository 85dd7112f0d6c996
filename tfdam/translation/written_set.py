"""Writes a translated, labelled data set to a folder that can be used as a data set.

  translation.json       where it comes from, and whether it is complete
  scenes: dataset.yaml, images/<split>/000000.png, labels/<split>/000000.png
  images with one label: <split>/<class>/000000.png

If writing is interrupted, it resumes where it stopped, and the files are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import yaml
from PIL import Image

from tfdam import config as config_lib
from tfdam import data, files, progress, stored
from tfdam.data import examples as examples_lib
from tfdam.data import feeds
from tfdam.data import scenes as scenes_lib
from tfdam.reporting import drawing
from tfdam.runs import run_folder
from tfdam.translation import translate_step
from tfdam.vocabulary import Task

ORIGIN = "translation.json"
# A resumed write uses the same batches: rounding depends on the batch.
_BATCH = 8
_REMEDY = "Set --write to a new folder, or remove that one."


def check(path: str, origin: Mapping[str, Any]) -> None:
  """Raises config.UserError if a folder holds anything but this translation.

  Args:
    path: the folder to write.
    origin: the required content of its translation.json.
  """
  run_folder.check_writable(path, "--write")
  if not os.path.isdir(path) or not os.listdir(path):
    return
  there = stored.read(os.path.join(path, ORIGIN), dict[str, Any], _REMEDY)
  if there is None:
    raise config_lib.UserError(
      f"{files.shown(path)} is not empty, and no translated data set (it has no"
      f" {ORIGIN}). {_REMEDY}"
    )
  differing = [name for name, value in origin.items() if there.get(name) != value]
  if differing:
    shown = "; ".join(
      f"{name}: {_shown(there.get(name))} there, {_shown(origin[name])} now"
      for name in differing
    )
    raise config_lib.UserError(
      f"{files.shown(path)} holds another translation ({shown}). {_REMEDY}"
    )


def _shown(value: Any) -> str:
  text = json.dumps(value)
  return text if len(text) <= 60 else f"{text[:57]}..."


def origin(
  config: config_lib.Config, splits: Mapping[str, scenes_lib.Split]
) -> dict[str, Any]:
  """Where a translated set comes from, except for the generator."""
  return {
    "source": config.data.source,
    "target": config.data.target,
    "classes": config.data.classes,
    "size": [config.data.height, config.data.width, config.data.channels],
    "images": {name: len(split) for name, split in splits.items()},
    "checksums": {k: v for split in splits.values() for k, v in split.digests.items()},
  }


def digest_of(generator: tf.keras.Model) -> str:
  """The SHA-256 digest of a generator's weights."""
  digest = hashlib.sha256()
  for weights in generator.get_weights():
    digest.update(weights.tobytes())
  return digest.hexdigest()


def to_pixels(images: tf.Tensor) -> np.ndarray:
  """Converts generated images to 8-bit pixels.

  Args:
    images: float32 [B, H, W, C], in [-1, 1].

  Returns:
    uint8 [B, H, W, C].
  """
  return np.round(127.5 * (images.numpy() + 1.0)).clip(0, 255).astype(np.uint8)


def load_splits(config: config_lib.Config, root: str) -> dict[str, scenes_lib.Split]:
  """Loads all labelled splits of the source at the config's size: {split: its images}.

  Args:
    config: a whole config.
    root: the folder of data sets.

  Raises:
    config.UserError: the training split has no labels, or the data set cannot be read.
  """
  options = config.data
  module, folder = data.locate(options.source, root)
  labelled = [s for s in examples_lib.SPLITS if module.has_labels(folder, s)]
  if "train" not in labelled:
    raise config_lib.UserError(
      f"{options.source} in {root} has no training labels, and what is written is a"
      " labelled data set.",
      "Set data.source to a labelled one.",
    )
  found: dict[str, scenes_lib.Split] = {}
  for split in labelled:
    loaded = data.load(options.source, split, True, options, root)
    if isinstance(loaded, scenes_lib.Scenes):
      loaded = scenes_lib.at_size(loaded, options)
    found[split] = loaded
  return found


def write(
  path: str,
  splits: Mapping[str, scenes_lib.Split],
  about: Mapping[str, Any],
  generator: tf.keras.Model,
  config: config_lib.Config,
) -> int:
  """Translates all images that are missing; returns the number of images in all splits.

  Args:
    path: the folder, which `check` has accepted.
    splits: the result of `load_splits`.
    about: the result of `origin`, with the generator's digest.
    generator: translates the source's images.
    config: a whole config.
  """
  os.makedirs(path, exist_ok=True)
  _tell(path, about, is_whole=False)
  for name, split in splits.items():
    places = _Places(path, name, split, config)
    with progress.bar(f"translating {name}", 0, len(split), "images") as shown:
      for done in _batches(split, places, generator, config.data):
        shown.update(done, {})
  if config.task == Task.SEGMENTATION:
    _describe(path, list(splits), next(iter(splits.values())).class_names)
  _tell(path, about, is_whole=True)
  return sum(map(len, splits.values()))


def _tell(path: str, about: Mapping[str, Any], is_whole: bool) -> None:
  content = {**about, "is_whole": is_whole}
  stored.write_text(os.path.join(path, ORIGIN), json.dumps(content, indent=2) + "\n")


def _batches(
  split: scenes_lib.Split,
  places: _Places,
  generator: tf.keras.Model,
  options: config_lib.Data,
) -> Iterator[int]:
  """Writes batch after batch; yields the number of images done."""
  read = feeds.feed(split, options, labels=True)
  for start in range(0, len(split), _BATCH):
    chosen = range(start, min(start + _BATCH, len(split)))
    missing = [i for i in chosen if not os.path.isfile(places.image(i))]
    if missing:
      with feeds.failures_explained():
        batch = read(tf.constant([*chosen], tf.int64))
      made = to_pixels(generator(translate_step.signed(batch["image"])))
      for i in missing:
        if places.label(i):
          _save(places.label(i), batch["label"][i - start].numpy())
        # The image last: its existence means that both files are complete.
        _save(places.image(i), made[i - start])
    yield chosen.stop


class _Places:
  """The paths of a split's images and labels."""

  def __init__(
    self, path: str, name: str, split: scenes_lib.Split, config: config_lib.Config
  ):
    self._base = path
    self._split = name
    self._classes: list[str] | None = None
    if isinstance(split, examples_lib.Examples):
      names = split.class_names or [str(i) for i in range(config.data.num_classes)]
      assert split.labels is not None
      self._classes = [names[label] for label in split.labels]
      for folder in {os.path.dirname(self.image(i)) for i in range(len(split))}:
        os.makedirs(folder, exist_ok=True)
    else:
      for kind in ("images", "labels"):
        os.makedirs(os.path.join(path, kind, name), exist_ok=True)

  def image(self, i: int) -> str:
    kind = () if self._classes else ("images",)
    label = (self._classes[i],) if self._classes else ()
    return os.path.join(self._base, *kind, self._split, *label, f"{i:06d}.png")

  def label(self, i: int) -> str:
    """The path of a label map; "" if the folder is the label."""
    if self._classes:
      return ""
    return os.path.join(self._base, "labels", self._split, f"{i:06d}.png")


def _save(path: str, pixels: np.ndarray) -> None:
  if pixels.ndim == 3 and pixels.shape[-1] == 1:
    pixels = pixels[..., 0]
  drawing.save(Image.fromarray(pixels), path)


def _describe(path: str, splits: list[str], class_names: tuple[str, ...]) -> None:
  """Writes dataset.yaml, which describes scenes to their reader."""
  description = {
    "images": "images/{split}/*.png",
    "labels": "labels/{split}/{name}.png",
    "splits": {split: split for split in splits},
    "ids": dict(enumerate(class_names)),
    "ignored": [scenes_lib.IGNORED],
  }
  text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
  stored.write_text(os.path.join(path, "dataset.yaml"), text)


def named(path: str, root: str, config: config_lib.Config) -> str:
  """The name of a written set in configs; "" if it is not below the folder of data sets."""
  below = os.path.relpath(path, root)
  if below.startswith(os.pardir) or below == os.curdir:
    return ""
  kind = "scenes" if config.task == Task.SEGMENTATION else "folder"
  return f"{kind}:{below}"
