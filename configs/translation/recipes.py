"""What translations share: CycleGAN as published, or small enough for two CPU cores."""

from __future__ import annotations

import ml_collections

from configs.segmentation import recipes as segmentation
from tfdam import config as config_lib

# After a config file's colon: CycleGAN, or CyCADA's, whose labels must survive.
VARIANTS = ("cyclegan", "cycada")


def scenes(
  name: str, source: str, target: str, options: str | None
) -> ml_collections.ConfigDict:
  """Street scenes at 96x128; the networks have half of the published channels."""
  config = _start(name, source, target, options)
  config.data.update(
    classes=segmentation.CAMVID, num_classes=0, channels=3, height=96, width=128, flip=True
  )
  config.translation.update(steps=6_000, blocks=6, channels=32, discriminator_channels=32)
  config.loop.update(log_every=20, checkpoint_every=200, watch_every=200)
  return config


def digits(
  name: str, source: str, target: str, options: str | None
) -> ml_collections.ConfigDict:
  """Digits of 28x28, many at a time."""
  config = _start(name, source, target, options)
  config.translation.update(
    steps=1_000, global_batch_size=16, blocks=2, channels=16, discriminator_channels=32
  )
  config.loop.update(log_every=20, checkpoint_every=200, watch_every=200)
  return config


def _start(
  name: str, source: str, target: str, options: str | None
) -> ml_collections.ConfigDict:
  chosen = config_lib.parse_options(options, variant=VARIANTS)
  config = config_lib.default()
  config.name = f"{name}-{chosen['variant']}"
  config.update(method=chosen["variant"], recipe="translation")
  config.data.update(source=source, target=target)
  if chosen["variant"] == "cycada":
    config.translation.semantic_weight = 1.0
  return config
