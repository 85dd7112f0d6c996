"""GTA5, translated into Cityscapes' look, to Cityscapes, drn: Table 3, architecture C.

//tfdam:translate with configs/translation/gta5_to_cityscapes.py writes the source, as
gta5_as_cityscapes below the folder of data sets.
"""

from __future__ import annotations

from configs.segmentation import gta5_to_cityscapes_drn


def get_config(options: str | None = None):
  config = gta5_to_cityscapes_drn.get_config(options)
  config.name = f"cycada_{config.name}"
  if config.method != "supervised":
    config.data.source = "scenes:gta5_as_cityscapes"
  return config
