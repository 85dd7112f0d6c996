"""Procedural streets to CamVid, 11 classes, sized for a machine without a GPU."""

from __future__ import annotations

from configs.segmentation import recipes
from tfdam import config as config_lib


def get_config(options: str | None = None):
  chosen = config_lib.parse_options(
    options, recipe=recipes.RECIPES, network=tuple(recipes.NETWORKS),
    method=recipes.METHODS,
  )  # fmt: skip
  config = recipes.segmentation(
    "streets_to_camvid", "streets/sim", "camvid", recipes.CAMVID, chosen["method"],
    recipes.NETWORKS[chosen["network"]],
  )  # fmt: skip
  recipes.small(config, chosen["network"])
  recipes.recipe(config, chosen["recipe"])
  return config
