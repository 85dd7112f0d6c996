"""One network whose batch norms are each target's own; it shares everything else.

A batch norm's moments and its scale and shift say what a domain looks like, the other
weights what to see in it: so a network serves several domains (Li et al., AdaBN, 2016;
Chang et al., "Domain-specific batch normalization", CVPR 2019).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam.models import conv_norm

Norms = Sequence[conv_norm.BatchNorm]


def norms_of(network: Any) -> list[conv_norm.BatchNorm]:
  """A network's batch norms, in an order that is the same in its copies."""
  found = [layer for layer in network.submodules if isinstance(layer, conv_norm.BatchNorm)]
  return sorted(found, key=lambda norm: norm.name)


class TargetNorms(tf.Module):
  """The batch norms of every target but the first, which has the network's own.

  Attributes:
    sets: of each other target as many norms as the network has, in their order.
  """

  def __init__(self, sets: Sequence[Norms]):
    """Takes the norms of the second target and of those after it."""
    super().__init__(name="target_norms")
    self.sets = [list(norms) for norms in sets]

  @property
  def variables(self) -> list[Any]:
    return [v for norms in self.sets for norm in norms for v in norm.variables]


class PerTarget:
  """A network (network.py) for images of several targets, a set of norms for each.

  Call arguments:
    images: float32 [B, H, W, C], as many of each target, in turn: of n targets the image at
      i is of number i % n, as in batches of adaptation and in `pairs.probe_batches`.
    training: for batch norms.

  Returns:
    {"logits", "taps"}, as the network gives them, in the order of the images.

  Attributes:
    network: has the first target's norms.
    norms: the others'.
    names: of the targets, in their order.
    TAPS: the network's.
  """

  def __init__(self, network: Any, names: Sequence[str], norms: TargetNorms | None = None):
    """Takes a network of tfdam.models, built.

    Args:
      norms: None: new ones, which start anywhere (see `set_weights`).
    """
    own = norms_of(network)
    self.network = network
    self.names = tuple(names)
    self.TAPS = network.TAPS
    self.norms = norms or TargetNorms([list(map(_twin, own)) for _ in names[1:]])

  @classmethod
  def alike(cls, network: Any, names: Sequence[str]) -> PerTarget:
    """A network that each target has as it is: where others start, or are held."""
    return cls(network, names, TargetNorms([norms_of(network) for _ in names[1:]]))

  def __call__(self, images: tf.Tensor, training: bool = False) -> dict[str, Any]:
    count = len(self.names)
    outputs = [
      self.of_target(name)(images[i::count], training=training)
      for i, name in enumerate(self.names)
    ]
    return tf.nest.map_structure(_in_turn, *outputs)

  def of_target(self, name: str) -> OfTarget:
    """The network of one target, as it is whenever it is called."""
    return OfTarget(self, self.names.index(name))

  def adopt(self, name: str, norms: Norms) -> None:
    """Gives a target the values of other norms, in their order."""
    into = self._norms(self.names.index(name))
    for norm, other in zip(into, norms):
      norm.set_weights(other.get_weights())

  def give(self, name: str) -> None:
    """Makes the network itself one target's, in place of the first's."""
    self.adopt(self.names[0], self._norms(self.names.index(name)))

  @property
  def submodules(self) -> Sequence[Any]:
    return self.network.submodules

  def sites(self) -> Any:
    """Those of the first target's network."""
    return self.network.sites()

  @property
  def variables(self) -> list[Any]:
    return [*self.network.variables, *self.norms.variables]

  @property
  def trainable_variables(self) -> list[Any]:
    """The network's, then the other targets' scales and shifts."""
    others = [v for n in self._others() for v in n.trainable_variables]
    return [*self.network.trainable_variables, *others]

  @property
  def non_trainable_variables(self) -> list[Any]:
    others = [v for n in self._others() for v in n.non_trainable_variables]
    return [*self.network.non_trainable_variables, *others]

  def get_weights(self) -> list[np.ndarray]:
    others = [values for norm in self._others() for values in norm.get_weights()]
    return [*self.network.get_weights(), *others]

  def set_weights(self, weights: Sequence[np.ndarray]) -> None:
    rest = list(weights)
    for layer in (self.network, *self._others()):
      count = len(layer.get_weights())
      layer.set_weights(rest[:count])
      rest = rest[count:]

  def _others(self) -> list[conv_norm.BatchNorm]:
    return [norm for norms in self.norms.sets for norm in norms]

  def _norms(self, index: int) -> Norms:
    return self.norms.sets[index - 1] if index else norms_of(self.network)

  @contextlib.contextmanager
  def acting(self, index: int) -> Iterator[None]:
    """Within it the network has one target's norms."""
    with conv_norm.acting(zip(norms_of(self.network), self._norms(index))):
      yield


class OfTarget:
  """One target's network, of images of that target alone."""

  def __init__(self, networks: PerTarget, index: int):
    self._networks, self._index = networks, index

  def __call__(self, images: tf.Tensor, training: bool = False) -> dict[str, Any]:
    """As a network; see network.py."""
    with self._networks.acting(self._index):
      return self._networks.network(images, training=training)


def _twin(norm: conv_norm.BatchNorm) -> conv_norm.BatchNorm:
  """Another norm of the same kind, built."""
  twin = conv_norm.BatchNorm(
    epsilon=norm.epsilon, momentum=norm.momentum, name=f"{norm.name}_of_target"
  )
  channels = norm.gamma.shape[0]
  rank = norm.input_spec.ndim
  conv_norm.build(twin, (*[None] * (rank - 1), channels))
  twin.image_share = norm.image_share
  return twin


def _in_turn(*parts: tf.Tensor) -> tf.Tensor:
  """One image of each part, then the next of each."""
  size = parts[0].shape[1:]
  rest = size if size.is_fully_defined() else tf.shape(parts[0])[1:]
  return tf.reshape(tf.stack(parts, axis=1), tf.concat([[-1], rest], axis=0))
