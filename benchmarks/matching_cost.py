"""The cost of Gaussian matching, in forward passes of the network.

  python -m benchmarks.matching_cost [--network=ResNet50] [--images=256] [--rounds=3]

It matches a network of keras.applications with random weights on random images, and times
this in turn with forward passes over the images of both domains, as matching also processes
each image once. The time of matching includes making its graphs; the compiled forward pass
is compiled before.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import app, flags, logging

from tfdam import config as config_lib
from tfdam import network as network_lib
from tfdam.matching import closed_form

_NETWORK = flags.DEFINE_string("network", "ResNet50", "Network of keras.applications.")
_IMAGES = flags.DEFINE_integer(
  "images", 256, "Images of each domain.", lower_bound=2, upper_bound=65_536
)
_BATCH = flags.DEFINE_integer(
  "batch", 32, "Images per forward pass.", lower_bound=1, upper_bound=65_536
)
_SIZE = flags.DEFINE_integer(
  "size", 128, "Height and width, pixels.", lower_bound=32, upper_bound=8_192
)
_ROUNDS = flags.DEFINE_integer(
  "rounds", 3, "Rounds in which all are timed.", lower_bound=1, upper_bound=1_000_000
)


# Batches of each domain's images.
_Domains = list[list[tf.Tensor]]


def main(argv: list[str]) -> None:
  del argv
  logging.set_verbosity(logging.WARNING)
  shape = (_SIZE.value, _SIZE.value, 3)
  model = getattr(tf.keras.applications, _NETWORK.value)(weights=None, input_shape=shape)
  network = network_lib.Network(model)
  options = config_lib.Match(batch_size=_BATCH.value, memory_mb=8_192)
  random = np.random.RandomState(0)
  batches = [
    [
      tf.constant(scale * random.rand(_BATCH.value, *shape), tf.float32)
      for _ in range(_IMAGES.value // _BATCH.value)
    ]
    for scale in (255.0, 128.0)
  ]
  compiled = tf.function(lambda images: model(images, training=False), autograph=False)
  matched = network.clone("matched")
  weights = network.get_weights()

  def forward(call: Callable[[tf.Tensor], tf.Tensor], domains: _Domains) -> None:
    for domain in domains:
      for images in domain:
        call(images)

  def match(domains: _Domains) -> None:
    matched.set_weights(weights)  # start from a copy of the network
    closed_form.match(network, matched, domains[0], domains[1], options)

  subjects: dict[str, Callable[[_Domains], None]] = {
    "forward, layer by layer": functools.partial(
      forward, lambda images: model(images, training=False)
    ),
    "forward, compiled": functools.partial(forward, compiled),
    "matching": match,
  }
  seconds: dict[str, list[float]] = {name: [] for name in subjects}
  for i in range(_ROUNDS.value + 1):
    for name, run in subjects.items():
      start = time.perf_counter()
      run(batches if i else [domain[:1] for domain in batches])
      if i:  # the first round, with one batch, warms up
        seconds[name].append(time.perf_counter() - start)
  medians = {name: float(np.median(found)) for name, found in seconds.items()}
  print(f"{_NETWORK.value}, {_SIZE.value}x{_SIZE.value}, {_IMAGES.value} images per domain")
  print(f"{'both domains':26}{'ms':>10}{'layer by layer':>18}{'compiled':>12}")
  for name, median in medians.items():
    ratios = [median / medians[base] for base in list(subjects)[:2]]
    print(f"{name:26}{1e3 * median:10.0f}{ratios[0]:18.2f}{ratios[1]:12.2f}")


if __name__ == "__main__":
  sys.argv[0] = "matching_cost"
  app.run(main)
