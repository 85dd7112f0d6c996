"""Estimates of simple models for target images, computed once and kept in the run folder.

  curriculum.npz   shares, landmarks and their classes, and a key of their inputs

For curriculum domain adaptation (Zhang et al., ICCV 2017); see PAPER.md [34]. The models
use images and labels of the source, and images of the target.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import files, progress, stored
from tfdam.curriculum import label_shares, superpixels
from tfdam.data import feeds, guides
from tfdam.runs import context as context_lib
from tfdam.runs import lessons as lessons_lib
from tfdam.training import distribution

FILE = "curriculum.npz"
_UNREADABLE = (
  OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
# Fields that the estimates depend on.
_DECIDES = (
  "seed", "data.height", "data.width", "data.channels", "data.classes", "match.batch_size",
  "adapt.curriculum_shares", "adapt.curriculum_superpixels", "adapt.curriculum_landmarks",
)  # fmt: skip


def prepare(context: context_lib.Context, network: tf.keras.Model) -> guides.Guides | None:
  """Reads the run's estimates, or computes them; None if no loss term uses them.

  Args:
    context: the run's.
    network: the source network; its activations are features.

  Raises:
    config.UserError: a worker cannot read the chief's file, or there are no usable labels.
  """
  config, strategy = context.config, context.strategy
  if not config.adapt.curriculum_weight:
    return None
  tap = feature_tap(config, network)
  key = _key(context, network, tap)
  path = os.path.join(context.folder.shared_path, FILE)
  is_chief = distribution.is_chief(strategy)
  found = _read(path, key) if is_chief else None
  if not distribution.agree(strategy, int(found is not None)):
    # On all workers: reading a moving moment waits for every one.
    found = _estimated(context, network, tap)
    if is_chief:
      _write(path, key, found)
    distribution.barrier(strategy)
  # Workers use the chief's file, as their machines may round differently.
  found = found if is_chief else _read(path, key)
  if found is None:
    raise config_lib.UserError(
      f"This worker cannot read {files.shown(path)}, which the chief wrote. Set --workdir"
      " to a folder that all workers share."
    )
  return found


def feature_tap(config: config_lib.Config, network: tf.keras.Model) -> str:
  """The last of `adapt.taps`, in network order, that is a map.

  Raises:
    config.UserError: none of them is a map.
  """
  data = config.data
  image = tf.zeros([1, data.height, data.width, data.channels])
  taps = network(image, training=False)["taps"]
  maps = [n for n in taps if n in config.adapt.tap_weights and taps[n].shape.rank == 4]
  if not maps:
    raise config_lib.UserError(
      f"None of adapt.taps ({config.adapt.taps}) is a map of activations, and the features"
      " of superpixels need one.",
      "Set adapt.taps, or adapt.curriculum_weight=0.",
    )
  return maps[-1]


def _key(context: context_lib.Context, network: tf.keras.Model, tap: str) -> str:
  """A digest of what the estimates depend on."""
  domains = context.domains
  digest = hashlib.sha256()
  for weight in network.get_weights():
    digest.update(np.ascontiguousarray(weight).tobytes())
  decides = {
    "tap": tap,
    "fields": {name: config_lib.get(context.config, name) for name in _DECIDES},
    "data": [[len(s), dict(s.digests)] for s in (domains.source, domains.target)],
  }
  digest.update(json.dumps(decides, sort_keys=True).encode())
  return digest.hexdigest()


def _read(path: str, key: str) -> guides.Guides | None:
  """Reads what `_write` wrote; None if it is missing, damaged, or has another key."""
  try:
    with files.open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
      if bytes(arrays["key"]).decode() != key:
        logging.info("adapted: %s is of other images or networks: it is made again.", path)
        return None
      ends, packed = arrays["ends"].tolist(), arrays["packed"].tobytes()
      maps = [packed[low:high] for low, high in zip([0, *ends], ends)]
      height, width = arrays["size"].tolist()
      return guides.Guides(arrays["shares"], arrays["classes"], maps, (height, width))
  except FileNotFoundError:
    return None
  except _UNREADABLE as error:
    logging.warning("%s is damaged (%s): it is made again.", files.shown(path), error)
    return None


def _write(path: str, key: str, found: guides.Guides) -> None:
  with stored.replacing(path) as partial, open(partial, "wb") as file:
    np.savez(
      file,
      key=np.frombuffer(key.encode(), np.uint8),
      shares=found.shares,
      classes=found.classes,
      packed=np.frombuffer(b"".join(found.packed), np.uint8),
      ends=np.cumsum([len(packed) for packed in found.packed], dtype=np.int64),
      size=np.array(found.size, np.int64),
    )
    file.flush()
    os.fsync(file.fileno())


def _estimated(
  context: context_lib.Context, network: tf.keras.Model, tap: str
) -> guides.Guides:
  """Trains the simple models on the source, and applies them to the target."""
  config, domains = context.config, context.domains
  options, source = config.adapt, lessons_lib.some(domains.source, config.seed)
  total = len(source) + len(domains.target)
  of_images, of_superpixels, maps = [], [], []
  with progress.bar("adapted (curriculum)", 0, total, "images") as shown:

    def seen(split: feeds.Split, labels: bool, done: int) -> Iterator[lessons_lib.Seen]:
      for i, image in enumerate(lessons_lib.images(config, network, tap, split, labels)):
        yield image
        shown.update(done + i + 1, {})

    lessons = lessons_lib.lessons(config, seen(source, True, 0), len(source))
    classify = superpixels.classifier(
      lessons.of_superpixels, lessons.classes, config.data.num_classes
    )
    # Features are collected first, as their scale needs the mean and deviation of all.
    for image in seen(domains.target, False, len(source)):
      of_images.append(image.of_image)
      of_superpixels.append(image.of_superpixels)
      maps.append(guides.pack(image.superpixels.astype(np.uint16)))
  scale = lessons_lib.scale(of_superpixels)
  size = (config.data.height, config.data.width)
  marked = []
  for packed, found in zip(maps, of_superpixels):
    marks = superpixels.landmarks(
      guides.unpack(packed, size, np.uint16), classify(scale(found)),
      options.curriculum_landmarks,
    )  # fmt: skip
    marked.append((guides.pack(marks.numbers), marks.classes))
  shares = label_shares.estimated(
    options.curriculum_shares, lessons.of_images, lessons.shares, np.stack(of_images)
  )
  _log(shares, lessons, tap)
  classes = np.full(
    (len(marked), max(len(own) for _, own in marked)), superpixels.NONE, np.uint8
  )
  for row, (_, own) in zip(classes, marked):
    row[: len(own)] = own
  return guides.Guides(
    shares.astype(np.float32), classes, [packed for packed, _ in marked], size
  )


def _log(shares: np.ndarray, lessons: lessons_lib.Lessons, tap: str) -> None:
  logging.info(
    "adapted: shares of classes estimated for %d target images (their mean: %s), after %d"
    " images and %d superpixels of the source; features of tap '%s'.",
    len(shares), " ".join(f"{share:.2f}" for share in shares.mean(axis=0)),
    len(lessons.shares), len(lessons.classes), tap,
  )  # fmt: skip
