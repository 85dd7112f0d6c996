"""Finds the checkpoint of another run from which source training starts."""

from __future__ import annotations

import os

from tfdam import config as config_lib
from tfdam.runs import checkpoints, run_folder
from tfdam.vocabulary import Stage


def find(path: str) -> str:
  """The checkpoint folder for source.init_checkpoint.

  Args:
    path: absolute path of a checkpoint folder, or of a run folder, whose source stage is
      then used.

  Raises:
    config.UserError: the path is neither, or the checkpoint is damaged, or the run's source
      stage is unfinished.
  """
  run_folder.refuse_pattern(path, "--config.source.init_checkpoint")
  is_checkpoint = os.path.lexists(os.path.join(path, "checkpoint.json"))
  stage_folder = os.path.join(path, "checkpoints", Stage.SOURCE_ONLY)
  place = path if is_checkpoint else checkpoints.newest(stage_folder)
  if place is None:
    raise config_lib.UserError(
      f"source.init_checkpoint is {path}, which is neither a run folder with a source stage"
      " nor a checkpoint folder.",
      "Set source.init_checkpoint.",
    )
  damage = checkpoints.find_damage(place)
  if damage:
    raise config_lib.UserError(
      f"source.init_checkpoint {place} is not whole: {damage}.",
      "Set source.init_checkpoint to another one.",
    )
  if not is_checkpoint and not checkpoints.is_finished(place):
    raise config_lib.UserError(
      f"The source stage of {path} stands at {checkpoints.progress(place)}: let"
      " that run end, or set --config.source.init_checkpoint to one of its checkpoint"
      " folders."
    )
  return place
