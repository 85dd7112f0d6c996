"""SYNTHIA to Cityscapes with ERFNet: Table 4. `:16` or `:13` classes, and a method."""

from __future__ import annotations

from configs.segmentation import recipes
from tfdam import config as config_lib

_CLASSES = {"16": recipes.SYNTHIA_16, "13": recipes.SYNTHIA_13}


def get_config(options: str | None = None):
  chosen = config_lib.parse_options(
    options, method=recipes.METHODS, classes=tuple(_CLASSES)
  )
  return recipes.segmentation(
    f"synthia_to_cityscapes-{chosen['classes']}",
    "synthia",
    "cityscapes",
    _CLASSES[chosen["classes"]],
    chosen["method"],
  )
