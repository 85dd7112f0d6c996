"""EfficientNet-Lite0 out of PyTorch's file: names, orientations, and PyTorch's own maps."""

import os

import numpy as np
import pytest

from benchmarks import outsiders_efficientnet as lite0
from benchmarks import outsiders_head
from tfdam import runtime

# Blocks: kernel, what the expansion takes and gives, what the projection gives.
BLOCKS = [
  (3, None, 32, 16),
  (3, 16, 96, 24), (3, 24, 144, 24),
  (5, 24, 144, 40), (5, 40, 240, 40),
  (3, 40, 240, 80), (3, 80, 480, 80), (3, 80, 480, 80),
  (5, 80, 480, 112), (5, 112, 672, 112), (5, 112, 672, 112),
  (5, 112, 672, 192), (5, 192, 1152, 192), (5, 192, 1152, 192), (5, 192, 1152, 192),
  (3, 192, 1152, 320),
]  # fmt: skip


def shapes():
  """The package's arrays but for the classifier's, by its file."""
  found = {"_conv_stem.weight": (32, 3, 3, 3), **norm("_bn0", 32)}
  for i, (kernel, narrow, wide, end) in enumerate(BLOCKS):
    place = f"_blocks.{i}"
    if narrow:
      found[f"{place}._expand_conv.weight"] = (wide, narrow, 1, 1)
      found.update(norm(f"{place}._bn0", wide))
    found[f"{place}._depthwise_conv.weight"] = (wide, 1, kernel, kernel)
    found.update(norm(f"{place}._bn1", wide))
    found[f"{place}._project_conv.weight"] = (end, wide, 1, 1)
    found.update(norm(f"{place}._bn2", end))
  return found


def norm(name, channels):
  parts = ("weight", "bias", "running_mean", "running_var")
  return {f"{name}.{part}": (channels,) for part in parts}


class Counting(dict):
  """Notes what is asked for."""

  def __init__(self, *args):
    super().__init__(*args)
    self.asked = set()

  def __getitem__(self, name):
    self.asked.add(name)
    return super().__getitem__(name)


@pytest.fixture(scope="module")
def filled():
  rng = np.random.RandomState(0)
  made = {name: rng.uniform(0.1, 1.0, s).astype(np.float32) for name, s in shapes().items()}
  network, arrays = lite0.trunk(), Counting(made)
  lite0.load(network, arrays)
  return network, arrays


def test_every_array_of_the_file_has_its_place(filled):
  network, arrays = filled
  assert arrays.asked == set(arrays)
  assert sum(np.size(a) for a in arrays.values()) == network.count_params() == 2_998_304


def test_kernels_are_turned_as_keras_has_them(filled):
  network, arrays = filled
  stem = network.get_layer("stem_conv").get_weights()[0]
  assert stem[0, 2, 1, 5] == arrays["_conv_stem.weight"][5, 1, 0, 2]
  depthwise = network.get_layer("block3_depthwise_conv").get_weights()[0]
  assert depthwise[4, 1, 7, 0] == arrays["_blocks.3._depthwise_conv.weight"][7, 0, 4, 1]
  _, _, mean, variance = network.get_layer("block3_depthwise_norm").get_weights()
  np.testing.assert_array_equal(mean, arrays["_blocks.3._bn1.running_mean"])
  np.testing.assert_array_equal(variance, arrays["_blocks.3._bn1.running_var"])


def test_taps_end_the_sizes_that_the_head_joins(filled):
  network, _ = filled
  maps = network(np.zeros((1, 64, 96, 3), np.float32))
  blocks = [tap.split("_")[0] for tap in lite0.TAPS]
  for block, factor in zip(blocks, (4, 8, 16, 32)):
    assert maps[block].shape[1:3] == (64 // factor, 96 // factor)
  depths = [network.get_layer(name).output for name in lite0.TAPS]
  model = outsiders_head.add(network.input, depths, "whole")
  assert model(np.zeros((1, 64, 96, 3), np.float32)).shape == (1, 16, 24, 11)


def test_another_networks_arrays_are_refused(filled):
  _, arrays = filled
  with pytest.raises(KeyError, match="_blocks.15"):
    lite0.load(lite0.trunk(), {k: v for k, v in arrays.items() if "15" not in k})
  other = {**arrays, "_conv_stem.weight": np.zeros((16, 3, 3, 3), np.float32)}
  with pytest.raises(ValueError, match="shape"):
    lite0.load(lite0.trunk(), other)


def test_a_difference_is_that_of_the_worst_block(filled):
  network, _ = filled
  images = np.zeros((1, 32, 32, 3), np.float32)
  arrays = {
    f"output/{name}": np.transpose(found, (0, 3, 1, 2))
    for name, found in network(images).items()
  }
  assert lite0.largest_difference(network, images, arrays) == 0.0
  arrays["output/block7"] = 2.0 * arrays["output/block7"]
  assert lite0.largest_difference(network, images, arrays) == pytest.approx(0.5)


def test_pytorch_gives_the_same_maps_where_it_is():
  environment = os.path.join(runtime.cache_root(), "peers", "efficientnet")
  if not os.path.exists(os.path.join(environment, "installed")):
    pytest.skip("needs PyTorch: python -m benchmarks.outsiders_efficientnet installs it")
  python = os.path.join(environment, "bin", "python")
  assert lite0.converted(python).count_params() == 2_998_304
