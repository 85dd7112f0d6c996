"""Runs a graph at once, or from site to site with the values that are still needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import tensorflow as tf

from tfdam import sites as sites_lib
from tfdam.keras_models import finding, versions
from tfdam.keras_models import program as program_lib


class Walk:
  """The forward pass of a program, split at its sites.

  A state holds the last site's output as "output", and by number every other value that
  later operations read, such as the input of a residual block. So the whole walk costs one
  forward pass, whatever the form of the graph.
  """

  def __init__(
    self, program: program_lib.Program, places: Collection[int], logits: finding.Logits
  ):
    """Takes a program and its sites.

    Args:
      program: the operations of a model.
      places: indices of the operations that are sites, ascending.
      logits: where the pass ends.
    """
    self._program = program
    self._places = tuple(places)
    self._logits = logits
    self._last_uses = {**program.last_uses(), logits.output: len(program.operations)}

  def forward(
    self, images: tf.Tensor, training: bool, taps: Mapping[str, int]
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Runs the whole pass; returns (logits, {tap: activations}).

    Args:
      images: float [B, H, W, C], in the model's own format.
      training: for batch norms.
      taps: {name: number of its value}.
    """
    values = self._run(
      {self._program.input: images}, 0, None, training, frozenset(taps.values())
    )
    logits = values[self._logits.output]
    return logits, {name: values[number] for name, number in taps.items()}

  def sites(self) -> tuple[sites_lib.Site, ...]:
    operations = self._program.operations
    return tuple(
      sites_lib.Site(operations[place].name, operations[place].layer, self._advance(i))
      for i, place in enumerate(self._places)
    )

  def logits_from(self, state: sites_lib.State) -> tf.Tensor:
    """The logits, from the state after the last site."""
    values, start = self._values(state, len(self._places))
    return self._run(values, start, None)[self._logits.output]

  def _advance(self, index: int) -> sites_lib.Advance:
    def advance(state: sites_lib.State) -> sites_lib.State:
      values, start = self._values(state, index)
      place = self._places[index]
      values = self._run(values, start, place)
      output = self._output(self._program.operations[place], values)
      return {"output": output, **self._needed(values, place)}

    return advance

  def _output(self, one: program_lib.Operation, values: program_lib.Values) -> tf.Tensor:
    """The output of a site, before an activation at the end of its layer."""
    return one.run(values, opened=_is_open(one))[one.writes[0]]

  def _needed(self, values: program_lib.Values, done: int) -> sites_lib.State:
    """The values that operations after `done` read, as entries of a state."""
    return {
      str(number): value for number, value in values.items()
      if self._last_uses.get(number, -1) > done
    }  # fmt: skip

  def _values(self, state: sites_lib.State, index: int) -> tuple[program_lib.Values, int]:
    """A state's values, and the next operation: the one after site index - 1."""
    if index == 0:
      return {self._program.input: state["output"]}, 0
    place = self._places[index - 1]
    one = self._program.operations[place]
    output = state["output"]
    if _is_open(one) and place != self._logits.opened:
      output = one.layer.activation(output)
    values = {int(name): value for name, value in state.items() if name != "output"}
    return {**values, one.writes[0]: output}, place + 1

  def _run(
    self,
    values: program_lib.Values,
    start: int,
    end: int | None,
    training: bool = False,
    kept: frozenset[int] = frozenset(),
    fused: bool = False,
  ) -> program_lib.Values:
    """Runs operations start to end - 1; drops values that nothing reads, except `kept`."""
    operations = self._program.operations
    values = dict(values)
    for place in range(start, len(operations) if end is None else end):
      one = operations[place]
      is_read = any(self._last_uses.get(number, -1) > place for number in one.writes)
      if not is_read and not kept.intersection(one.writes):
        continue  # It comes after the logits.
      values.update(one.run(values, training, place == self._logits.opened, fused))
      for number in one.reads:
        if self._last_uses.get(number, -1) <= place and number not in kept:
          values.pop(number, None)
    return values


def _is_open(one: program_lib.Operation) -> bool:
  """Whether a site's layer ends with an activation, which acts after scale and shift."""
  return versions.activation(one.layer) is not None
