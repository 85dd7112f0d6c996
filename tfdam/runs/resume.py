"""The config of a run folder, as a config file: `tfdam/runs/resume.py:runs/m2u`.

What --workdir alone stands for, where the folder holds a run; found by path, as those in
configs/ are, which cannot import what reads run folders.
"""

from __future__ import annotations

import dataclasses

import ml_collections

from tfdam.runs import run_folder


def get_config(folder: str) -> ml_collections.ConfigDict:
  config = run_folder.RunFolder(folder).read_config()
  return ml_collections.ConfigDict(dataclasses.asdict(config)).lock()
