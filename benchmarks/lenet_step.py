"""The digit adaptation step: ours, PyTorch's and two limits, in turn in one run.

  python -m benchmarks.lenet_step [--rounds=8] [--json=PATH] [--peer_python=PATH]

The limits are the arithmetic floor, which is all matrix products at the rate of a large
one, and the same products alone, at the rate of TensorFlow's kernels for their sizes.

One round measures each of them briefly, and ratios are computed from the medians over
rounds. Single times mean little on a busy machine. PyTorch runs in a separate environment,
which the first run makes; or set --peer_python to a Python that has torch.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import app, logging

from benchmarks import peers, timing
from configs.digits import mnist_to_usps
from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import pairs
from tfdam.runs import checkpoints, records, run_folder
from tfdam.training import adaptation, loop, networks

_BATCH, _STEPS = 128, 40
# {layer: its multiply-add operations for one image}.
_LENET = {
  "conv1": 24 * 24 * 20 * 25,
  "conv2": 8 * 8 * 50 * 500,
  "fc3": 800 * 500,
  "fc4": 500 * 10,
}
_TAP_WIDTHS = {"fc3": 500, "fc4": 10}
_HIDDEN = 500


def floor_flops(keeps_source_taps: bool) -> int:
  """Returns the floating-point operations that every implementation of a step needs.

  Only matrix products count. The gradients of a layer's weights and of its input each cost
  as much as the layer itself; the first layer's input needs no gradient.
  """
  forward = sum(_LENET.values())
  pairs_ = forward + forward + (forward - _LENET["conv1"])  # the target network
  pairs_ += 0 if keeps_source_taps else forward
  for width in _TAP_WIDTHS.values():
    first, later = width * _HIDDEN, _HIDDEN * _HIDDEN + _HIDDEN
    both = 2 * (first + later)
    pairs_ += both  # forward, both domains
    pairs_ += both + 2 * later  # the discriminator's own gradients
    pairs_ += first + later  # the alignment loss' gradient at the target's tap
  return 2 * pairs_ * _BATCH


def products() -> list[Callable[[], tf.Tensor]]:
  """Returns every matrix product of one step with stored source taps, on its own values.

  A step that did nothing else, and in any order, would take as long as these products.
  """
  numbers = itertools.count()

  def values(shape):
    # Different values, or equal products would be computed only once.
    return tf.random.stateless_uniform(shape, [0, next(numbers)])

  made: list[Callable[[], tf.Tensor]] = []

  def dense(width, units, num_forward=1, num_kernel=1, num_input=1):
    inputs, kernel, outputs = [_BATCH, width], [width, units], [_BATCH, units]
    for number, left, right, sides in (
      (num_forward, inputs, kernel, {}),
      (num_kernel, inputs, outputs, {"transpose_a": True}),
      (num_input, outputs, kernel, {"transpose_b": True}),
    ):
      made.extend(
        functools.partial(tf.matmul, values(left), values(right), **sides)
        for _ in range(number)
      )

  def convolution(size, channels, filters, is_first):
    inputs, outputs = [_BATCH, size, size, channels], [_BATCH, size - 4, size - 4, filters]
    kernel = [5, 5, channels, filters]
    geometry = {"strides": [1, 1, 1, 1], "padding": "VALID"}
    made.append(functools.partial(
      tf.raw_ops.Conv2D, input=values(inputs), filter=values(kernel), **geometry
    ))  # fmt: skip
    made.append(functools.partial(
      tf.raw_ops.Conv2DBackpropFilter, input=values(inputs), filter_sizes=kernel,
      out_backprop=values(outputs), **geometry,
    ))  # fmt: skip
    if not is_first:
      made.append(functools.partial(
        tf.raw_ops.Conv2DBackpropInput, input_sizes=inputs, filter=values(kernel),
        out_backprop=values(outputs), **geometry,
      ))  # fmt: skip

  convolution(28, 1, 20, is_first=True)
  convolution(12, 20, 50, is_first=False)
  dense(800, 500)
  dense(500, 10)
  for width in _TAP_WIDTHS.values():
    # Both domains for the forward pass and for the weights; inputs for the target's tap and
    # for the discriminator's own gradients.
    dense(width, _HIDDEN, num_forward=2, num_kernel=2, num_input=1)
    dense(_HIDDEN, _HIDDEN, num_forward=2, num_kernel=2, num_input=3)
    dense(_HIDDEN, 1, num_forward=2, num_kernel=2, num_input=3)
  return made


def _products_alone() -> Callable[[], float]:
  """Returns a function that measures all products of a step, in ms."""
  each = products()

  @tf.function
  def all_of_them():
    return tf.stack([tf.reshape(product(), [-1])[0] for product in each])

  all_of_them()

  def measure() -> float:
    start = time.perf_counter()
    for _ in range(_STEPS):
      all_of_them().numpy()
    return 1e3 * (time.perf_counter() - start) / _STEPS

  return measure


def _config(**changes) -> config_lib.Config:
  values = mnist_to_usps.get_config("release")
  # One logit, as in PyTorch's script.
  values.update_from_flattened_dict({"adapt.objective": "gan", **changes})
  return config_lib.resolve(values)


class _Ours:
  """The adaptation step on random images, with the source's taps kept or not."""

  def __init__(self, config: config_lib.Config, images: tf.Tensor):
    source = networks.build_network(config, "source")
    self.game = adaptation.set_up(config, source, source, source)
    (self.phase,) = self.game.phases
    taps = source(images)["taps"]
    self.taps = {tap: taps[tap] for tap in self.game.discriminators}

  def bare(self, batch) -> Callable[[], float]:
    """Returns a function that measures the step on one batch without data, in ms."""
    many_steps = loop.compile_steps(self.phase.step, tf.distribute.get_strategy())
    iterator = iter(tf.data.Dataset.from_tensors(batch).cache().repeat())
    timing.step_ms(many_steps, iterator, 5)
    return lambda: timing.step_ms(many_steps, iterator, _STEPS)


