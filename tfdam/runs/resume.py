"""The config of a run folder, as a config file: `tfdam/runs/resume.py:runs/m2u`.

Commands use it when --workdir is given alone and the folder holds a run. It is found by its
path, like the files in configs/, which cannot import the reader of run folders.
"""

from __future__ import annotations

import dataclasses

import ml_collections

from tfdam.runs import run_folder


def get_config(folder: str) -> ml_collections.ConfigDict:
  config = run_folder.RunFolder(folder).read_config()
  return ml_collections.ConfigDict(dataclasses.asdict(config)).lock()
