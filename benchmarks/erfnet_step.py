"""ERFNet's adaptation step and forward pass: ours, PyTorch's and the arithmetic floor.

  python -m benchmarks.erfnet_step [--rounds=8] [--json=PATH] [--peer_python=PATH]

One round measures each of them briefly, and ratios are computed from the medians over
rounds. Single times mean little on a busy machine. PyTorch runs in a separate environment,
which the first run makes; or set --peer_python to a Python that has torch.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import app, logging

from benchmarks import peers, timing
from configs.segmentation import gta5_to_cityscapes_erfnet
from tfdam import config as config_lib
from tfdam.training import networks

# Height, width, images.
_STEP, _FORWARD = (128, 256, 4), (512, 1024, 1)
_STEPS, _FORWARDS = 5, 3
_NUM_CLASSES = 19
# Channels and downscaling of the tapped blocks.
_TAPS = {"block04": (64, 4), "block08": (128, 8), "block12": (128, 8), "block17": (19, 8)}
_UNITS = (128, 64)


def encoder_macs(height: int, width: int) -> dict[str, int]:
  """Returns the multiply-add operations of each part for one image."""
  quarter, eighth = height * width // 16, height * width // 64
  return {
    "first convolution": height * width // 4 * 13 * 9 * 3,
    "second downsampler": quarter * 48 * 9 * 16,
    "five blocks of 64": quarter * 5 * 4 * 3 * 64 * 64,
    "third downsampler": eighth * 64 * 9 * 64,
    "eight blocks of 128": eighth * 8 * 4 * 3 * 128 * 128,
    "classifier": eighth * 128 * _NUM_CLASSES,
  }


def step_flops(height: int, width: int, batch: int) -> int:
  """Returns the floating-point operations that every implementation of a step needs.

  Only matrix products count. The gradients of a layer's weights and of its input each cost
  as much as the layer itself; the first layer's input needs no gradient.
  """
  parts = encoder_macs(height, width)
  forward = sum(parts.values())
  macs = forward  # the frozen source
  macs += forward + forward + (forward - parts["first convolution"])  # the target
  for channels, scale in _TAPS.values():
    first = channels * _UNITS[0]
    later = _UNITS[0] * _UNITS[1] + _UNITS[1]
    both = 2 * (first + later)
    # Forward on both domains, the discriminator's own gradients, and the gradient of the
    # alignment loss with respect to the target's tap.
    per_location = both + both + 2 * later + first + later
    macs += per_location * (height // scale) * (width // scale)
  return 2 * macs * batch


def forward_flops(height: int, width: int, batch: int) -> int:
  """Returns the floating-point operations of labelling `batch` images."""
  return 2 * sum(encoder_macs(height, width).values()) * batch


def _config(height: int, width: int, batch: int) -> config_lib.Config:
  values = gta5_to_cityscapes_erfnet.get_config()
  values.update_from_flattened_dict({
    "data.height": height, "data.width": width, "adapt.global_batch_size": batch,
    "adapt.discriminator_units": _UNITS, "adapt.warmup_steps": 0,
  })  # fmt: skip
  return config_lib.resolve(values)


def step() -> Callable[[], float]:
  """Returns a function that measures our adaptation step on one batch, in ms."""
  height, width, batch = _STEP
  images = tf.random.stateless_uniform([2, batch, height, width, 3], [0, 1])
  one_batch = {"source": images[0], "target": images[1]}
  return timing.adaptation_step(_config(*_STEP), one_batch, _STEPS)


def forward() -> Callable[[], float]:
  """Returns a function that measures the time from an image to its label map, in ms."""
  height, width, batch = _FORWARD
  network = networks.build_network(_config(*_FORWARD), "network")
  images = tf.random.stateless_uniform([batch, height, width, 3], [0, 2])

  @tf.function
  def labels(images):
    return tf.argmax(network(images, training=False)["logits"], axis=-1)

  labels(images)

  def measure() -> float:
    start = time.perf_counter()
    for _ in range(_FORWARDS):
      labels(images).numpy()
    return 1e3 * (time.perf_counter() - start) / _FORWARDS

  return measure


def main(argv: list[str]) -> None:
  del argv
  logging.set_verbosity(logging.WARNING)
  timing.start()
  python = timing.PEER_PYTHON.value or peers.python("torch")

  def torch(kind: str, sizes: tuple[int, ...]) -> timing.Peer:
    return timing.Peer(python, "erfnet_torch.py", kind, *map(str, sizes))

  torch_step, torch_forward = torch("step", _STEP), torch("forward", _FORWARD)
  measures = {
    "step_ms": step(),
    "torch_step_ms": lambda: torch_step.measure(_STEPS),
    "forward_ms": forward(),
    "torch_forward_ms": lambda: torch_forward.measure(_FORWARDS),
    "gemm_gflop_per_s": timing.gemm(),
  }
  figures = summary(timing.in_turn(measures, timing.ROUNDS.value))
  figures["versions"] = {"tensorflow": tf.__version__, **torch_step.about}
  for peer in (torch_step, torch_forward):
    peer.close()
  timing.show(figures, timing.JSON.value)


def summary(rounds: dict[str, list[float]]) -> dict[str, Any]:
  """Medians over rounds and their ratios.

  Args:
    rounds: {measure: values}, in milliseconds except for gemm_gflop_per_s.
  """
  median = timing.medians(rounds)
  # GFLOP divided by GFLOP/s, in milliseconds.
  step_floor, forward_floor = (
    flops / 1e6 / median["gemm_gflop_per_s"]
    for flops in (step_flops(*_STEP), forward_flops(*_FORWARD))
  )
  ratios = {
    "step_floor_ms": step_floor,
    "forward_floor_ms": forward_floor,
    "step_times_as_fast_as_torch": median["torch_step_ms"] / median["step_ms"],
    "forward_times_as_fast_as_torch": median["torch_forward_ms"] / median["forward_ms"],
    "step_share_of_floor": step_floor / median["step_ms"],
    "forward_share_of_floor": forward_floor / median["forward_ms"],
  }
  return {
    "median": median, "ratios": ratios, "rounds": rounds, "step": _STEP,
    "forward": _FORWARD, "machine": timing.machine(),
  }  # fmt: skip


if __name__ == "__main__":
  sys.argv[0] = "erfnet_step"
  app.run(main)
