"""Procedural streets, translated into CamVid's look, to CamVid: CyCADA's setting.

//tfdam:translate with configs/translation/streets_to_camvid.py writes the source, as
streets_as_camvid below the folder of data sets.
"""

from __future__ import annotations

from configs.segmentation import streets_to_camvid


def get_config(options: str | None = None):
  config = streets_to_camvid.get_config(options)
  config.name = f"cycada_{config.name}"
  if config.method != "supervised":
    config.data.source = "scenes:streets_as_camvid"
  return config
