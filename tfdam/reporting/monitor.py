"""Monitors activations during adaptation: histograms, and alarms when they collapse.

A fixed set of probe images from both training splits goes through both networks. The
monitor needs no target labels, uses no random numbers and changes no weights, so that a run
ends with the same bits with and without it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib

_PHASE = "watch"
# The names in its lines: for each tap, in the target and the source network; then for
# labels.
_DEAD = ("dead_channels", "source_dead_channels")
_DISTANCE, _CLASSES = "watch/marginal_distance", "watch/classes_predicted"
# Locations of each tap in a histogram: for street scenes, whole maps of all images would
# not fit into memory.
_LOCATIONS = 2_000
# Smaller changes, relative to the activation, are rounding errors of float32.
_ROUNDING = 1e-6
_ADVICE = (
  "Raise --config.adapt.drift_weight, or lower --config.adapt.gan_weight,"
  " --config.adapt.target_learning_rate or --config.adapt.discriminator_learning_rate."
)


class Batches(Sized, Iterable[tf.Tensor], Protocol):
  """Batches of float32 [B, H, W, C], in [0, 1]; every iteration gives the same ones."""


class Record(Protocol):
  """Stores and reads a monitor's numbers; see runs/records.py."""

  def write(
    self, stage: str, step: int, values: Mapping[str, float], phase: str
  ) -> None: ...

  def write_histograms(
    self, run: str, step: int, values: Mapping[str, tf.Tensor]
  ) -> None: ...

  def read(self, stage: str, phase: str) -> list[dict[str, Any]]: ...


class Probe(NamedTuple):
  """A network's activations and predictions on the probe images of one domain.

  Attributes:
    samples: {tap: float32 [locations, channels]}, some locations of every batch.
    dead_channels: {tap: number of channels with a constant value}.
    predictions: int64 [num_classes], how often each class was predicted.
  """

  samples: dict[str, tf.Tensor]
  dead_channels: dict[str, int]
  predictions: np.ndarray


class Monitor:
  """Monitors a stage's target network whenever it is called, with the steps done."""

  def __init__(
    self,
    stage: str,
    networks: Mapping[str, tf.keras.Model],
    images: Mapping[str, Batches],
    prior: np.ndarray | None,
    record: Record,
    options: config_lib.Loop,
  ):
    """Makes a monitor; nothing is computed yet.

    Args:
      stage: histograms go to summaries/<stage>_source and summaries/<stage>_target.
      networks: {"source": frozen, "target": trained}, both built.
      images: {"source": ..., "target": ...}, the probe images.
      prior: float64 [num_classes], the source's label frequencies; None for those that the
        source network predicts.
      record: takes histograms, and numbers as lines of phase "watch".
      options: the bounds of alarms.
    """
    self.stage = stage
    self.networks = networks
    self.images = images
    self.prior = prior
    self.record = record
    self.options = options

  def __call__(self, step: int) -> None:
    """Writes histograms and numbers, and warns of a new collapse."""
    target = self.write_histograms(step)
    self.record.write(self.stage, step, self._numbers(target), _PHASE)
    new = [alarm["what"] for alarm in self.alarms() if alarm["step"] == step]
    if new:
      logging.warning("%s, step %d: %s %s", self.stage, step, " ".join(new), _ADVICE)

  def write_histograms(self, step: int) -> Probe:
    """Adds histograms of all taps to TensorBoard, and returns the target's probe."""
    target = probe(self.networks["target"], self.images["target"])
    for domain, found in (("source", self._source), ("target", target)):
      histograms = {f"activations/{tap}": found.samples[tap] for tap in found.samples}
      self.record.write_histograms(f"{self.stage}_{domain}", step, histograms)
    return target

  def summary(self) -> dict[str, float]:
    """Returns measures that need no labels; see run_folder.Unlabelled."""
    numbers = self._numbers(probe(self.networks["target"], self.images["target"]))
    totals = {
      name: sum(int(numbers[f"watch/{tap}/{name}"]) for tap in self.channels)
      for name in _DEAD
    }
    return {
      "marginal_distance": numbers[_DISTANCE],
      "classes_predicted": numbers[_CLASSES],
      **totals,
      "channels": sum(self.channels.values()),
    }

  def alarms(self) -> list[dict[str, Any]]:
    """Returns every alarm of this stage, [{"step", "what"}].

    Alarms are found from the lines in metrics.jsonl, so that a resumed run has each once.
    """
    looks = self.record.read(self.stage, _PHASE)
    needed = [
      *(f"watch/{tap}/{name}" for tap in self.channels for name in _DEAD),
      _DISTANCE,
      _CLASSES,
    ]
    # A line may be damaged, or from a version that wrote other numbers.
    whole = [look for look in looks if all(_is_number(look.get(name)) for name in needed)]
    return find_alarms(whole, self.channels, self.options)

  @functools.cached_property
  def channels(self) -> dict[str, int]:
    """{tap: number of channels}, in network order."""
    image = next(iter(self.images["source"]))[:1]
    taps = self.networks["source"](image, training=False)["taps"]
    return {tap: taps[tap].shape[-1] for tap in self.networks["source"].TAPS}

  @functools.cached_property
  def _source(self) -> Probe:
    # Computed once, as the source network is frozen, and only if a stage is not finished.
    return probe(self.networks["source"], self.images["source"])

  def _numbers(self, target: Probe) -> dict[str, float]:
    source, prior = self._source, self.prior
    numbers: dict[str, float] = {}
    for tap, dead in target.dead_channels.items():
      for name, value in zip(_DEAD, (dead, source.dead_channels[tap])):
        numbers[f"watch/{tap}/{name}"] = value
    marginal = target.predictions / target.predictions.sum()
    if prior is None:
      prior = source.predictions / source.predictions.sum()
    numbers[_DISTANCE] = float(np.abs(marginal - prior).sum() / 2)
    numbers[_CLASSES] = int(np.count_nonzero(target.predictions))
    return numbers


