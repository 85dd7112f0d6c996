"""GTA5 to Cityscapes, 19 classes, erfnet: Table 3."""

from __future__ import annotations

from configs.segmentation import recipes
from tfdam import config as config_lib


def get_config(options: str | None = None):
  chosen = config_lib.parse_options(options, method=recipes.METHODS)
  return recipes.segmentation(
    "gta5_to_cityscapes_erfnet",
    "gta5",
    "cityscapes",
    recipes.CITYSCAPES,
    chosen["method"],
    "erfnet",
  )
