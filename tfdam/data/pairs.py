"""Batches that are pure functions of seed and step: a resumed run sees the same images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import feeds, guides, scenes, transforms


@dataclasses.dataclass(frozen=True)
class Share:
  """A worker's part of every global batch: the slice at `index` of `count` equal ones."""

  index: int = 0
  count: int = 1


WHOLE = Share()


def labelled_batches(
  source: feeds.Split,
  config: config_lib.Config,
  start: int = 0,
  share: Share = WHOLE,
  num_noise: int = 0,
) -> tf.data.Dataset:
  """Returns endless batches for supervised training, from step `start` on.

  Args:
    source: images with labels.
    config: the run's.
    start: the first batch's step.
    share: which part of each global batch to read.
    num_noise: how many random numbers per sample the network needs for its dropout.

  Returns:
    Dataset of {"image": float32 [B, H, W, C] in [0, 1], "label": int64 [B] or uint8
    [B, H, W]}. B is this share of the global batch, H and W are the crop's size. With
    `num_noise`, also "noise", float32 [B, num_noise] in [0, 1).
  """
  options, seed = config.source, config.seed
  read = feeds.feed(source, config.data, labels=True)

  def batch(step):
    chosen = indices(step, options.global_batch_size, len(source), seed, "source", share)
    found = _changed(read(chosen), step, "source", options.augment, config, share)
    if num_noise:
      found["noise"] = _noise(options.global_batch_size, num_noise, step, seed, share)
    return found

  return by_step(batch, start)


def domain_batches(
  source: feeds.Split,
  target: feeds.Split,
  config: config_lib.Config,
  start: int = 0,
  source_taps: Mapping[str, tf.Tensor] | None = None,
  share: Share = WHOLE,
  guided: guides.Guides | None = None,
) -> tf.data.Dataset:
  """Returns endless batches of both domains, from step `start` on; no target labels.

  Args:
    source: the source's images; with labels if the loss needs them.
    target: the target's images.
    config: the run's.
    start: the first batch's step.
    source_taps: {tap: float32 [len(source), ...]}, stored activations that replace the
      source images.
    share: which part of each global batch to read.
    guided: estimates for the target's images, which the batches then hold too.

  Returns:
    Dataset of dicts. B is this share of the global batch, H and W are the crop's size. With
    n targets, image i of a batch is from target i % n.
      "target": float32 [B, H, W, C] in [0, 1].
      "source": the same for the source; or "source_taps", {tap: float32 [B, ...]}.
    If terms of the loss need them:
      "source_label": int64 [B] or uint8 [B, H, W].
      "source_varied", "target_varied": the images, randomly changed so that their labels
        still hold.
      "pasted": bool [B, classes], the source's classes to paste over the target.
    With `guided`:
      "target_shares": float32 [B, classes], the class shares of whole images.
      "landmarks": uint8 [B, H, W], each pixel's landmark, or 255.
      "landmark_classes": uint8 [B, L], the landmarks' classes, or 255.
  """
  options, seed = config.adapt, config.seed
  size = options.global_batch_size
  read_target = feeds.feed(target, config.data, labels=False)
  if guided is not None:
    assert isinstance(target, scenes.Scenes)
    # Maps of landmarks take the place of label maps: they are moved and cropped alike.
    mapped = dataclasses.replace(target, read_label=guided.landmarks)
    read_target = feeds.feed(mapped, config.data, labels=True)
    with tf.device("/CPU:0"):  # where batches are gathered
      every_share, every_class = tf.constant(guided.shares), tf.constant(guided.classes)
  with_labels = options.needs_source_labels
  read_source = feeds.feed(source, config.data, labels=with_labels)

  def changed(found, step, stream):
    return _changed(found, step, stream, options.augment, config, share)

  def varied(images, step, stream):
    return _varied(images, step, f"vary {stream}", config, share)

  def batch(step):
    from_source = indices(step, size, len(source), seed, "adapt source", share)
    from_target = _target_indices(target, step, size, seed, share)
    target_batch = changed(read_target(from_target), step, "adapt target")
    batches = {"target": target_batch["image"]}
    if guided is not None:
      batches["landmarks"] = target_batch["label"]
      batches["landmark_classes"] = tf.gather(every_class, from_target)
      batches["target_shares"] = tf.gather(every_share, from_target)
    if source_taps is None:
      source_batch = changed(read_source(from_source), step, "adapt source")
      batches["source"] = source_batch["image"]
      if with_labels:
        batches["source_label"] = source_batch["label"]
      if options.source_label_weight or options.self_training_mix:
        batches["source_varied"] = varied(source_batch["image"], step, "adapt source")
    else:
      batches["source_taps"] = {
        tap: tf.gather(stored, from_source) for tap, stored in source_taps.items()
      }
    if options.self_training_weight:
      batches["target_varied"] = varied(batches["target"], step, "adapt target")
    if options.self_training_mix:
      batches["pasted"] = _noise(size, config.data.num_classes, step, seed, share) < 0.5
    return batches

  return by_step(batch, start)


