"""MNIST's digits as USPS has them."""

from __future__ import annotations

from configs.translation import recipes


def get_config(options: str | None = None):
  return recipes.digits("mnist_to_usps", "mnist", "usps", options)