def probe(network: tf.keras.Model, batches: Batches) -> Probe:
  """Runs a network on its probe images, in inference, batch by batch."""
  samples: dict[str, list[tf.Tensor]] = {tap: [] for tap in network.TAPS}
  ranges: dict[str, list[tf.Tensor]] = {tap: [] for tap in network.TAPS}
  predictions: Any = 0
  for images in batches:
    outputs = network(images, training=False)
    for tap in network.TAPS:
      activations = tf.cast(outputs["taps"][tap], tf.float32)
      locations = tf.reshape(activations, [-1, activations.shape[-1]])
      samples[tap].append(_some(locations, max(1, _LOCATIONS // len(batches))))
      ranges[tap] += [tf.reduce_min(locations, 0), tf.reduce_max(locations, 0)]
    predicted = tf.argmax(outputs["logits"], axis=-1).numpy().ravel()
    predictions += np.bincount(predicted, minlength=outputs["logits"].shape[-1])
  return Probe(
    {tap: tf.concat(samples[tap], axis=0) for tap in samples},
    {tap: _count_dead(tf.stack(ranges[tap])) for tap in ranges},
    predictions,
  )


def find_alarms(
  looks: Sequence[Mapping[str, Any]],
  channels: Mapping[str, int],
  options: config_lib.Loop,
) -> list[dict[str, Any]]:
  """Finds the steps at which a number first exceeds its bound.

  The line before the first step raises no alarm, because it shows the shift between the
  domains that adaptation is to remove. Messages give its numbers for comparison.

  Args:
    looks: lines of phase "watch", in the order of steps.
    channels: {tap: number of channels}, in network order.
    options: the bounds.

  Returns:
    [{"step": int, "what": sentence}].
  """
  found, before = [], set()
  for look in looks:
    if look["step"] == 0:
      continue
    complaints = _complaints(look, looks[0], channels, options)
    found += [
      {"step": look["step"], "what": what}
      for name, what in complaints.items()
      if name not in before
    ]
    before = set(complaints)
  return found


def _complaints(look, first, channels, options: config_lib.Loop) -> dict[str, str]:
  """Returns {what exceeds its bound: the sentence that says so}."""
  complaints = {}
  for tap, num_channels in channels.items():
    dead, source_dead = (look[f"watch/{tap}/{name}"] for name in _DEAD)
    if dead - source_dead > options.alarm_dead_share * num_channels:
      complaints[tap] = (
        f"{dead} of {num_channels} channels of {tap} are dead on target images, and"
        f" {source_dead} of the source network's on source images (loop.alarm_dead_share"
        f" {options.alarm_dead_share:g})."
      )
  distance = look[_DISTANCE]
  if distance > options.alarm_marginal:
    complaints["marginal"] = (
      f"Predicted labels (classes seen: {look[_CLASSES]}) are"
      f" {distance:.2f} from the source's in total variation,"
      f" {first[_DISTANCE]:.2f} at step {first['step']}"
      f" (loop.alarm_marginal {options.alarm_marginal:g})."
    )
  return complaints


def _is_number(value: Any) -> bool:
  return isinstance(value, (int, float))


def _some(locations: tf.Tensor, limit: int) -> tf.Tensor:
  """Returns at most `limit` whole rows, so that all channels count equally."""
  count = tf.shape(locations)[0]
  if count <= limit:
    return locations
  # Stateless, so that the rows are always the same and the global generator is not used. An
  # even stride could sample a single column of a map.
  rows = tf.random.stateless_uniform([limit], (0, 0), maxval=count, dtype=tf.int32)
  return tf.gather(locations, rows)


def _count_dead(extremes: tf.Tensor) -> int:
  """Counts the channels with a single value.

  Args:
    extremes: float32 [2 * batches, channels], each batch's minima and maxima.
  """
  low, high = tf.reduce_min(extremes, axis=0), tf.reduce_max(extremes, axis=0)
  scale = tf.maximum(tf.abs(low), tf.abs(high))
  return int(tf.math.count_nonzero(high - low <= _ROUNDING * scale))
