"""The taps of adaptation: a network's own, and those computed from its logits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.matching import entropy_map

# Name of the logits among cached taps. No layer has this name.
LOGITS = "(logits)"


def of_output(output: Mapping[str, Any], names: Iterable[str]) -> dict[str, tf.Tensor]:
  """Returns {tap: its activations}.

  Args:
    output: {"logits", "taps"} of a network. If the network has a tap named like
      config.ENTROPY, that tap is used.
    names: names of the network's taps, config.ENTROPY or LOGITS.
  """
  taps = output["taps"]

  def found(name: str) -> tf.Tensor:
    if name == LOGITS:
      return output["logits"]
    if name == config_lib.ENTROPY and name not in taps:
      return entropy_map.self_information(output["logits"])
    return taps[name]

  return {name: found(name) for name in names}
