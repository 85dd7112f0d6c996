"""Small digit sets, drawn by the tests in the official formats; the real ones, if there."""

import functools
import gzip
import os
import struct
import unittest

import numpy as np
import scipy.io
import tensorflow as tf

from tfdam import config as config_lib
from tfdam.data import scenes as scenes_lib

# 3x5 pixel digits, a row a number of three bits.
_FONT = (
  (7, 5, 5, 5, 7), (2, 6, 2, 2, 7), (7, 1, 7, 4, 7), (7, 1, 7, 1, 7), (5, 5, 7, 1, 1),
  (7, 4, 7, 1, 7), (7, 4, 7, 5, 7), (7, 1, 2, 2, 2), (7, 5, 7, 5, 7), (7, 5, 7, 1, 7),
)  # fmt: skip


def digits(count, side, seed=0, gain=1.0, offset=0.0, noise=0.05):
  """Draws digits at random places.

  Returns:
    images: uint8 [count, side, side]; labels: int64 [count], every class as often.
  """
  rng = np.random.RandomState(seed)
  labels = rng.permutation(np.arange(count) % 10)
  scale = max(1, side // 7)
  images = np.zeros((count, side, side))
  for image, label in zip(images, labels):
    bits = np.array([[(row >> shift) & 1 for shift in (2, 1, 0)] for row in _FONT[label]])
    glyph = np.kron(bits, np.ones((scale, scale)))
    top = rng.randint(0, side - glyph.shape[0] + 1)
    left = rng.randint(0, side - glyph.shape[1] + 1)
    image[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph
  images = offset + gain * images + rng.normal(0.0, noise, images.shape)
  return (255 * np.clip(images, 0, 1)).round().astype(np.uint8), labels.astype(np.int64)


def idx(array):
  """The bytes of an idx file of unsigned bytes."""
  header = struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape)
  return header + array.astype(np.uint8).tobytes()


def write_mnist(root, train=200, test=60, **style):
  folder = os.path.join(root, "mnist")
  os.makedirs(folder, exist_ok=True)
  for prefix, count, seed in (("train", train, 1), ("t10k", test, 2)):
    images, labels = digits(count, 28, seed, **style)
    for part, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
      with gzip.open(os.path.join(folder, f"{prefix}-{part}.gz"), "wb") as file:
        file.write(idx(array))
  return folder


def write_usps(root, train=150, test=50, **style):
  folder = os.path.join(root, "usps")
  os.makedirs(folder, exist_ok=True)
  for split, count, seed in (("train", train, 3), ("test", test, 4)):
    images, labels = digits(count, 16, seed, **style)
    with gzip.open(os.path.join(folder, f"zip.{split}.gz"), "wt") as file:
      for image, label in zip(images, labels):
        values = " ".join(f"{v / 127.5 - 1:.4f}" for v in image.ravel())
        file.write(f"{label}.0000 {values} \n")
  return folder


def write_svhn(root, train=60, test=30):
  folder = os.path.join(root, "svhn")
  os.makedirs(folder, exist_ok=True)
  for split, count, seed in (("train", train, 5), ("test", test, 6)):
    images, labels = digits(count, 32, seed)
    colour = np.repeat(images[..., np.newaxis], 3, axis=-1).transpose(1, 2, 3, 0)
    stored = np.where(labels == 0, 10, labels)[:, np.newaxis].astype(np.uint8)
    scipy.io.savemat(os.path.join(folder, f"{split}_32x32.mat"), {"X": colour, "y": stored})
  return folder


def write_all(root):
  """All three sets; the target-like ones are dimmer, so that there is a shift to remove."""
  write_mnist(root)
  write_usps(root, gain=0.6, offset=0.2)
  write_svhn(root)
  return str(root)


def small_config(**overrides):
  """The release recipe made small; `overrides` by dotted name with "__" for the dot.

  Unwatched, without a report: looks at activations and their pictures take a third of a run
  so small.
  """
  values = config_lib.default()
  values.update_from_flattened_dict({
    "source.steps": 20, "source.global_batch_size": 16, "adapt.steps": 20,
    "adapt.global_batch_size": 16, "adapt.discriminator_units": (32, 32),
    "loop.log_every": 5, "loop.checkpoint_every": 10, "loop.watch_every": 0,
    "loop.report": False, "source.cache": "off",
  })  # fmt: skip
  return _resolved(values, overrides)


def _resolved(values, overrides):
  values.update_from_flattened_dict({k.replace("__", "."): v for k, v in overrides.items()})
  if values.adapt.objective == "joint_mmd":  # has no discriminators that could be small
    values.adapt.discriminator_units = config_lib.Adapt().discriminator_units
  return config_lib.resolve(values)


def scenes(count, height=32, width=48, seed=0, gain=1.0, labels=True):
  """Scenes of three classes: ground below sky, a box on it, and an ignored border.

  Args:
    gain: of the colours; another one is another domain.
  """
  colours = np.array([[60, 120, 200], [90, 90, 90], [200, 60, 40]])

  def draw(i):
    rng = np.random.RandomState(1000 * seed + i)
    label = np.zeros((height, width), np.uint8)
    label[rng.randint(height // 4, height // 2) :] = 1
    top, left = rng.randint(height // 3, height // 2), rng.randint(0, width // 2)
    label[top : top + height // 3, left : left + width // 3] = 2
    image = gain * colours[label] + rng.normal(0.0, 8.0, (height, width, 3))
    label[:, -2:] = scenes_lib.IGNORED
    return np.clip(image, 0, 255).astype(np.uint8), label

  return scenes_lib.Scenes(
    [f"scene {i}" for i in range(count)],
    lambda i: draw(i)[0],
    (lambda i: draw(i)[1]) if labels else None,
    ("sky", "ground", "box"),
    {"drawn": f"{seed} {count} {gain}"},
  )


def scenes_config(**overrides):
  """A small segmentation config for what `scenes` draws, without looks and pictures."""
  options = {
    "data.classes": "sky,ground,box", "data.num_classes": 0, "data.channels": 3,
    "data.height": 32, "data.width": 48, "model.name": "erfnet", "model.width": 0.25,
    "model.depth": 0.1, "adapt.taps": "block03,block05", "adapt.gan_weight": 0.1,
    "adapt.objective": "least_squares", "adapt.init": "matched", "source.steps": 10,
    "source.global_batch_size": 4, "adapt.steps": 10, "adapt.global_batch_size": 4,
    "adapt.discriminator_units": (16, 8), "match.batch_size": 4,
    "loop.eval_batch_size": 4, "loop.watch_every": 0, "loop.num_panels": 0,
    "loop.log_every": 5, "loop.checkpoint_every": 5, "loop.report": False,
    "source.cache": "off",
  }  # fmt: skip
  values = config_lib.default()
  values.update_from_flattened_dict(options)
  return _resolved(values, overrides)


@functools.cache
def two_replicas():
  """The one mirrored strategy of a test process.

  A second strategy object would number its collectives from the start again, and TensorFlow
  takes them for the first one's.
  """
  return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def real_data(*names):
  """The folder of real data sets; skips the test where one of `names` is not there."""
  root = os.environ.get("TFDAM_DATA", "")
  missing = [name for name in names if not os.path.isdir(os.path.join(root, name))]
  if not root or missing:
    raise unittest.SkipTest(f"needs the real {', '.join(missing or names)}: set TFDAM_DATA")
  return root
