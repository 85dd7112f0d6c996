"""The taps of adaptation: a network's own, and those that are made of its logits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import entropy_map

# Among the taps that are kept: the logits themselves. No layer is called so.
LOGITS = "(logits)"


def of_output(output: Mapping[str, Any], names: Iterable[str]) -> dict[str, tf.Tensor]:
  """{tap: its activations}.

  Args:
    output: {"logits", "taps"} of a network; its own tap goes before one that is made.
    names: of the network's taps, config.ENTROPY or LOGITS.
  """
  taps = output["taps"]

  def found(name: str) -> tf.Tensor:
    if name == LOGITS:
      return output["logits"]
    if name == config_lib.ENTROPY and name not in taps:
      return entropy_map.self_information(output["logits"])
    return taps[name]

  return {name: found(name) for name in names}
