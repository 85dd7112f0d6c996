"""One network with separate batch norms for each target; all other layers are shared.

Batch norms hold what is particular to a domain, and the other weights what domains have in
common, so one network can serve several domains (Li et al., AdaBN, 2016; Chang et al.,
"Domain-specific batch normalization", CVPR 2019).
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
  """A network's batch norms, in the same order for all of its copies."""
  found = [layer for layer in network.submodules if isinstance(layer, conv_norm.BatchNorm)]
  return sorted(found, key=lambda norm: norm.name)


class TargetNorms(tf.Module):
  """The batch norms of every target but the first, which uses the network's own.

  Attributes:
    sets: for each further target, as many norms as the network has, in the same order.
  """

  def __init__(self, sets: Sequence[Norms]):
    """Takes the norms of the second target and of all after it."""
    super().__init__(name="target_norms")
    self.sets = [list(norms) for norms in sets]

  @property
  def variables(self) -> list[Any]:
    return [v for norms in self.sets for norm in norms for v in norm.variables]


class PerTarget:
  """A network (network.py) for images of several targets, with one set of norms for each.

  Call arguments:
    images: float32 [B, H, W, C], with targets interleaved: of n targets, image i belongs to
      target i % n, as in batches of adaptation and in `pairs.probe_batches`.
    training: whether batch norms use the batch's own moments.

  Returns:
    The network's {"logits", "taps"}, in the order of the images.

  Attributes:
    network: the network, with the first target's norms.
    norms: the other targets' norms.
    names: names of the targets, in order.
    TAPS: the network's.
  """

  def __init__(self, network: Any, names: Sequence[str], norms: TargetNorms | None = None):
    """Takes a built network of tfdam.models.

    Args:
      network: the network, with the first target's norms.
      names: names of the targets, in order.
      norms: the other targets' norms. If None, new ones are made, to be given values by
        `set_weights`.
    """
    own = norms_of(network)
    self.network = network
    self.names = tuple(names)
    self.TAPS = network.TAPS
    self.norms = norms or TargetNorms([list(map(_twin, own)) for _ in names[1:]])

  @classmethod
  def alike(cls, network: Any, names: Sequence[str]) -> PerTarget:
    """Uses the network's own norms for all targets: a start or an anchor for others."""
    return cls(network, names, TargetNorms([norms_of(network) for _ in names[1:]]))

  def __call__(self, images: tf.Tensor, training: bool = False) -> dict[str, Any]:
    count = len(self.names)
    outputs = [
      self.of_target(name)(images[i::count], training=training)
      for i, name in enumerate(self.names)
    ]
    return tf.nest.map_structure(_in_turn, *outputs)

  def of_target(self, name: str) -> OfTarget:
    """The network of one target; later changes of the weights apply to it too."""
    return OfTarget(self, self.names.index(name))

  def adopt(self, name: str, norms: Norms) -> None:
    """Copies the values of other norms, in the same order, to a target's norms."""
    into = self._norms(self.names.index(name))
    for norm, other in zip(into, norms):
      norm.set_weights(other.get_weights())

  def give(self, name: str) -> None:
    """Copies a target's norms into the network itself, over the first target's."""
    self.adopt(self.names[0], self._norms(self.names.index(name)))

  @property
  def submodules(self) -> Sequence[Any]:
    return self.network.submodules

  def sites(self) -> Any:
    """The sites of the first target's network."""
    return self.network.sites()

  @property
  def variables(self) -> list[Any]:
    return [*self.network.variables, *self.norms.variables]

  @property
  def trainable_variables(self) -> list[Any]:
    """The network's variables, then the other targets' scales and shifts."""
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
    """Within this context, the network uses one target's norms."""
    with conv_norm.acting(zip(norms_of(self.network), self._norms(index))):
      yield


class OfTarget:
  """One target's network; it takes images of that target only."""

  def __init__(self, networks: PerTarget, index: int):
    self._networks, self._index = networks, index

  def __call__(self, images: tf.Tensor, training: bool = False) -> dict[str, Any]:
    """Runs the network; see network.py."""
    with self._networks.acting(self._index):
      return self._networks.network(images, training=training)


class WithNorms:
  """A network with other batch norms, such as the source's; all other layers are shared."""

  def __init__(self, network: Any, norms: Norms):
    """Takes a network, or a network for each target, and norms in the order of its own."""
    self._network = network.network if isinstance(network, PerTarget) else network
    self._norms = norms

  def __call__(self, images: tf.Tensor, training: bool = False) -> dict[str, Any]:
    """Runs the network; see network.py."""
    with conv_norm.acting(zip(norms_of(self._network), self._norms)):
      return self._network(images, training=training)


def _twin(norm: conv_norm.BatchNorm) -> conv_norm.BatchNorm:
  """Makes and builds another norm of the same kind."""
  twin = conv_norm.BatchNorm(
    epsilon=norm.epsilon, momentum=norm.momentum, name=f"{norm.name}_of_target"
  )
  channels = norm.gamma.shape[0]
  rank = norm.input_spec.ndim
  conv_norm.build(twin, (*[None] * (rank - 1), channels))
  twin.image_share = norm.image_share
  return twin


def _in_turn(*parts: tf.Tensor) -> tf.Tensor:
  """Interleaves tensors [B, ...]: the first entry of each, then the second of each."""
  size = parts[0].shape[1:]
  rest = size if size.is_fully_defined() else tf.shape(parts[0])[1:]
  return tf.reshape(tf.stack(parts, axis=1), tf.concat([[-1], rest], axis=0))
