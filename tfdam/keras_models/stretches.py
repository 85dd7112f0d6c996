"""The walk of Gaussian matching: hardly more work than a compiled forward pass."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfdam import sites as sites_lib
from tfdam.keras_models import program as program_lib
from tfdam.keras_models import walking
from tfdam.matching import folding


class Stretches(walking.Walk):
  """A walk whose states wait before a batch norm that is a site, instead of after it.

  The norm is the next stretch's first operation. It has the weights that matching gave it
  by then, so that no map has to be mended, and norm and non-linearity are one pass.
  """

  def stretches(self, compiled: bool) -> tuple[sites_lib.Site, ...]:
    """The sites, for one matching: a graph keeps what it saw beside variables.

    Args:
      compiled: makes each stretch one graph at its first batch. That takes as long as about
        four batches of a 50-layer network at 128x128 save by it.
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
    """A state as values, and the operation to go on with: a norm that it waits before."""
    place = self._places[index - 1]
    one = self._program.operations[place]
    if index == 0 or not folding.is_batch_norm(one.layer):
      return self._values(state, index)
    values = {int(name): value for name, value in state.items() if name != "output"}
    return {**values, one.reads[0]: state["output"]}, place


def _graph(advance: sites_lib.Advance) -> Callable[[sites_lib.State], sites_lib.State]:
  """`advance` as one graph for batches of any size: the last one is often smaller."""
  function = tf.function(advance, autograph=False, reduce_retracing=True)

  def run(state: sites_lib.State) -> sites_lib.State:
    if not function.experimental_get_tracing_count():
      function.get_concrete_function({n: _of_any_batch(v) for n, v in state.items()})
    return function(state)

  return run


def _of_any_batch(value: tf.Tensor) -> tf.TensorSpec:
  """What is no map or row of features may be a shape, which has to stay known."""
  if value.shape.rank < 2:
    return tf.TensorSpec(value.shape, value.dtype)
  return tf.TensorSpec([None, *value.shape[1:]], value.dtype)
