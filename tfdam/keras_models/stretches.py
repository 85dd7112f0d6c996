"""The walk of Gaussian matching, at about the cost of a compiled forward pass."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfdam import sites as sites_lib
from tfdam.keras_models import program as program_lib
from tfdam.keras_models import walking
from tfdam.matching import folding


class Stretches(walking.Walk):
  """A walk whose states are kept before a batch norm that is a site, not after it.

  The norm is then the first operation of the next stretch. By that time it has its matched
  weights, so stored maps need no correction, and norm and non-linearity take one pass.
  """

  def stretches(self, compiled: bool) -> tuple[sites_lib.Site, ...]:
    """The sites, for one matching only: graphs keep the values of all but variables.

    Args:
      compiled: whether to compile each stretch to a graph at its first batch. The time for
        this is saved by about four batches of a 50-layer network at 128x128.
    """
    found = []
    for index, site in enumerate(self.sites()):
      advance = self._stretch(index)
      waits = folding.is_batch_norm(site.layer)
      found.append(
        site._replace(advance=_graph(advance) if compiled else advance, waits_before=waits)
      )
    return tuple(found)

  def _stretch(self, index: int) -> sites_lib.Advance:
    place = self._places[index]
    one = self._program.operations[place]

    def advance(state: sites_lib.State) -> sites_lib.State:
      values, start = self._waited(state, index)
      values = self._run(values, start, place, fused=True)
      if folding.is_batch_norm(one.layer):
        output, done = values.pop(one.reads[0]), place - 1
      else:
        output, done = self._output(one, values), place
      return {"output": output, **self._needed(values, done)}

    return advance

  def _waited(self, state: sites_lib.State, index: int) -> tuple[program_lib.Values, int]:
    """A state's values, and the next operation: the norm before which the state is kept."""
    place = self._places[index - 1]
    one = self._program.operations[place]
    if index == 0 or not folding.is_batch_norm(one.layer):
      return self._values(state, index)
    values = {int(name): value for name, value in state.items() if name != "output"}
    return {**values, one.reads[0]: state["output"]}, place


def _graph(advance: sites_lib.Advance) -> Callable[[sites_lib.State], sites_lib.State]:
  """Compiles `advance` for batches of any size, since the last one is often smaller."""
  function = tf.function(advance, autograph=False, reduce_retracing=True)

  def run(state: sites_lib.State) -> sites_lib.State:
    if not function.experimental_get_tracing_count():
      function.get_concrete_function({n: _of_any_batch(v) for n, v in state.items()})
    return function(state)

  return run


def _of_any_batch(value: tf.Tensor) -> tf.TensorSpec:
  """A spec with an open batch size; vectors keep their size, as they may hold shapes."""
  if value.shape.rank < 2:
    return tf.TensorSpec(value.shape, value.dtype)
  return tf.TensorSpec([None, *value.shape[1:]], value.dtype)
