"""The default run: a network trained on ImageNet, between two kinds of drawn streets.

It needs no files and no download, and takes minutes on two CPU cores.
"""

from __future__ import annotations

from configs.segmentation import recipes
from tfdam import config as config_lib


def get_config(options: str | None = None):
  chosen = config_lib.parse_options(options, method=recipes.METHODS)
  config = recipes.segmentation(
    "streets", "streets/sim", "streets/photo", recipes.CAMVID, chosen["method"],
    recipes.NETWORKS["lite0"],
  )  # fmt: skip
  recipes.small(config, "lite0")
  config.name = f"streets-{chosen['method']}"
  config.data.update(height=96, width=160, source_limit=1_000, target_limit=300)
  config.source.update(steps=400)
  if config.adapt.steps:
    warmup_steps = 60 if config.adapt.warmup_steps else 0
    config.adapt.update(steps=220, warmup_steps=warmup_steps, ema_momentum=0.98)
  return config
