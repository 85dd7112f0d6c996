"""The run that experiments on digits share: GAM by the released code's settings."""

from __future__ import annotations

from tfdam import experiment as experiment_lib

PAIRS = {"mnist_to_usps": "MNIST to USPS", "usps_to_mnist": "USPS to MNIST"}


def gam(pair: str) -> experiment_lib.Run:
  """Its stages are rows of their own, and Source-or-Not is played with its networks."""
  config = f"configs/digits/{pair}.py:release,gam"
  return experiment_lib.Run(config, then=(experiment_lib.SOURCE_OR_NOT,))
