"""How matching walks through a network: eagerly, or by compiled graphs for many batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam import sites as sites_lib
from tfdam.matching import gaussian

# From this many batches of a domain, graphs save more time than it takes to build them.
_MANY = 3


class SiteWalk:
  """The sites of a network, and the function that measures moments at them.

  Networks of tfdam.models are walked eagerly and measured in float64, so that runs stay
  bit-identical. Any `tfdam.Network` is walked and measured in a faster way.

  Attributes:
    measure: takes activations [B, ..., channels] and returns their moments.
  """

  def __init__(self, network: Any):
    """Takes a network (network.py); its variables may change later, its layers may not."""
    self._network = network
    self._is_wrapped = _is_wrapped(network)
    self._graphs: tuple[sites_lib.Site, ...] = ()
    self.measure: Callable[[tf.Tensor], gaussian.Moments] = (
      gaussian.quick_moments if self._is_wrapped else gaussian.moments
    )

  def sites(self, num_batches: int = 0) -> tuple[sites_lib.Site, ...]:
    """The sites in network order; by graphs if there are many batches or graphs exist."""
    if not self._is_wrapped:
      return self._network.sites()
    if not self._graphs and num_batches >= _MANY:
      self._graphs = self._network.matching_sites(compiled=True)
    return self._graphs or self._network.matching_sites(compiled=False)

  def begin(
    self, batches: Iterable[tf.Tensor]
  ) -> tuple[tuple[sites_lib.Site, ...], Iterable[tf.Tensor]]:
    """Returns the sites that suit the number of batches, and all of the batches."""
    if not self._is_wrapped:
      return self.sites(), batches
    rest = iter(batches)
    first = list(itertools.islice(rest, _MANY))
    return self.sites(len(first)), itertools.chain(first, rest)

  def serves(self, other: Any) -> bool:
    """Whether another network of this architecture has the same weights.

    If so, this walk and its graphs serve the other network too.
    """
    if not self._is_wrapped or not _is_wrapped(other):
      return False
    pairs = zip(self._network.get_weights(), other.get_weights())
    return all(np.array_equal(mine, its) for mine, its in pairs)


def _is_wrapped(network: Any) -> bool:
  """Whether this is a `tfdam.Network`, which has a faster walk."""
  return hasattr(network, "matching_sites")
