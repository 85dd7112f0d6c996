"""Leaves out scenes that cannot be decoded (data.on_bad_image=skip)."""

from __future__ import annotations

import dataclasses

import numpy as np
from absl import logging

from tfdam import config as config_lib
from tfdam.data import image_files, scene_files, scenes

# The largest share of a split that may be left out; one scene always may.
MAX_SKIPPED = 0.01


def left_out(split: scenes.Scenes, what: str) -> scenes.Scenes:
  """Returns the split without its damaged scenes.

  Every scene is read once, before training starts. If training itself skipped them, a run
  could not be repeated.

  Args:
    split: the scenes.
    what: the split's name in messages.

  Raises:
    config.UserError: more than MAX_SKIPPED are damaged.
  """
  with scene_files.decoders() as pool:
    errors = pool.map(lambda i: _damage(split, i), range(len(split)))
    with scene_files.with_patience(errors, f"reading {what}", len(split)) as patient:
      found = list(patient)
  damaged = [i for i, error in enumerate(found) if error is not None]
  if not damaged:
    return split
  for i in damaged:
    logging.warning("Skipped %s: %s", split.names[i], found[i])
  if len(damaged) > max(1, MAX_SKIPPED * len(split)):
    raise config_lib.UserError(
      f"{len(damaged)} of {len(split)} scenes of {what} cannot be decoded,"
      f" {split.names[damaged[-1]]} the last; at most {MAX_SKIPPED:.0%} are skipped. Is"
      " this the right folder? Mend or remove them."
    )
  kept = split.take(np.setdiff1d(np.arange(len(split)), damaged))
  note = f"{what}: {len(damaged)} of {len(split)} scenes skipped"
  return dataclasses.replace(kept, notes=(*kept.notes, note))


def _damage(split: scenes.Scenes, i: int) -> image_files.BadImage | None:
  try:
    split.read_image(i)
    if split.read_label is not None:
      split.read_label(i)
  except image_files.BadImage as error:
    return error
  return None
