"""Images per second of each input pipeline, and of the adaptation step that uses them.

  python -m benchmarks.input_pipeline [--batches=40] [--json=PATH]

It measures every config whose data is there: batches of both domains as in training, read
again at every step (`from_files`) or kept in memory after their first use (`from_memory`).
The step is measured in the same run, without data. Ratios above 1 mean that the step never
waits for images.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import tensorflow as tf
from absl import app, flags, logging

from benchmarks import timing
from configs import streets
from configs.segmentation import carla_to_camvid, streets_to_camvid
from tfdam import config as config_lib
from tfdam import data, runtime
from tfdam.data import pairs, scenes
from tfdam.training import adaptation, loop, networks

_BATCHES = flags.DEFINE_integer(
  "batches", 40, "Batches per measurement.", lower_bound=2, upper_bound=1_000_000
)

_CONFIGS = {
  "streets": streets.get_config,
  "streets_to_camvid": streets_to_camvid.get_config,
  "carla_to_camvid": carla_to_camvid.get_config,
}


def main(argv: list[str]) -> None:
  del argv
  logging.set_verbosity(logging.WARNING)
  figures: dict[str, Any] = {"machine": timing.machine(), "configs": {}}
  print(
    f"{'images/s':20} {'from files':>12} {'from memory':>12} {'step':>8} {'ratios':>16}"
  )
  for name, make in _CONFIGS.items():
    config = config_lib.resolve(make())
    root = runtime.data_root(config.data)
    try:
      data.check_files(config.data, root)
    except config_lib.UserError:
      print(f"{name:20} not measured: its data is not in {root}")
      continue
    found = {
      "from_files": _images_per_s(config, root, cache_mb=0),
      "from_memory": _images_per_s(config, root, cache_mb=16_384),
      "step": _step_images_per_s(config),
    }
    ratios = [found[kind] / found["step"] for kind in ("from_files", "from_memory")]
    print(
      f"{name:20} {found['from_files']:12.0f} {found['from_memory']:12.0f}"
      f" {found['step']:8.0f} {ratios[0]:8.1f} {ratios[1]:7.1f}",
      flush=True,
    )
    figures["configs"][name] = found
  if timing.JSON.value:
    with open(timing.JSON.value, "w") as file:
      json.dump(figures, file, indent=2)


def _images_per_s(config: config_lib.Config, root: str, cache_mb: int) -> float:
  """Returns images per second of both domains, processed as in training.

  Args:
    config: of the run.
    root: the folder of data sets.
    cache_mb: 0 to read every image again; otherwise all are read before the measurement.
  """
  values = json.loads(config_lib.to_json(config))
  values["data"]["cache_mb"] = cache_mb
  values["adapt"]["discriminator_units"] = tuple(values["adapt"]["discriminator_units"])
  config = config_lib.resolve(values)
  source = data.load_training("source", False, config.data, root, config.seed)
  target = data.load_training("target", False, config.data, root, config.seed)
  if cache_mb:
    for split in (source, target):
      assert isinstance(split, scenes.Scenes)
      for i in range(len(split)):
        split.read_image(i)
  batches = iter(pairs.domain_batches(source, target, config))
  next(batches)
  start = time.perf_counter()
  for _ in range(_BATCHES.value):
    next(batches)
  seconds = time.perf_counter() - start
  return 2 * config.adapt.global_batch_size * _BATCHES.value / seconds


def _step_images_per_s(config: config_lib.Config) -> float:
  """Returns images per second of both domains that the adaptation step processes."""
  source = networks.build_network(config, "source")
  size = config.adapt.global_batch_size
  height, width = networks.input_size(config.data)
  images = tf.random.stateless_uniform([2, size, height, width, 3], [0, 1])
  phases = adaptation.set_up(config, source, source, source).phases
  many_steps = loop.compile_steps(phases[-1].step, tf.distribute.get_strategy())
  batch = {"source": images[0], "target": images[1]}
  iterator = iter(tf.data.Dataset.from_tensors(batch).cache().repeat())
  many_steps(iterator, tf.constant(2))
  start = time.perf_counter()
  many_steps(iterator, tf.constant(_BATCHES.value))
  return 2 * size * _BATCHES.value / (time.perf_counter() - start)


if __name__ == "__main__":
  sys.argv[0] = "input_pipeline"
  app.run(main)
