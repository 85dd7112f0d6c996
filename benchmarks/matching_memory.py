"""Memory of Gaussian matching over many images, under a budget.

  python -m benchmarks.matching_memory [--images=2000] [--budget_mb=512]

It matches the default run's network on random images, which are made when they are read. It
prints how much the process's memory grew after the first batch, and how large all
activations at the widest site would be.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Iterator

import tensorflow as tf
from absl import app, flags, logging

from configs import streets
from tfdam import config as config_lib
from tfdam.matching import closed_form
from tfdam.training import networks

_IMAGES = flags.DEFINE_integer(
  "images", 2_000, "Images of each domain.", lower_bound=20, upper_bound=1_000_000
)
_BUDGET = flags.DEFINE_integer(
  "budget_mb", 512, "match.memory_mb.", lower_bound=0, upper_bound=1 << 24
)


class _Images:
  """Batches of random images; every iteration gives the same ones."""

  def __init__(self, count: int, size: int, shape: tuple[int, int], offset: float):
    self._batches, self._size, self._shape = count // size, size, shape
    self._offset = offset

  def __iter__(self) -> Iterator[tf.Tensor]:
    for i in range(self._batches):
      shape = [self._size, *self._shape, 3]
      yield 0.5 * tf.random.stateless_uniform(shape, [i, 0]) + self._offset


def _resident_mb() -> float:
  """Returns the resident memory of this process, in MiB (Linux only)."""
  with open("/proc/self/statm") as file:
    return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class _Peak:
  """The largest resident memory within a `with`, in MiB, sampled every 20 ms."""

  def __init__(self):
    self.value = _resident_mb()
    self._ended = threading.Event()
    self._thread = threading.Thread(target=self._look, daemon=True)

  def __enter__(self) -> _Peak:
    self._thread.start()
    return self

  def __exit__(self, *_) -> None:
    self._ended.set()
    self._thread.join()

  def _look(self) -> None:
    while not self._ended.wait(0.02):
      self.value = max(self.value, _resident_mb())


def main(argv: list[str]) -> None:
  del argv
  logging.set_verbosity(logging.WARNING)
  config = config_lib.resolve(streets.get_config())
  source = networks.build_network(config, "source")
  target = networks.build_network(config, "matched", "gaussian")
  size = networks.input_size(config.data)
  options = dataclasses.replace(config.match, memory_mb=_BUDGET.value)

  def images(count: int, offset: float) -> _Images:
    return _Images(count, options.batch_size, size, offset)

  closed_form.match(
    source,
    target,
    images(options.batch_size, 0.0),
    images(options.batch_size, 0.5),
    options,
  )
  state, widest = {"output": next(iter(images(options.batch_size, 0.0)))}, 0.0
  for site in source.sites():
    state = site.advance(state)
    held = sum(v.shape.num_elements() for v in state.values()) * 4 / 2**20
    widest = max(widest, held / options.batch_size)
  del state
  before = _resident_mb()
  start = time.perf_counter()
  with _Peak() as peak:
    closed_form.match(
      source, target, images(_IMAGES.value, 0.0), images(_IMAGES.value, 0.5), options
    )
  print(f"images of each domain        {_IMAGES.value:10,}")
  print(f"widest site, MiB altogether  {widest * _IMAGES.value:10,.0f}")
  print(f"budget, MiB                  {options.memory_mb:10,}")
  print(f"growth at most, MiB          {peak.value - before:10,.0f}")
  print(f"seconds                      {time.perf_counter() - start:10.0f}")


if __name__ == "__main__":
  sys.argv[0] = "matching_memory"
  app.run(main)
