"""Sets up an adaptation: target, discriminators, optimisers, phases (Sec. 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import drift
from tfdam.training import centroid_term, chosen_taps, loop, per_target
from tfdam.training import networks as networks_lib
from tfdam.training import optimizers as optimizers_lib
from tfdam.training import phases as phases_lib
from tfdam.vocabulary import Stage


class AdaptationState(NamedTuple):
  """The target network and its discriminators, before the first step.

  Attributes:
    target: the network that is trained; it starts with another network's weights.
    averaged: takes the moving average of the target's weights; the target itself if no
      average is kept.
    taps: the target's activations for one black image per target domain,
      {tap: [domains, ...]}.
    discriminators: {tap: discriminator}; empty if no objective needs any.
    optimizers: (the target's, {tap: its discriminator's}), with slots built.
    phases: in training order.
    centroids: the centroid term, whose variables belong into checkpoints; None if it is not
      used.
  """

  target: tf.keras.Model
  averaged: tf.keras.Model
  taps: dict[str, tf.Tensor]
  discriminators: Mapping[str, tf.keras.Model]
  optimizers: tuple[Any, dict[str, Any]]
  phases: list[loop.Phase]
  centroids: centroid_term.CentroidTerm | None

  @property
  def num_steps(self) -> int:
    """Steps of all phases, warm-ups included."""
    return sum(phase.num_steps for phase in self.phases)


class Networks(NamedTuple):
  """The networks of an adaptation (network.py).

  Attributes:
    source: the trained source network; frozen from here on.
    target: the network that is trained.
    averaged: takes the moving average of the target's weights; the target itself if no
      average is kept.
    anchor: the drift term keeps the target close to this network's weights.
  """

  source: Any
  target: Any
  averaged: Any
  anchor: Any


def set_up(
  config: config_lib.Config,
  source: tf.keras.Model,
  start: tf.keras.Model,
  anchor: tf.keras.Model,
  num_replicas: int = 1,
  prior: np.ndarray | None = None,
) -> AdaptationState:
  """Builds the target network and everything that trains it.

  Call it in the scope of the strategy that they will train under.

  Args:
    config: a whole config.
    source: the trained source network; frozen from here on.
    start: the target starts with this network's weights.
    anchor: the drift term keeps the target close to this network's weights.
    num_replicas: replicas in sync.
    prior: float [classes], the source's label frequencies, for information maximisation.
  """
  target = networks_lib.build_network(config, "target", Stage.ADAPTED)
  # If the start has batch norms per target domain, so do the target and its average.
  names = start.names if isinstance(start, per_target.PerTarget) else ()

  def started(network: Any) -> Any:
    network = per_target.PerTarget(network, names) if names else network
    network.set_weights(start.get_weights())
    return network

  target = averaged = started(target)
  if config.adapt.ema_momentum:
    averaged = started(networks_lib.build_network(config, "averaged", Stage.ADAPTED))
  size = networks_lib.input_size(config.data)
  image = tf.zeros([max(1, len(names)), *size, config.data.channels])
  networks = Networks(source, target, averaged, anchor)
  return between(networks, config, image, num_replicas, prior)


def between(
  networks: Networks,
  config: config_lib.Config,
  image: tf.Tensor,
  num_replicas: int = 1,
  prior: np.ndarray | None = None,
) -> AdaptationState:
  """Builds the discriminators, optimisers and phases for given networks.

  Args:
    networks: the networks; `source` is frozen.
    config: a whole config.
    image: float32 [1, H, W, C], any image, to find the taps' shapes; [targets, H, W, C] if
      each target domain has batch norms of its own.
    num_replicas: as for `set_up`.
    prior: as for `set_up`.
  """
  source, target, averaged, anchor = networks
  output = target(image)
  played = chosen_taps.of_output(output, config.adapt.tap_weights)
  taps = {**output["taps"], **played}
  discriminators = networks_lib.build_discriminators(config, output)
  optimizers = optimizers_lib.for_adaptation(config.adapt, target, discriminators)
  # Pair before freezing: a frozen network has no trainable variables.
  weight_pairs = drift.pair_weights(anchor.trainable_variables, target.trainable_variables)
  centroids = None
  if config.adapt.centroid_weight:
    classes = config.data.num_classes
    centroids = centroid_term.CentroidTerm(config.adapt, taps, classes)
  source.trainable = False
  phases = phases_lib.of_adaptation(
    config, source, target, averaged, discriminators, weight_pairs, optimizers,
    num_replicas, prior, centroids,
  )  # fmt: skip
  return AdaptationState(
    target, averaged, taps, discriminators, optimizers, phases, centroids
  )
