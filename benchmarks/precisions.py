"""Times the precisions of the full ERFNet in ONNX Runtime on the CPU, in one process.

  python -m benchmarks.precisions [--rounds=15] [--json=PATH]

It measures ratios: only the file differs, and each round asks all of them. inference.py
runs each in a separate process, and compares other systems too. Labels and times are those
of random weights at 512x1024; an export measures the labels of a trained network.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from benchmarks import inference_files, inference_report, inference_subject, timing
from export import contract as contract_lib
from tfdam import config as config_lib
from tfdam import runtime

_PAUSE_MS = flags.DEFINE_integer(
  "pause_ms", 0, "Pause before each, for other users.", lower_bound=0, upper_bound=60_000
)


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise config_lib.UserError(f"'{argv[1]}' is no flag. --help lists them.")
  timing.start()
  subject = inference_subject.random("erfnet", 512, 1024, seed=0)
  images = inference_subject.random_images(subject.contract, 4, seed=1)
  with tempfile.TemporaryDirectory(prefix="tfdam-precisions-") as folder:
    files = inference_files.Files(subject, subject.network(), folder, {})
    sessions = {
      name: _session(files.path(f"onnx_{name}")) for name in contract_lib.PRECISIONS
    }
  labels = {name: [_ask(run, image) for image in images] for name, run in sessions.items()}
  measures = {name: measure(session, images) for name, session in sessions.items()}
  rounds = timing.in_turn(measures, timing.ROUNDS.value)
  median = timing.medians(rounds)
  reduced = [name for name in median if name != "float32"]
  least = {name: min(values) for name, values in rounds.items()}
  figures = {
    "rounds": rounds, "median": median,
    "ratios": {
      **{f"{n} times as fast as float32": median["float32"] / median[n] for n in reduced},
      **{f"{n}, the least of each": least["float32"] / least[n] for n in reduced},
    },
    "equal_labels": {n: np.mean(np.equal(labels[n], labels["float32"])) for n in reduced},
    "machine": inference_report.machine(),
  }  # fmt: skip
  timing.show(figures, timing.JSON.value)
  print(f"equal labels: {figures['equal_labels']}; on {figures['machine']}")


def _session(path: str):
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _ask(session, image: np.ndarray) -> np.ndarray:
  wanted = [contract_lib.LABELS]
  return session.run(wanted, {contract_lib.INPUT: image[np.newaxis]})[0]


def measure(session, images: np.ndarray) -> Callable[[], float]:
  """Returns a function that labels one image and returns its milliseconds."""
  turns = itertools.cycle(images)

  def once() -> float:
    time.sleep(_PAUSE_MS.value / 1e3)
    image = next(turns)
    _ask(session, image)  # the other sessions have used the caches
    start = time.perf_counter()
    _ask(session, image)
    return 1e3 * (time.perf_counter() - start)

  return once


if __name__ == "__main__":
  sys.argv[0] = "precisions"
  runtime.run(main)
