"""Computes report.json of a finished run from its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import files
from tfdam.runs import context as context_lib
from tfdam.runs import loading, pictures, records, report_facts, run_folder
from tfdam.training import distribution
from tfdam.training import networks as networks_lib


def compute_facts(
  config: config_lib.Config,
  folder: run_folder.RunFolder,
  stages: Sequence[str],
  domains: context_lib.Domains,
  strategy: tf.distribute.Strategy,
) -> None:
  """Writes report.json, as the run would have done at its end.

  Args:
    config: the run's.
    folder: the run folder.
    stages: the stages that were scored, in order.
    domains: the run's data.
    strategy: the strategy to compute with.

  Raises:
    config.UserError: a stage has no whole checkpoint.
  """
  networks: dict[str, Any] = {}
  for stage in stages:
    loaded = loading.load_network(config, folder, stage)
    if loaded is None:
      raise config_lib.UserError(
        f"{files.shown(folder.path)} holds no checkpoint of stage {files.shown(stage)}."
      )
    networks[stage] = loaded.network
  config = networks_lib.settle_taps(config, next(iter(networks.values())))
  context = context_lib.Context(
    config, domains, folder, records.Records(folder), strategy, distribution.share(strategy)
  )
  report_facts.complete(context, networks, pictures.panel_columns(context, networks))
