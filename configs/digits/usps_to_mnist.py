"""USPS to MNIST (Table 1). A recipe and a method after a colon, see recipes.py."""

from configs.digits import recipes


def get_config(options=None):
  return recipes.digits("usps", "mnist", options)
