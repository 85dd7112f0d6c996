"""How long it takes to label one image: Keras, its exports, and other systems, in turn.

  python -m benchmarks.inference [--run=RUN] [--provider=cpu] [--json=FILE]

Each runs in a process of its own and is asked in turn, in rounds, so that the machine's
drifts hit all alike. What does not give the Keras network's labels is not timed; float16
and int8 are, with their share of equal labels. Without a run: the full ERFNet encoder with
19 classes and random weights at 512x1024, which takes as long as a trained one. OpenVINO
and PyTorch have environments of their own, made at the first run (or name Pythons that have
them: --openvino_python, --peer_python). A quarter of an hour; --seconds=15 is a first look.

With host copies a query goes from a numpy image to a numpy label map; without, both stay
where the library computes, in resident tensors and in buffers that were bound before.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import flags, logging

from benchmarks import (
  inference_candidates,
  inference_files,
  inference_report,
  inference_rounds,
  inference_subject,
  inference_worker,
  timing,
)
from benchmarks.peers import latency
from export import backends
from export import contract as contract_lib
from tfdam import config as config_lib
from tfdam import models, runtime
from tfdam.vocabulary import Task

_WORKDIR = flags.DEFINE_string("run", "", "Run whose network is timed.")
_NETWORK = flags.DEFINE_enum(
  "network", "erfnet", list(models.MODELS), "Without a run: which one, at random."
)
_HEIGHT = flags.DEFINE_integer(
  "image_height", 0, "Without a run. Default: 512, or 28 of digits.", lower_bound=0,
  upper_bound=8192,
)  # fmt: skip
_WIDTH = flags.DEFINE_integer(
  "image_width", 0, "Without a run. Default: 1024, or 28.", lower_bound=0,
  upper_bound=8192,
)  # fmt: skip
_CANDIDATES = flags.DEFINE_list(
  "candidates", list(inference_candidates.KINDS), "What is timed."
)
_PROVIDER = flags.DEFINE_enum(
  "provider", "cpu", inference_worker.PROVIDERS, "What computes."
)
_THREADS = flags.DEFINE_integer(
  "threads", 0, "Of each on the CPU; 0: as many as it takes by itself.", lower_bound=0,
  upper_bound=1024,
)  # fmt: skip
_QUERIES = flags.DEFINE_integer(
  "queries", 1_000, "Enough of each.", lower_bound=1, upper_bound=1_000_000_000
)
_SECONDS = flags.DEFINE_float(
  "seconds", 60.0, "Enough as well.", lower_bound=0.0, upper_bound=86_400.0
)
_MLPERF_LIKE = flags.DEFINE_bool(
  "mlperf_like", False,
  "Each with host copies, at least 1,024 queries and at least 60 s; the p90 counts.",
)  # fmt: skip
_OPENVINO_PYTHON = flags.DEFINE_string("openvino_python", "", "A Python that has OpenVINO.")

_OPENVINO_FILES = {"openvino": "onnx_float32", "openvino_int8": "onnx_int8"}
_SEEDS = {"weights": 0, "images": 1, "order": 2}
# A classification has one label an image to compare.
_NUM_IMAGES: dict[str, int] = {Task.SEGMENTATION: 4, Task.CLASSIFICATION: 64}


class _Task(NamedTuple):
  """What all candidates do, and the files that they read.

  Attributes:
    reference: the Keras network's labels of the images, integers [N, H, W] or [N].
    images: {layout: file}.
    image_source: what the images show.
    weights: file.
  """

  subject: inference_subject.Subject
  files: inference_files.Files
  reference: np.ndarray
  images: dict[str, str]
  image_source: str
  weights: str

  def spec(self, name: str) -> dict[str, Any]:
    """What a candidate's process is told.

    Raises:
      config.UserError: there is no file for it, and none can be made.
    """
    shared = {
      "images": self.images["nhwc"], "threads": _THREADS.value, "provider": _PROVIDER.value,
    }  # fmt: skip
    if name == "gemm":
      return shared
    if name == "keras":
      return {**shared, **self.subject.spec()}
    if name == "torch":
      inference_files.check_yardstick(self.subject)
      return {**shared, "model": self.weights}
    if name == "saved_model":
      return {**shared, "model": self.files.path(name)}
    file = _OPENVINO_FILES.get(name, name)
    arranged = self.images[self.subject.contract.layout]
    return {**shared, "images": arranged, "model": self.files.path(file)}

  def macs(self) -> dict[str, int]:
    """Multiplications and additions of one image by operator; empty if unknown."""
    try:
      model = self.files.float32()
    except config_lib.UserError:  # there is no converter
      return {}
    shape = np.load(self.images[self.subject.contract.layout], mmap_mode="r").shape
    return inference_report.macs_by_operator(model, (1, *shape[1:]))


def main(argv: list[str]) -> None:
  _check_flags(argv)
  # As with Ctrl-C, the processes end and the folder goes.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit("Error: terminated."))
  with contextlib.ExitStack() as stack:
    # The reference and the files are the CPU's; GPUs are the candidates'.
    tf.config.set_visible_devices([], "GPU")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tfdam-inference-"))
    task = _prepare(folder)
    workers, found = _start(task, stack)
    _compare(workers, found, task.reference)
    timed = inference_rounds.measure(
      workers, _ways(), _budget(), timing.ROUNDS.value, _SEEDS["order"]
    )
    figures = _figures(task, found, timed)
  inference_report.show(figures)
  if timing.JSON.value:
    with open(runtime.resolve_path(timing.JSON.value), "w") as file:
      json.dump(figures, file, indent=2)


def _check_flags(argv: list[str]) -> None:
  if len(argv) > 1:
    raise config_lib.UserError(f"'{argv[1]}' is no flag. --help lists them.")
  known = tuple(inference_candidates.KINDS)
  for name in _CANDIDATES.value:
    if name not in known:
      raise config_lib.UserError(
        f"'{name}' is no candidate ({', '.join(known)}).{config_lib.nearest(name, known)}"
        " Set --candidates."
      )
  folder = os.path.dirname(runtime.resolve_path(timing.JSON.value or "here"))
  if not os.path.isdir(folder):  # said now, not after all has been measured
    raise config_lib.UserError(f"--json: there is no folder {folder}. Make it.")


def _ways() -> tuple[str, ...]:
  return ("host",) if _MLPERF_LIKE.value else ("host", "resident")


def _budget() -> inference_rounds.Budget:
  queries, seconds = _QUERIES.value, _SECONDS.value
  if not _MLPERF_LIKE.value:
    return inference_rounds.Budget(queries, seconds, needs_both=False)
  return inference_rounds.Budget(max(queries, 1_024), max(seconds, 60.0), needs_both=True)


def _prepare(folder: str) -> _Task:
  """Builds the network; exported files are made when candidates ask for them."""
  tf.get_logger().setLevel("ERROR")  # what it tells of its own savers
  ready: dict[str, str] = {}
  if _WORKDIR.value:
    subject, ready = inference_subject.of_run(runtime.resolve_path(_WORKDIR.value))
  else:
    subject = inference_subject.random(
      _NETWORK.value, _HEIGHT.value, _WIDTH.value, _SEEDS["weights"]
    )
  logging.info("inference: building %s.", subject.config.model.name)
  network = subject.network()
  count = _NUM_IMAGES[subject.contract.task]
  images, source = inference_subject.images(subject, count, _SEEDS["images"])
  paths = {layout: os.path.join(folder, f"{layout}.npy") for layout in contract_lib.LAYOUTS}
  for layout, path in paths.items():
    np.save(path, backends.arranged(images, layout))
  weights = os.path.join(folder, "weights.npz")
  inference_files.save_weights(network, weights)
  reference = inference_subject.reference_labels(subject, network, images)
  files = inference_files.Files(subject, network, folder, ready)
  return _Task(subject, files, reference, paths, source, weights)


def _start(
  task: _Task, stack: contextlib.ExitStack
) -> tuple[inference_rounds.Workers, dict[str, dict[str, Any]]]:
  """Starts all processes side by side, with the one that measures the machine's limit.

  Returns:
    Those that run; and {name: what it is, or why it is not there}, of all.
  """
  pythons = {
    **dict.fromkeys(_OPENVINO_FILES, _OPENVINO_PYTHON.value),
    "torch": timing.PEER_PYTHON.value,
  }
  workers: dict[str, inference_candidates.Worker] = {}
  found: dict[str, dict[str, Any]] = {}
  for name in (*_CANDIDATES.value, "gemm"):
    found[name] = {"title": inference_candidates.title(name)}
    try:
      spec = task.spec(name)
      workers[name] = inference_candidates.start(name, spec, pythons.get(name, ""))
      stack.callback(workers[name].close)
    except config_lib.UserError as error:  # no file for it
      found[name]["missing"] = str(error)
    except latency.MissingError as error:
      found[name]["missing"] = inference_candidates.explained(name, error)
  for name, worker in list(workers.items()):
    logging.info("inference: starting %s.", worker.title)
    try:
      found[name].update(worker.about())
    except latency.MissingError as error:
      found[name]["missing"] = inference_candidates.explained(name, error)
      del workers[name]
  return workers, found


def _compare(
  workers: inference_rounds.Workers,
  found: dict[str, dict[str, Any]],
  reference: np.ndarray,
) -> None:
  """Notes the share of equal labels of each, before any is timed.

  Raises:
    config.UserError: one computes something else, or there is none.
  """
  names = [name for name in workers if name in inference_candidates.KINDS]
  if not names:
    reasons = "; ".join(about.get("missing", "") for about in found.values())
    raise config_lib.UserError(f"None of --candidates can be had here: {reasons}")
  logging.info("inference: comparing labels.")
  for name in names:
    found[name]["equal_labels"] = inference_candidates.check_labels(
      name, workers[name], reference, _PROVIDER.value
    )


def _figures(
  task: _Task, found: dict[str, dict[str, Any]], timed: inference_rounds.Timed
) -> dict[str, Any]:
  """Everything that is printed and written, as JSON can hold it."""
  headline = "p90" if _MLPERF_LIKE.value else "p50"
  for name, more in timed.candidates.items():
    found[name].update(more)
  del found["gemm"]
  contract = task.subject.contract
  floor = inference_report.floor(task.macs(), timed.gflop_per_s)
  figures = {
    "subject": {
      "network": contract.network, "height": contract.height, "width": contract.width,
      "classes": len(contract.classes), "stage": contract.stage, "step": contract.step,
      "weights": "of a run" if task.subject.workdir else "random",
      "images": task.image_source, "int8_calibrated_on": task.files.calibration,
    },
    "provider": _PROVIDER.value, "threads_asked_for": _THREADS.value, "seeds": _SEEDS,
    "mlperf_like": _MLPERF_LIKE.value, "headline": headline, "rounds": timed.num_rounds,
    "candidates": found, "floor": floor,
    "ratios": inference_report.ratios(found, floor.get("ms", 0.0), headline),
    "machine": inference_report.machine(), "others_cpu_share": timed.others_cpu_share,
  }  # fmt: skip
  return {**figures, "notes": inference_report.notes(figures)}


if __name__ == "__main__":
  sys.argv[0] = "inference"
  runtime.run(main)
