"""A small network of each kind in the registry, ready to be exported."""

import dataclasses

import numpy as np
import tensorflow as tf

from export import contract as contract_lib
from export import module
from tests import networks, synthetic
from tfdam.training import networks as networks_lib


def make(name, image_moments=0.0, **changes):
  """A small network, its variables away from their initial values, and its contract."""
  config = synthetic.small_config(
    match__image_moments=image_moments, **networks.fields(name)
  )
  network = networks_lib.build_network(config, "net", "adapted")
  rng = np.random.RandomState(0)
  for variable in network.variables:
    # Also gammas, betas and moments, which would otherwise fold into nothing.
    if len(variable.shape) == 1 or not np.any(variable):
      variable.assign_add(rng.uniform(0.1, 0.5, variable.shape))
  images = tf.zeros([1, config.data.height, config.data.width, config.data.channels])
  is_segmentation = network(images)["logits"].shape.rank == 4
  contract = contract_lib.Contract(
    name="net", task="segmentation" if is_segmentation else "classification",
    network=name, stage="adapted", step=1, config_sha256="0" * 64, weights_sha256="1" * 64,
    classes=tuple(map(str, range(10))), height=config.data.height,
    width=config.data.width, channels=config.data.channels,
  )  # fmt: skip
  contract = dataclasses.replace(contract, **changes)
  inference = module.Inference(network, config.data, is_segmentation, contract.dynamic_size)
  return inference, contract
