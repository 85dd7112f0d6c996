"""A small network of each kind in the registry, ready to be exported."""

import dataclasses

import numpy as np

from export import contract as contract_lib
from export import module
from tests import synthetic
from tfdam.training import players

_DIGITS = {"data__height": 28, "data__width": 28, "data__channels": 1}
_STREETS = {"data__height": 64, "data__width": 96, "data__channels": 3}
# Small ones; sizes are a sixteenth or less of the full networks'.
SMALL = {
  "lenet": _DIGITS,
  "lenet_bn": _DIGITS,
  "erfnet": {**_STREETS, "model__width": 0.25, "model__depth": 0.4},
  "fcn8s": {**_STREETS, "model__width": 0.05},
  "drn26": {**_STREETS, "model__width": 0.1},
}


def make(name, **changes):
  """A small network, its variables away from their initial values, and its contract."""
  config = synthetic.small_config(model__name=name, **SMALL[name])
  network = players.network(config, "net")
  rng = np.random.RandomState(0)
  for variable in network.variables:
    # Also gammas, betas and moments, which would otherwise fold into nothing.
    if len(variable.shape) == 1 or not np.any(variable):
      variable.assign_add(rng.uniform(0.1, 0.5, variable.shape))
  is_segmentation = name not in ("lenet", "lenet_bn")
  contract = contract_lib.Contract(
    name="net", task="segmentation" if is_segmentation else "classification",
    network=name, stage="adapted", step=1, config_sha256="0" * 64,
    classes=tuple(map(str, range(10))), height=config.data.height,
    width=config.data.width, channels=config.data.channels,
  )  # fmt: skip
  contract = dataclasses.replace(contract, **changes)
  inference = module.Inference(network, config.data, is_segmentation, contract.dynamic_size)
  return inference, contract
