"""How long it takes to label one image: Keras, its exports, and other systems, in turn.

  python -m benchmarks.inference [--workdir=RUN] [--provider=cpu] [--json=FILE]

Each of them runs in a process of its own and is asked in turn, in rounds, so that the
machine's drifts hit all alike; what does not give the Keras network's labels is not timed
(float16 and int8 excepted: their share of equal labels is told). Without a run: the full
ERFNet encoder with 19 classes and random weights at 512x1024, which costs the same time as
a trained one. PyTorch and OpenVINO have environments of their own, made at the first run
(or name Pythons that have them: --peer_python, --openvino_python).

"host" is from a numpy image to a numpy label map. Without copies both stay where the
library computes: resident tensors, and buffers bound beforehand.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags, logging

from benchmarks import (
  inference_candidates,
  inference_files,
  inference_report,
  inference_subject,
  inference_worker,
  timing,
)
from benchmarks.peers import latency
from export import backends
from tfdam import config as config_lib
from tfdam import models, runtime
from tfdam.training import progress

_WORKDIR = flags.DEFINE_string(
  "workdir", "", "Run folder whose network is timed. Default: random weights."
)
_NETWORK = flags.DEFINE_enum("network", "erfnet", list(models.MODELS), "Without a run.")
_HEIGHT = flags.DEFINE_integer(
  "height", 0, "Of the image, without a run. Default: 512, or 28 of a digit.", lower_bound=0
)
_WIDTH = flags.DEFINE_integer("width", 0, "Default: 1024, or 28.", lower_bound=0)
_CANDIDATES = flags.DEFINE_list(
  "candidates", list(inference_candidates.KINDS), "What is timed."
)
_PROVIDER = flags.DEFINE_enum(
  "provider", "cpu", inference_worker.PROVIDERS, "What computes; Keras takes the GPU too."
)
_THREADS = flags.DEFINE_integer(
  "threads", 0, "Of each on the CPU; 0: as many as it takes by itself.", lower_bound=0
)
_QUERIES = flags.DEFINE_integer("queries", 1_000, "Enough of each.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 60.0, "Enough of each as well.", lower_bound=0.0)
_MLPERF_LIKE = flags.DEFINE_bool(
  "mlperf_like", False,
  "At least 1,024 queries and at least 60 s of each, with host copies; p90 counts.",
)  # fmt: skip
_OPENVINO_PYTHON = flags.DEFINE_string(
  "openvino_python", "", "A Python that has OpenVINO."
)

_SEEDS = {"weights": 0, "images": 1, "order": 2}
_NUM_IMAGES = 4
# Before the first round and before each later one: others had the caches meanwhile.
_FIRST_WARM_UP, _WARM_UP = 10, 2
# Of all processor time, to be spent by other processes, before figures are called disturbed.
_DISTURBED = 0.05


def main(argv: list[str]) -> None:
  _check_flags(argv)
  with contextlib.ExitStack() as stack:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tfdam-inference-"))
    bench = _Bench(folder)
    workers = bench.start(stack)
    figures = bench.measure(workers)
  inference_report.show(figures)
  if timing.JSON.value:
    with open(runtime.resolve_path(timing.JSON.value), "w") as file:
      json.dump(figures, file, indent=2)


if __name__ == "__main__":
  sys.argv[0] = "inference"
  runtime.run(main)
