"""The default run: a small ERFNet between two renderings of procedural street scenes.

It needs no files and no download, and takes minutes on two CPU cores.
"""

from __future__ import annotations

from configs.segmentation import recipes
from tfdam import config as config_lib


def get_config(options: str | None = None):
  chosen = config_lib.parse_options(options, method=recipes.METHODS)
  config = recipes.segmentation(
    "streets", "streets/sim", "streets/photo", recipes.CAMVID, chosen["method"]
  )
  recipes.small(config)
  config.data.update(height=96, width=160, source_limit=1_000, target_limit=300)
  config.model.update(depth=0.6)
  config.source.update(steps=1_000)
  if config.adapt.steps:
    # At this depth, twelve of ERFNet's seventeen blocks are left.
    is_adda = chosen["method"] in ("adda", "adda_drift")
    taps = "block12" if is_adda else "block03,block06,block09,block12"
    warmup_steps = 60 if config.adapt.warmup_steps else 0
    config.adapt.update(steps=220, warmup_steps=warmup_steps, taps=taps, ema_momentum=0.98)
    if config.adapt.drift_weight:
      # Two renderings of one world differ less than renderings and photos do, so a
      # smaller weight is enough.
      config.adapt.drift_weight = 0.05
  return config