def step() -> Callable[[], float]:
  """Returns a function that measures the step with stored source taps, in ms."""
  batch = tf.random.stateless_uniform([_BATCH, 28, 28, 1], [0, 1])
  ours = _Ours(_config(), batch)
  return ours.bare({"target": batch, "source_taps": ours.taps})


def _whole_loop(config: config_lib.Config, images) -> Callable[[], float]:
  """Returns a function that measures a step of the whole loop, in ms.

  The loop includes data, metrics, summaries and checkpoints.
  """
  source = examples_lib.Examples(images, None, {})
  ours = _Ours(config, tf.cast(images[:_BATCH], tf.float32) / 255.0)
  kept = {
    tap: tf.repeat(value, len(images) // _BATCH, axis=0) for tap, value in ours.taps.items()
  }
  strategy = tf.distribute.get_strategy()

  def measure() -> float:
    with tempfile.TemporaryDirectory() as place:
      folder = run_folder.RunFolder(place)
      rate = loop.run(
        "adapted",
        [loop.Phase("adapt", ours.phase.step, config.adapt.steps)],
        lambda start: pairs.domain_batches(source, source, config, start, kept),
        strategy,
        checkpoints.Checkpoints(os.path.join(place, "c"), {"model": ours.game.target}),
        records.Records(folder),
        config.loop,
      )
    return 1e3 / rate

  return measure


def main(argv: list[str]) -> None:
  del argv
  logging.set_verbosity(logging.WARNING)
  timing.start()
  torch = timing.Peer(timing.PEER_PYTHON.value or peers.python("torch"), "lenet_torch.py")
  config = _config(**{"adapt.steps": 1_000, "loop.checkpoint_every": 1_000})
  images = tf.cast(
    255 * tf.random.stateless_uniform([60 * _BATCH, 28, 28, 1], [0, 1]), tf.uint8
  ).numpy()
  batch = tf.cast(images[:_BATCH], tf.float32) / 255.0
  ours = _Ours(config, batch)
  measures = {
    "ours_ms": ours.bare({"target": batch, "source_taps": ours.taps}),
    "ours_source_each_step_ms": ours.bare({"target": batch, "source": batch}),
    "loop_ms": _whole_loop(config, images),
    "torch_ms": lambda: torch.measure(_STEPS),
    "products_ms": _products_alone(),
    "gemm_gflop_per_s": timing.gemm(),
  }
  figures = summary(timing.in_turn(measures, timing.ROUNDS.value))
  torch.close()
  figures["versions"] = {"tensorflow": tf.__version__, **torch.about}
  timing.show(figures, timing.JSON.value)


def summary(rounds: dict[str, list[float]]) -> dict[str, Any]:
  """Medians over rounds and their ratios.

  Args:
    rounds: {measure: values}, in milliseconds except for gemm_gflop_per_s.
  """
  median = timing.medians(rounds)
  # GFLOP divided by GFLOP/s, in milliseconds.
  kept, each_step = (
    floor_flops(kept) / 1e6 / median["gemm_gflop_per_s"] for kept in (True, False)
  )
  ratios = {
    "floor_ms": kept,
    "floor_source_each_step_ms": each_step,
    # PyTorch's script computes the source's taps at every step; ours can store them.
    "times_as_fast_as_torch": median["torch_ms"] / median["ours_ms"],
    "times_as_fast_source_each_step": median["torch_ms"]
    / median["ours_source_each_step_ms"],
    "share_of_floor": kept / median["ours_ms"],
    "share_of_floor_source_each_step": each_step / median["ours_source_each_step_ms"],
    "loop_rate_over_bare_rate": median["ours_ms"] / median["loop_ms"],
    "products_alone_times_as_fast_as_torch": median["torch_ms"] / median["products_ms"],
    "products_share_of_step": median["products_ms"] / median["ours_ms"],
  }
  return {
    "median": median, "ratios": ratios, "rounds": rounds, "batch": _BATCH,
    "machine": timing.machine(),
  }  # fmt: skip


if __name__ == "__main__":
  sys.argv[0] = "lenet_step"
  app.run(main)