def unpaired_batches(
  source: feeds.Split,
  target: feeds.Split,
  config: config_lib.Config,
  start: int = 0,
  share: Share = WHOLE,
) -> tf.data.Dataset:
  """Returns endless batches of both domains for translation, from step `start` on.

  Returns:
    Dataset of {"source": float32 [B, H, W, C] in [0, 1], "target": the same}, without
    labels. B is this share of the global batch, H and W are the crop's size.
  """
  size = config.translation.global_batch_size
  splits = {"source": source, "target": target}
  read = {
    name: feeds.feed(each, config.data, labels=False) for name, each in splits.items()
  }

  def batch(step):
    images = {}
    for name, split in splits.items():
      stream = f"translate {name}"
      chosen = indices(step, size, len(split), config.seed, stream, share)
      found = _changed(read[name](chosen), step, stream, False, config, share)
      images[name] = found["image"]
    return images

  return by_step(batch, start)


def ordered_batches(
  examples: feeds.Split, batch_size: int, options: config_lib.Data
) -> tf.data.Dataset:
  """Returns every image once, uncropped and in order; the last batch may be smaller.

  Returns:
    Dataset of float32 [<=batch_size, height, width, C], in [0, 1].
  """
  read = feeds.feed(examples, options, labels=False)
  every = tf.data.Dataset.range(len(examples)).batch(batch_size)
  images = plain(lambda chosen: read(chosen)["image"])
  return untuned(every.map(images).prefetch(1))


