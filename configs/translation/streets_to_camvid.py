"""Procedural streets as CamVid's camera would see them."""

from __future__ import annotations

from configs.translation import recipes


def get_config(options: str | None = None):
  return recipes.scenes("streets_to_camvid", "streets/sim", "camvid", options)
