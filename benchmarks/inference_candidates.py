"""The candidates that inference.py compares, and the side that asks their processes."""

from __future__ import annotations

import contextlib
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
# Other devices add in another order, which changes labels of nearly equal classes.
_AGREEMENT_ON_GPU = 0.999


class Kind(NamedTuple):
  """A way to label images.

  Attributes:
    title: for people.
    worker: a kind of inference_worker.py, or a script in peers/.
    is_exact: whether it computes in float32, and must give Keras' labels.
  """

  title: str
  worker: str
  is_exact: bool = True


KINDS = {
  "keras": Kind("Keras tf.function", "keras"),
  "saved_model": Kind("SavedModel", "saved_model"),
  "onnx_float32": Kind("ONNX Runtime float32", "onnx"),
  "onnx_float16": Kind("ONNX Runtime float16", "onnx", is_exact=False),
  "onnx_int8": Kind("ONNX Runtime int8", "onnx", is_exact=False),
  "onnx_int8_tensorrt": Kind("ONNX Runtime int8_tensorrt", "onnx", is_exact=False),
  "openvino": Kind("OpenVINO float32", "openvino_onnx.py"),
  "openvino_int8": Kind("OpenVINO int8", "openvino_onnx.py", is_exact=False),
  "torch": Kind("PyTorch eager", "erfnet_forward_torch.py"),
}
# {candidate: the peer, and the flag that names a Python with its requirements}.
_PEERS = {
  "openvino": ("openvino", "--openvino_python"),
  "openvino_int8": ("openvino", "--openvino_python"),
  "torch": ("torch", "--peer_python"),
}


class Worker:
  """A process that answers the requests of peers/latency.py."""

  def __init__(self, title: str, command: Sequence[str]):
    """Starts the process without waiting for it.

    Args:
      title: for messages.
      command: the program and its arguments.

    Raises:
      latency.MissingError: there is no such program.
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
      raise latency.MissingError(f"{command[0]}: {error.strerror}") from error
    assert self._process.stdin
    assert self._process.stdout
    self._requests, self._answers = self._process.stdin, self._process.stdout

  def about(self) -> dict[str, Any]:
    """Waits for the start and returns versions and the like; call it first, and once.

    Raises:
      latency.MissingError: the candidate cannot run here.
      config.UserError: it failed.
    """
    return self._answer()["about"]

  def ask(self, do: str, **details: Any) -> dict[str, Any]:
    """Returns the answer to a request.

    Raises:
      config.UserError: the request failed, or the process has ended.
    """
    with contextlib.suppress(BrokenPipeError):  # an ended process is reported below
      self._requests.write(json.dumps({"do": do, **details}) + "\n")
      self._requests.flush()
    try:
      return self._answer()
    except latency.MissingError as error:
      raise config_lib.UserError(f"{self.title}: {error}.") from error

  def close(self) -> int:
    """Ends the process; returns its exit status."""
    try:
      self._process.communicate(timeout=_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.communicate()
    self._errors.close()
    return self._process.returncode

  def _answer(self) -> dict[str, Any]:
    line = self._answers.readline()
    if not line:
      status = self._process.wait()
      said = [line.strip() for line in self._said().split("\n") if line.strip()]
      last = f" ({said[-1]})" if said else ""
      raise latency.MissingError(f"its process ended with status {status}{last}")
    answer = json.loads(line)
    if "missing" in answer:
      raise latency.MissingError(answer["missing"])
    if "error" in answer:
      sys.stderr.write(self._said())  # with the traceback
      raise config_lib.UserError(f"{self.title} fails: {answer['error']}")
    return answer

  def _said(self) -> str:
    """Returns what the process wrote to standard error."""
    self._errors.seek(0)
    return self._errors.read()


def start(name: str, spec: Mapping[str, Any], python: str = "") -> Worker:
  """Starts a candidate's process, or "gemm".

  Args:
    name: in KINDS, or "gemm".
    spec: the argument of its script.
    python: a peer's Python; empty for its own environment, which the first use makes.

  Raises:
    latency.MissingError: a peer's environment cannot be made.
  """
  worker = KINDS[name].worker if name in KINDS else name
  text = json.dumps({"kind": worker, **spec})
  if name not in _PEERS:
    module = "benchmarks.inference_worker"
    return Worker(title(name), [sys.executable, "-m", module, text])
  script = os.path.join(_HERE, "peers", worker)
  return Worker(title(name), [python or _environment(name), script, text])


def title(name: str) -> str:
  return KINDS[name].title if name in KINDS else "matrix product"


def _environment(name: str) -> str:
  try:
    return peers.python(_PEERS[name][0])
  except (OSError, subprocess.SubprocessError) as error:
    raise latency.MissingError(f"its environment cannot be made ({error})") from error


def explained(name: str, error: latency.MissingError) -> str:
  """Says why a candidate is missing, and what to do about it."""
  remedy = "python -m tfdam.doctor shows what this Python has."
  if name in _PEERS:
    peer, flag = _PEERS[name]
    remedy = (
      f"Leave {flag} out, or set it to a Python with what"
      f" benchmarks/peers/requirements-{peer}.txt names."
    )
  return f"{str(error).rstrip('.')}. {remedy}"


def agreement(labels: np.ndarray, reference: np.ndarray) -> float:
  """Returns the share of equal labels; 0 if the shapes differ."""
  if labels.shape != reference.shape:
    return 0.0
  return float(np.mean(labels.astype(np.int64) == reference))


def check_labels(name: str, worker: Worker, reference: np.ndarray, provider: str) -> float:
  """Labels all images in both ways and compares.

  Args:
    name: in KINDS.
    worker: its process.
    reference: the Keras network's labels, integers [N, H, W] or [N].
    provider: in inference_worker.PROVIDERS.

  Returns:
    The share of equal labels, in the worse way.

  Raises:
    config.UserError: a float32 candidate gives other labels.
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
