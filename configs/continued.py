"""The config of a run folder, for training to go on with: `configs/continued.py:runs/m2u`.

What `--workdir` alone stands for, where the folder holds a run.
"""

from __future__ import annotations

import dataclasses
import json
import os

import ml_collections

from tfdam import config as config_lib


def get_config(folder: str) -> ml_collections.ConfigDict:
  path = os.path.join(folder, "config.json")
  with open(path, encoding="utf-8") as file:
    try:
      values = json.load(file)
    except ValueError as error:
      raise config_lib.UserError(f"{path} is no JSON file ({error}).") from error
  return ml_collections.ConfigDict(dataclasses.asdict(config_lib.resolve(values))).lock()
