"""What inference.py compares, each in a process of its own; here is the asking side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import peers
from benchmarks.peers import latency
from export import parity
from tfdam import config as config_lib
from tfdam import runtime

_HERE = os.path.dirname(os.path.abspath(__file__))
_SECONDS_TO_END = 10.0
# Other devices add in another order, which turns near ties.
_AGREEMENT_ON_GPU = 0.999


class Kind(NamedTuple):
  """A way to label images.

  Attributes:
    title: for people.
    worker: of inference_worker.py, or a script in peers/.
    is_exact: whether it computes in float32, and has to give Keras' labels.
  """

  title: str
  worker: str
  is_exact: bool = True


KINDS = {
  "keras": Kind("Keras, tf.function", "keras"),
  "saved_model": Kind("SavedModel", "saved_model"),
  "onnx_float32": Kind("ONNX Runtime float32", "onnx"),
  "onnx_float16": Kind("ONNX Runtime float16", "onnx", is_exact=False),
  "onnx_int8": Kind("ONNX Runtime int8", "onnx", is_exact=False),
  "openvino": Kind("OpenVINO float32", "openvino_onnx.py"),
  "torch": Kind("PyTorch, eager", "erfnet_forward_torch.py"),
}
# {candidate: the flag that names a Python with its requirements}.
_PYTHON_FLAGS = {"openvino": "--openvino_python", "torch": "--peer_python"}


class Worker:
  """A process that answers requests; peers/latency.py has them."""

  def __init__(self, title: str, command: Sequence[str]):
    """Starts it, and does not wait.

    Raises:
      latency.Missing: there is no such program.
    """
    self.title = title
    self._errors = tempfile.TemporaryFile("w+", errors="replace")
    try:
      self._process = subprocess.Popen(
        command, cwd=runtime.PROJECT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
      )  # fmt: skip
    except OSError as error:
      self._errors.close()
      raise latency.Missing(f"{command[0]}: {error.strerror}") from error
    assert self._process.stdin
    assert self._process.stdout
    self._requests, self._answers = self._process.stdin, self._process.stdout

  def about(self) -> dict[str, Any]:
    """What it is, once it has started; to be asked first, once.

    Raises:
      latency.Missing: it cannot be had here.
      config.UserError: it failed.
    """
    return self._answer()["about"]

  def ask(self, do: str, **details: Any) -> dict[str, Any]:
    """The answer to a request; raises as `about`."""
    try:
      self._requests.write(json.dumps({"do": do, **details}) + "\n")
      self._requests.flush()
    except BrokenPipeError:
      pass  # its end is told below
    return self._answer()

  def close(self) -> int:
    """Ends it; returns its exit status."""
    self._process.communicate()
    try:
      return self._process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
      self._process.kill()
      return self._process.wait()
    finally:
      self._errors.close()

  def _answer(self) -> dict[str, Any]:
    line = self._answers.readline()
    if not line:
      status = self._process.wait()
      raise latency.Missing(f"its process ended with status {status}{self._last_words()}")
    answer = json.loads(line)
    if "missing" in answer:
      raise latency.Missing(answer["missing"])
    if "error" in answer:
      raise config_lib.UserError(f"{self.title} fails: {answer['error']}")
    return answer

  def _last_words(self) -> str:
    self._errors.seek(0)
    lines = self._errors.read().split("\n")
    said = [line for line in lines if line.strip()]
    return f" ({said[-1].strip()})" if said else ""


def start(name: str, spec: Mapping[str, Any], python: str = "") -> Worker:
  """Starts a candidate's process, or "gemm".

  Args:
    name: in KINDS, or "gemm".
    spec: what its script wants to know.
    python: of a peer; empty: an environment of its own, made at the first use.

  Raises:
    latency.Missing: a peer's environment cannot be made.
  """
  kind = KINDS.get(name, Kind("matrix product", name))
  text = json.dumps({"kind": kind.worker, **spec})
  if name not in _PYTHON_FLAGS:
    module = "benchmarks.inference_worker"
    return Worker(kind.title, [sys.executable, "-m", module, text])
  script = os.path.join(_HERE, "peers", kind.worker)
  return Worker(kind.title, [python or _environment(name), script, text])


def _environment(name: str) -> str:
  try:
    return peers.python(name)
  except (OSError, subprocess.SubprocessError) as error:
    raise latency.Missing(f"its environment cannot be made ({error})") from error


def remedy(name: str) -> str:
  """What to do about a candidate that is not there."""
  if name not in _PYTHON_FLAGS:
    return "python -m tfdam.doctor shows what this Python has."
  return (
    f"Set {_PYTHON_FLAGS[name]} to a Python that has"
    f" benchmarks/peers/requirements-{name}.txt."
  )


def agreement(labels: np.ndarray, reference: np.ndarray) -> float:
  """Share of equal labels; 0 if there are not as many."""
  if labels.shape != reference.shape:
    return 0.0
  return float(np.mean(labels.astype(np.int64) == reference))


def check_labels(
  name: str, worker: Worker, reference: np.ndarray, provider: str
) -> float:
  """Labels all images in both ways and compares.

  Args:
    reference: the Keras network's labels, integers [N, H, W] or [N].

  Returns:
    Share of equal labels, in the worse way.

  Raises:
    config.UserError: a float32 candidate computes something else.
  """
  shares = []
  with tempfile.TemporaryDirectory() as folder:
    file = os.path.join(folder, "labels.npy")
    for way in ("host", "resident"):
      worker.ask("label", way=way, file=file)
      shares.append(agreement(np.load(file), reference))
  least = parity.FLOAT32.label_agreement if provider == "cpu" else _AGREEMENT_ON_GPU
  if KINDS[name].is_exact and min(shares) < least:
    raise config_lib.UserError(
      f"{worker.title}: {100 * min(shares):.3f} % of its labels are the Keras network's;"
      f" expected at least {100 * least:g} %. What computes something else is not timed."
      f" Export the run again, or leave {name} out of --candidates."
    )
  return min(shares)
