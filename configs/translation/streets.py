"""Procedural streets, from a simulator's look to a camera's; needs no file."""

from __future__ import annotations

from configs.translation import recipes


def get_config(options: str | None = None):
  config = recipes.scenes("streets", "streets/sim", "streets/photo", options)
  config.data.update(height=64, width=96, source_limit=1_000, target_limit=300)
  config.translation.update(steps=1_000, channels=16)
  return config
