"""An adaptation step of EfficientNet-Lite0 with its head: ours and PyTorch's in turn.

  python -m benchmarks.lite0_step [--rounds=8] [--json=PATH] [--peer_python=PATH]

One round measures each of them briefly, and ratios are computed from the medians over
rounds. Both take the same steps: frozen source network, four taps, drift, two optimisers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import tensorflow as tf
from absl import app, logging

from benchmarks import peers, timing
from configs.segmentation import streets_to_camvid
from tfdam import config as config_lib

# Height, width, images: those of the config.
_SIZES = (96, 128, 8)
_STEPS = 10


def _config() -> config_lib.Config:
  values = streets_to_camvid.get_config("lite0,gam")
  # Without the moving average of weights, which the peer does not keep.
  values.update_from_flattened_dict(
    {"adapt.warmup_steps": 0, "adapt.ema_momentum": 0.0, "model.weights": ""}
  )
  config = config_lib.resolve(values)
  assert (config.data.height, config.data.width, config.adapt.global_batch_size) == _SIZES
  return config


def step() -> Callable[[], float]:
  """Returns a function that measures our adaptation step on one batch, in ms."""
  height, width, batch = _SIZES
  images = tf.random.stateless_uniform([2, batch, height, width, 3], [0, 1])
  one_batch = {"source": images[0], "target": images[1]}
  return timing.adaptation_step(_config(), one_batch, _STEPS)


def main(argv: list[str]) -> None:
  del argv
  logging.set_verbosity(logging.WARNING)
  timing.start()
  python = timing.PEER_PYTHON.value or peers.python("torch")
  torch = timing.Peer(python, "lite0_torch.py", *map(str, _SIZES))
  measures = {"step_ms": step(), "torch_step_ms": lambda: torch.measure(_STEPS)}
  rounds = timing.in_turn(measures, timing.ROUNDS.value)
  median = timing.medians(rounds)
  figures = {
    "median": median,
    "ratios": {"times_as_fast_as_torch": median["torch_step_ms"] / median["step_ms"]},
    "rounds": rounds, "sizes": _SIZES, "machine": timing.machine(),
    "versions": {"tensorflow": tf.__version__, **torch.about},
  }  # fmt: skip
  torch.close()
  timing.show(figures, timing.JSON.value)


if __name__ == "__main__":
  sys.argv[0] = "lite0_step"
  app.run(main)
