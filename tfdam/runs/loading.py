"""Loads the network of a run's stage from its checkpoint."""

from __future__ import annotations

from typing import Any, NamedTuple

from tfdam import config as config_lib
from tfdam import data
from tfdam.runs import checkpoints, network_file, run_folder
from tfdam.training import networks, per_target
from tfdam.vocabulary import Stage


class Loaded(NamedTuple):
  """A stage's network, or its moving average if the run kept one.

  Attributes:
    network: see network.py; if the run has norms for each target, training/per_target.py.
    step: the step of its checkpoint.
    unfinished: the progress of an unfinished stage, such as "step 10 of 20"; else "".
  """

  network: Any
  step: int
  unfinished: str


def load_network(
  config: config_lib.Config, folder: run_folder.RunFolder, stage: str, target: str = ""
) -> Loaded | None:
  """Builds a run's network with the weights of a stage's newest whole checkpoint.

  Args:
    config: the run's; `data.root` may differ.
    folder: the run folder.
    stage: one of Stage.
    target: the target whose network to load, if the run has norms for each target; empty
      for all.

  Returns:
    The network; None if the stage has no checkpoint.

  Raises:
    config.UserError: the run's config does not fit the network in its checkpoint.
  """
  place = checkpoints.newest(folder.checkpoints(stage))
  if place is None:
    return None
  with folder.config_explained():
    config = network_file.of_run(config, folder)
    network = networks.build_network(config, "network", stage)
  checkpoints.restore_model(network, place, config.model.name)
  if has_norms_per_target(config, stage):
    every = per_target.PerTarget(network, data.targets(config.data))
    checkpoints.restore_norms(every.norms, place, config.model.name)
    if target:
      every.give(target)
    else:
      network = every
  is_finished = checkpoints.is_finished(place)
  return Loaded(
    network,
    checkpoints.read_info(place)["step"],
    "" if is_finished else checkpoints.progress(place),
  )


def has_norms_per_target(config: config_lib.Config, stage: str) -> bool:
  """Whether a stage's network has norms for each target."""
  return config.adapt.per_target and stage != Stage.SOURCE_ONLY


def trackables(name: str, network: Any) -> dict[str, Any]:
  """{name: trackable} for checkpoints of a network; two if it has norms for each target."""
  if isinstance(network, per_target.PerTarget):
    return {name: network.network, f"{name}_norms": network.norms}
  return {name: network}
