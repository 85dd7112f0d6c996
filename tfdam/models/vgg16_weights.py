"""Reads VGG16's trained weights from Keras for FCN8s."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import hdf5

# {FCN8s' name of a layer: its name in tf.keras.applications.VGG16}.
_NAMES = {
  **{
    f"conv{block}_{i}": f"block{block}_conv{i}"
    for block, count in enumerate((2, 2, 3, 3, 3), 1)
    for i in range(1, count + 1)
  },
  "fc6": "fc1",
  "fc7": "fc2",
}


def read(weights: str) -> dict[str, list[np.ndarray]]:
  """Reads VGG16 with its dense layers (1000 classes), about half a gigabyte.

  Args:
    weights: "imagenet", which Keras downloads into its cache, or a file of weights that
      tf.keras.applications.VGG16(include_top=True) saved.

  Returns:
    {Keras' name of a layer: [kernel, bias]}.

  Raises:
    config.UserError: there is no such file, it is another network's, or the download
      failed.
  """
  if weights != "imagenet" and not os.path.lexists(weights):
    raise config_lib.UserError(
      f"model.weights is '{weights}', but there is no such file.",
      "Set model.weights to one, to imagenet, or to ''.",
    )
  try:
    if weights != "imagenet":
      hdf5.check(weights)
    network = tf.keras.applications.VGG16(weights=weights)
  except (config_lib.UserError, PermissionError):
    raise
  # Keras and h5py raise many kinds; a failed download raises a bare Exception.
  except Exception as error:
    raise config_lib.UserError(
      f"model.weights {weights} cannot be read as VGG16's with its dense layers"
      f" ({str(error).splitlines()[0] if str(error) else type(error).__name__}).",
      "Set model.weights to a file that tf.keras.applications.VGG16 saved.",
    ) from error
  return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def assign(
  arrays: Mapping[str, list[np.ndarray]], convs: Mapping[str, tf.keras.layers.Conv2D]
) -> None:
  """Copies VGG16's weights into convolutions, including those of its dense layers.

  A dense layer on a flattened [7, 7, 512] map equals a 7x7 convolution with the same
  numbers.

  Args:
    arrays: the result of `read`.
    convs: {FCN8s' name of a layer: the built layer}.

  Raises:
    config.UserError: a layer is missing or has another size.
  """
  for name, conv in convs.items():
    kernel, bias = arrays.get(_NAMES[name]) or (np.zeros(0), np.zeros(0))
    if kernel.size != np.prod(conv.kernel.shape) or bias.shape != conv.bias.shape:
      raise config_lib.UserError(
        f"The weights of {_NAMES[name]} have shapes {kernel.shape} and {bias.shape}, which"
        f" do not fit {name} {tuple(conv.kernel.shape)}.",
        "Set model.weights to those of VGG16 with its dense layers.",
      )
    conv.kernel.assign(kernel.reshape(conv.kernel.shape))
    conv.bias.assign(bias)
