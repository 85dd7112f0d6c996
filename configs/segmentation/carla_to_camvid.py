"""CARLA (50 frames of one street) to CamVid: the eight classes that both have."""

from __future__ import annotations

from configs.segmentation import recipes


def get_config(options: str | None = None):
  config = recipes.to_camvid("carla_to_camvid", "carla", recipes.CARLA_CAMVID, options)
  # Fifty frames of one street are soon learnt by heart.
  if config.method != "supervised":
    config.source.steps = 1_000
  if config.adapt.steps:
    config.adapt.update(steps=400)
  if config.adapt.warmup_steps:
    config.adapt.update(warmup_steps=100)
  return config
