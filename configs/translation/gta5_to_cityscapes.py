"""GTA5 as Cityscapes' cameras would see it, at CyCADA's scale: for a GPU."""

from __future__ import annotations

from configs.segmentation import recipes as segmentation
from configs.translation import recipes


def get_config(options: str | None = None):
  config = recipes.scenes("gta5_to_cityscapes", "gta5", "cityscapes", options)
  config.data.update(
    classes=segmentation.CITYSCAPES,
    height=512, width=1024, crop_height=400, crop_width=400,
  )  # fmt: skip
  # Zhu et al., Sec. 4: the full networks, for 200 epochs of the smaller domain.
  full = {"channels": 64, "discriminator_channels": 64, "blocks": 9}
  config.translation.update(steps=200 * 2_975, **full)
  return config
