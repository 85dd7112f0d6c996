"""What a command that trains does before it reads data."""

from __future__ import annotations

import os

from tfdam import cluster, runtime
from tfdam import config as config_lib
from tfdam.runs import run_folder, supervisor


def open_run(
  config: config_lib.Config, workdir: str | None
) -> tuple[cluster.Cluster | None, run_folder.RunFolder]:
  """Joins the workers, if there are several, and opens the run folder.

  Args:
    config: the resolved config.
    workdir: what --workdir says; None or empty for runs/<the config's name>.

  Returns:
    The workers, or None if this is the only one; and the folder.

  Raises:
    config.UserError: TF_CONFIG is wrong, or the folder holds another run.
  """
  team = cluster.find(config.runtime)
  if team:
    runtime.leave_talk_to_chief(team)
    supervisor.start(str(team))
  folder = run_folder.RunFolder(
    runtime.resolve_path(workdir or os.path.join("runs", config.name))
  )
  folder.check(config)
  return team, folder