def probe_batches(
  split: feeds.Split, limit: int, batch_size: int, config: config_lib.Config
) -> tf.data.Dataset:
  """Returns `ordered_batches` of a fixed random choice of images, without labels.

  With a network for each target (adapt.per_target), every batch holds equally many images
  of each target, in turn.

  Args:
    split: the images.
    limit: the largest number of images, but at least one of each target; 0 for all, or with
      several targets for as many of each as the smallest has.
    batch_size: images per batch; several targets round it down to a multiple of their
      number.
    config: the run's.
  """
  if not (config.adapt.per_target and split.parts):
    chosen = subset(split, limit, config.seed)
    return ordered_batches(chosen, batch_size, config.data)
  every = [split.parts.where(name) for name in split.parts.names]
  count, fewest = len(every), min(map(len, every))
  of_each = min(max(limit // count, 1), fewest) if limit else fewest
  places = [own[choice(len(own), of_each, config.seed)] for own in every]
  in_turn = np.stack(places, axis=1).ravel()
  size = max(count, batch_size - batch_size % count)
  return ordered_batches(split.without_labels().take(in_turn), size, config.data)


def subset(examples: feeds.Split, limit: int, seed: int) -> feeds.Split:
  """Returns a seeded random choice of `limit` images without labels; all if it is 0."""
  examples = examples.without_labels()
  if 0 < limit < len(examples):
    examples = examples.take(choice(len(examples), limit, seed))
  return examples


def choice(size: int, limit: int, seed: int) -> np.ndarray:
  """Returns a seeded random choice of `limit` distinct indices below `size`, int64."""
  positions = tf.range(limit, dtype=tf.int64)
  return _shuffled(positions, size, seed, "subset").numpy()


def by_step(batch, start: int) -> tf.data.Dataset:
  """Returns the endless batches batch(start), batch(start + 1), and so on."""
  steps = tf.data.Dataset.range(start, tf.int64.max)
  batches = steps.map(plain(batch), num_parallel_calls=2, deterministic=True)
  return untuned(batches.prefetch(2))


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
  """Returns the data set without autotuning, which has nothing to tune here.

  In TensorFlow 2.15, the autotuning thread often sleeps for up to a minute after it was
  cancelled, and deleting the iterator waits for it.
  """
  options = tf.data.Options()
  options.autotune.enabled = False
  return dataset.with_options(options)


# For functions that a data set maps over. They branch on Python values alone, so AutoGraph
# would rewrite their source for nothing.
plain = tf.autograph.experimental.do_not_convert


def _changed(found, step, stream: str, augment: bool, config, share: Share):
  """Returns a batch as the network sees it: moved, cropped and mirrored, as configured."""
  data, images = config.data, found["image"]
  stream_seed = config_lib.derive_seed(config.seed, f"augment {stream}")
  seed = tf.stack([tf.constant(stream_seed, tf.int64), step])
  part = {"part": share.index, "num_parts": share.count}
  if not data.classes:
    if augment:
      images = transforms.random_affine(images, seed, config.augment, **part)
    return {**found, "image": images}
  crop = (data.crop_height or data.height, data.crop_width or data.width)
  changes = config.augment if augment else None
  if crop == (data.height, data.width) and not data.flip and changes is None:
    return found
  views = transforms.random_views(images.shape[0], seed, data, crop, changes, **part)
  changed = {**found, "image": transforms.view_images(images, views, crop)}
  if changes is not None:
    changed["image"] = transforms.random_light(changed["image"], seed, changes, **part)
  if "label" in found:
    changed["label"] = transforms.view_labels(found["label"], views, crop)
  return changed


def _varied(images, step, stream: str, config, share: Share):
  """Changes images at random so that their labels hold: light in scenes, else position."""
  stream_seed = tf.constant(config_lib.derive_seed(config.seed, stream), tf.int64)
  vary = transforms.random_light if config.data.classes else transforms.random_affine
  seed = tf.stack([stream_seed, step])
  return vary(images, seed, config.augment, part=share.index, num_parts=share.count)


def _noise(size: int, count: int, step: tf.Tensor, seed: int, share: Share) -> tf.Tensor:
  """Returns float32 [B, count] in [0, 1), the same however a batch is shared."""
  stream_seed = tf.constant(config_lib.derive_seed(seed, "noise"), tf.int64)
  part = size // share.count
  whole = tf.random.stateless_uniform([size, count], tf.stack([stream_seed, step]))
  return whole[share.index * part : (share.index + 1) * part]


def indices(
  step: tf.Tensor, batch_size: int, size: int, seed: int, stream: str, share: Share
) -> tf.Tensor:
  """Returns the image indices of one batch, int64 [B].

  Every epoch is a new permutation, and a batch may span the end of an epoch.
  """
  part = batch_size // share.count
  positions = step * batch_size + tf.range(part, dtype=tf.int64) + share.index * part
  return _shuffled(positions, size, seed, stream)


def _target_indices(
  target: feeds.Split, step: tf.Tensor, batch_size: int, seed: int, share: Share
) -> tf.Tensor:
  """Returns equally many images of each target, in turn; so does each replica's slice."""
  if target.parts is None:
    return indices(step, batch_size, len(target), seed, "adapt target", share)
  chosen = []
  for name in target.parts.names:
    own = target.parts.where(name)
    size, stream = batch_size // len(target.parts.names), f"adapt target {name}"
    places = indices(step, size, len(own), seed, stream, share)
    chosen.append(tf.gather(tf.constant(own, tf.int64), places))
  return tf.reshape(tf.stack(chosen, axis=1), [-1])


def _shuffled(positions: tf.Tensor, size: int, seed: int, stream: str) -> tf.Tensor:
  """Maps positions in an endless sequence of epochs to indices of images.

  `index_shuffle` computes single elements of a permutation, so that step 10,000 does not
  need the 9,999 before it.
  """
  epoch = positions // size
  # Streams of one run must not use the same permutation.
  stream_seed = tf.constant(config_lib.derive_seed(seed, stream), tf.int64)
  keys = tf.stack(
    [tf.zeros_like(epoch), tf.fill(tf.shape(epoch), stream_seed), epoch], axis=-1
  )
  # The raw op: TensorFlow 2.15's Python wrapper pads a matrix of keys along the wrong axis,
  # and its 4 rounds leave successive epochs of 60,000 images in nearly the same order.
  return tf.raw_ops.RandomIndexShuffle(
    index=positions % size, seed=keys, max_index=tf.constant(size - 1, tf.int64), rounds=16
  )
