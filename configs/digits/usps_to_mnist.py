"""USPS to MNIST (Table 1). `:release` or `:paper`, and a method: see recipes.py."""

from configs.digits import recipes


def get_config(options=None):
  return recipes.digits("usps", "mnist", options)
