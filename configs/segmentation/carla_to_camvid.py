"""CARLA (50 frames of one street) to CamVid: the eight classes that both have."""

from __future__ import annotations

from configs.segmentation import recipes
from tfdam import config as config_lib


def get_config(options: str | None = None):
  chosen = config_lib.parse_options(
    options, recipe=recipes.RECIPES, network=tuple(recipes.NETWORKS),
    method=recipes.METHODS,
  )  # fmt: skip
  config = recipes.segmentation(
    "carla_to_camvid", "carla", "camvid", recipes.CARLA_CAMVID, chosen["method"],
    recipes.NETWORKS[chosen["network"]],
  )  # fmt: skip
  recipes.small(config, chosen["network"])
  recipes.recipe(config, chosen["recipe"])
  # Fifty frames of one street are soon learnt by heart.
  if chosen["method"] != "supervised":
    config.source.steps = 1_000
  if config.adapt.steps:
    config.adapt.update(steps=400)
  if config.adapt.warmup_steps:
    config.adapt.update(warmup_steps=100)
  return config
