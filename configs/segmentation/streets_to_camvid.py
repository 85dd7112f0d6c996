"""Procedural streets to CamVid, 11 classes, sized for a machine without a GPU."""

from __future__ import annotations

from configs.segmentation import recipes


def get_config(options: str | None = None):
  return recipes.to_camvid("streets_to_camvid", "streets/sim", recipes.CAMVID, options)
