"""Batches as pure functions of seed and step: a resumed run sees the same images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import transforms


@dataclasses.dataclass(frozen=True)
class Share:
  """A worker's part of every global batch: of `count` equal slices the one at `index`."""

  index: int = 0
  count: int = 1


WHOLE = Share()


def labelled_batches(
  source: examples_lib.Examples,
  config: config_lib.Config,
  start: int = 0,
  share: Share = WHOLE,
) -> tf.data.Dataset:
  """Endless batches for supervised training, from step `start` on.

  Returns:
    Dataset of {"image": float32 [B, S, S, C] in [0, 1], "label": int64 [B]}, B this share
    of the global batch.
  """
  images, labels = _constant(source.images), _constant(source.labels)
  options = config.source

  def batch(step):
    size, seed = options.global_batch_size, config.seed
    indices = _indices(step, size, len(source), seed, "source", share)
    return {
      "image": _chosen_images(
        images, indices, step, "source", options.augment, config, share
      ),
      "label": tf.gather(labels, indices),
    }

  return _by_step(batch, start)


def domain_batches(
  source: examples_lib.Examples,
  target: examples_lib.Examples,
  config: config_lib.Config,
  start: int = 0,
  source_taps: Mapping[str, tf.Tensor] | None = None,
  share: Share = WHOLE,
) -> tf.data.Dataset:
  """Endless batches of both domains, from step `start` on; the target's without labels.

  Args:
    source_taps: {tap: float32 [len(source), ...]}, to give instead of source images.

  Returns:
    Dataset of {"target": float32 [B, S, S, C] in [0, 1]} with "source", the same of the
    source, and "source_label", int64 [B] where the objective needs it; or with
    "source_taps", {tap: float32 [B, ...]}. B is this share of the global batch.
  """
  options, seed = config.adapt, config.seed
  size = options.global_batch_size
  target_images = _constant(target.images)
  source_images = _constant(source.images)
  # Joint MMD alone trains on the source's labels as well.
  labels = _constant(source.labels) if options.objective == "joint_mmd" else None

  def images(stored, indices, step, stream):
    return _chosen_images(stored, indices, step, stream, options.augment, config, share)

  def batch(step):
    from_source = _indices(step, size, len(source), seed, "adapt source", share)
    from_target = _indices(step, size, len(target), seed, "adapt target", share)
    batches = {"target": images(target_images, from_target, step, "adapt target")}
    if source_taps is None:
      batches["source"] = images(source_images, from_source, step, "adapt source")
      if labels is not None:
        batches["source_label"] = tf.gather(labels, from_source)
    else:
      batches["source_taps"] = {
        tap: tf.gather(stored, from_source) for tap, stored in source_taps.items()
      }
    return batches

  return _by_step(batch, start)


def ordered_batches(
  examples: examples_lib.Examples, batch_size: int, options: config_lib.Data
) -> tf.data.Dataset:
  """Every image once, in order; the last batch may be smaller.

  Returns:
    Dataset of float32 [<=batch_size, S, S, C], in [0, 1].
  """
  batches = tf.data.Dataset.from_tensor_slices(_constant(examples.images)).batch(batch_size)
  return batches.map(lambda batch: _network_input(batch, options)).prefetch(1)


def subset(examples: examples_lib.Examples, limit: int, seed: int) -> examples_lib.Examples:
  """A seeded random choice of `limit` images without labels; all of them if limit is 0."""
  images = examples.images
  if 0 < limit < len(images):
    positions = tf.range(limit, dtype=tf.int64)
    images = images[_shuffled(positions, len(images), seed, "subset").numpy()]
  return examples_lib.Examples(images, None, examples.digests, examples.notes)


def _by_step(batch, start: int) -> tf.data.Dataset:
  steps = tf.data.Dataset.range(start, tf.int64.max)
  return steps.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def _chosen_images(images, indices, step, stream: str, augment: bool, config, share: Share):
  """The images of one batch as the network sees them, moved by chance if asked."""
  batch = _network_input(tf.gather(images, indices), config.data)
  if augment:
    stream_seed = config_lib.derive_seed(config.seed, f"augment {stream}")
    seed = tf.stack([tf.constant(stream_seed, tf.int64), step])
    batch = transforms.random_affine(batch, seed, config.augment, share.index, share.count)
  return batch


def _network_input(images: tf.Tensor, options: config_lib.Data) -> tf.Tensor:
  return transforms.to_network(images, options.image_size, options.channels)


def _indices(
  step: tf.Tensor, batch_size: int, size: int, seed: int, stream: str, share: Share
) -> tf.Tensor:
  """Image indices of one batch: every epoch a permutation, batches run across its end."""
  part = batch_size // share.count
  positions = step * batch_size + tf.range(part, dtype=tf.int64) + share.index * part
  return _shuffled(positions, size, seed, stream)


def _shuffled(positions: tf.Tensor, size: int, seed: int, stream: str) -> tf.Tensor:
  """Maps positions in an endless sequence of epochs to indices of images.

  `index_shuffle` computes single elements of a permutation, so that step 10,000 is found
  without the 9,999 before it.
  """
  epoch = positions // size
  # Streams with one seed must not see the same permutation.
  stream_seed = tf.constant(config_lib.derive_seed(seed, stream), tf.int64)
  keys = tf.stack(
    [tf.zeros_like(epoch), tf.fill(tf.shape(epoch), stream_seed), epoch], axis=-1
  )
  # The raw op: TensorFlow 2.15's Python wrapper pads a matrix of keys along the wrong axis,
  # and its 4 rounds leave successive epochs of 60,000 images in nearly the same order.
  return tf.raw_ops.RandomIndexShuffle(
    index=positions % size, seed=keys, max_index=tf.constant(size - 1, tf.int64), rounds=16
  )


def _constant(array) -> tf.Tensor:
  # On the host: a data set on a GPU would be copied there and back.
  with tf.device("/CPU:0"):
    return tf.constant(array)
