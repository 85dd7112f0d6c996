"""How matching walks through a network: op by op, or in graphs for many batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam import sites as sites_lib
from tfdam.matching import gaussian

# Batches of a domain from which on graphs save more time than making them takes.
_MANY = 3


class SiteWalk:
  """The sites of a network, and what takes moments at them.

  What runs build of tfdam.models is walked op by op and measured in float64 throughout: so
  such runs keep their bits. Any `tfdam.Network` is walked and measured in less time.

  Attributes:
    measure: activations [B, ..., channels] to their moments.
  """

  def __init__(self, network: Any):
    """Takes a network (network.py) as it is: changed variables are seen, nothing else."""
    self._network = network
    self._is_wrapped = _is_wrapped(network)
    self._graphs: tuple[sites_lib.Site, ...] = ()
    self.measure: Callable[[tf.Tensor], gaussian.Moments] = (
      gaussian.quick_moments if self._is_wrapped else gaussian.moments
    )

  def sites(self, num_batches: int = 0) -> tuple[sites_lib.Site, ...]:
    """In network order; as graphs for many batches, or once there are graphs."""
    if not self._is_wrapped:
      return self._network.sites()
    if not self._graphs and num_batches >= _MANY:
      self._graphs = self._network.matching_sites(compiled=True)
    return self._graphs or self._network.matching_sites(compiled=False)

  def begin(
    self, batches: Iterable[tf.Tensor]
  ) -> tuple[tuple[sites_lib.Site, ...], Iterable[tf.Tensor]]:
    """The sites for as many batches as these, and the batches."""
    if not self._is_wrapped:
      return self.sites(), batches
    rest = iter(batches)
    first = list(itertools.islice(rest, _MANY))
    return self.sites(len(first)), itertools.chain(first, rest)

  def serves(self, other: Any) -> bool:
    """Whether another network of this architecture computes the same: it has the weights.

    Its images can be walked through this one, then, whose graphs are made only once.
    """
    if not self._is_wrapped or not _is_wrapped(other):
      return False
    pairs = zip(self._network.get_weights(), other.get_weights())
    return all(np.array_equal(mine, its) for mine, its in pairs)


def _is_wrapped(network: Any) -> bool:
  """Whether it is a `tfdam.Network`, which knows of a quicker walk."""
  return hasattr(network, "matching_sites")
