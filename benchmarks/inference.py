"""Times labelling one image: Keras, its exports, and other systems, in turn.

  python -m benchmarks.inference [--run=RUN] [--provider=cpu] [--json=FILE]

Each candidate runs in a separate process. They are asked in turn, in rounds, so that
changes of the machine's speed affect all alike. A candidate is timed only if it gives the
Keras network's labels, except for float16 and int8, whose share of equal labels is shown.
Without --run, the network is the full ERFNet encoder with 19 classes and random weights at
512x1024, which takes as long as a trained one. OpenVINO and PyTorch have separate
environments, which the first run makes; or set --openvino_python and --peer_python. The
benchmark takes a quarter of an hour; --seconds=15 gives a first impression.

With host copies, a query goes from a NumPy image to a NumPy label map. Without, both stay
on the device, in resident tensors and in buffers that are bound in advance.
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
  "network", "erfnet", list(models.MODELS), "Without --run: network with random weights."
)
_HEIGHT = flags.DEFINE_integer(
  "image_height", 0, "Without --run, pixels. 0: 512, or 28 for digits.", lower_bound=0,
  upper_bound=8192,
)  # fmt: skip
_WIDTH = flags.DEFINE_integer(
  "image_width", 0, "Without --run, pixels. 0: 1024, or 28 for digits.", lower_bound=0,
  upper_bound=8192,
)  # fmt: skip
_CANDIDATES = flags.DEFINE_list(
  "candidates", list(inference_candidates.KINDS), "Candidates to time."
)
_PROVIDER = flags.DEFINE_enum(
  "provider", "cpu", inference_worker.PROVIDERS, "Provider that computes."
)
_THREADS = flags.DEFINE_integer(
  "threads", 0, "CPU threads of each candidate; 0: its own default.", lower_bound=0,
  upper_bound=1024,
)  # fmt: skip
_QUERIES = flags.DEFINE_integer(
  "queries", 1_000, "Queries of each; fewer if --seconds are over.", lower_bound=1,
  upper_bound=1_000_000_000,
)  # fmt: skip
_SECONDS = flags.DEFINE_float(
  "seconds", 60.0, "Seconds for each; less after --queries.", lower_bound=0.0,
  upper_bound=86_400.0,
)  # fmt: skip
_MLPERF_LIKE = flags.DEFINE_bool(
  "mlperf_like", False,
  "Each with host copies, at least 1,024 queries and at least 60 s; the p90 counts.",
)  # fmt: skip
_OPENVINO_PYTHON = flags.DEFINE_string("openvino_python", "", "Python that has OpenVINO.")

_OPENVINO_FILES = {"openvino": "onnx_float32", "openvino_int8": "onnx_int8"}
_SEEDS = {"weights": 0, "images": 1, "order": 2}
# Classification compares more images, as each has only one label.
_NUM_IMAGES: dict[str, int] = {Task.SEGMENTATION: 4, Task.CLASSIFICATION: 64}


class _Task(NamedTuple):
  """The task of all candidates, and the files that they read.

  Attributes:
    subject: the network.
    files: its exported files.
    reference: the Keras network's labels of the images, integers [N, H, W] or [N].
    images: {layout: file}.
    image_source: what the images show.
    weights: file of the network's weights.
  """

  subject: inference_subject.Subject
  files: inference_files.Files
  reference: np.ndarray
  images: dict[str, str]
  image_source: str
  weights: str

  def spec(self, name: str) -> dict[str, Any]:
    """Returns the argument of a candidate's process.

    Raises:
      config.UserError: its file cannot be made.
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
    """Returns the multiply-add operations of one image by operator; empty if unknown."""
    try:
      model = self.files.float32()
    except config_lib.UserError:  # the converter is not installed
      return {}
    shape = np.load(self.images[self.subject.contract.layout], mmap_mode="r").shape
    return inference_report.macs_by_operator(model, (1, *shape[1:]))


def main(argv: list[str]) -> None:
  _check_flags(argv)
  # As with Ctrl-C, end the processes and remove the folder.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit("Error: terminated."))
  with contextlib.ExitStack() as stack:
    # The reference and the files are made on the CPU; GPUs are for the candidates.
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
  if not os.path.isdir(folder):  # an error now rather than after the measurement
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
  tf.get_logger().setLevel("ERROR")  # hides messages about saving
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
  """Starts all processes, including the one that measures the machine's limit.

  Returns:
    Those that run; and {name: its versions, or why it is missing}, for all.
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
    except config_lib.UserError as error:  # its file cannot be made
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
  """Measures each candidate's share of equal labels, before any is timed.

  Raises:
    config.UserError: a float32 candidate gives other labels, or no candidate runs.
  """
  names = [name for name in workers if name in inference_candidates.KINDS]
  if not names:
    reasons = "; ".join(about.get("missing", "") for about in found.values())
    raise config_lib.UserError(f"None of --candidates can run here: {reasons}")
  logging.info("inference: comparing labels.")
  for name in names:
    found[name]["equal_labels"] = inference_candidates.check_labels(
      name, workers[name], reference, _PROVIDER.value
    )


def _figures(
  task: _Task, found: dict[str, dict[str, Any]], timed: inference_rounds.Timed
) -> dict[str, Any]:
  """Returns everything that is printed and written, as JSON values."""
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
