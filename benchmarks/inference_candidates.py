"""What inference.py compares, each in a process of its own; here is the asking side."""

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
  """A process that answers requests; peers/latency.py has them."""

  def __init__(self, title: str, command: Sequence[str]):
    """Starts it, and does not wait.

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
    """What it is, once it has started; to be asked first, once.

    Raises:
      latency.MissingError: it cannot be had here.
      config.UserError: it failed.
    """
    return self._answer()["about"]

  def ask(self, do: str, **details: Any) -> dict[str, Any]:
    """The answer to a request.

    Raises:
      config.UserError: it failed, or has ended.
    """
    with contextlib.suppress(BrokenPipeError):  # its end is told below
      self._requests.write(json.dumps({"do": do, **details}) + "\n")
      self._requests.flush()
    try:
      return self._answer()
    except latency.MissingError as error:
      raise config_lib.UserError(f"{self.title}: {error}.") from error

  def close(self) -> int:
    """Ends it; returns its exit status."""
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
    """What it wrote to its standard error."""
    self._errors.seek(0)
    return self._errors.read()


def start(name: str, spec: Mapping[str, Any], python: str = "") -> Worker:
  """Starts a candidate's process, or "gemm".

  Args:
    name: in KINDS, or "gemm".
    spec: what its script wants to know.
    python: of a peer; empty: an environment of its own, made at the first use.

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
  """Why a candidate is not there, and what to do about it."""
  remedy = "python -m tfdam.doctor shows what this Python has."
  if name in _PEERS:
    peer, flag = _PEERS[name]
    remedy = (
      f"Leave {flag} out, or set it to a Python with what"
      f" benchmarks/peers/requirements-{peer}.txt names."
    )
  return f"{str(error).rstrip('.')}. {remedy}"


def agreement(labels: np.ndarray, reference: np.ndarray) -> float:
  """Share of equal labels; 0 if there are not as many."""
  if labels.shape != reference.shape:
    return 0.0
  return float(np.mean(labels.astype(np.int64) == reference))


def check_labels(name: str, worker: Worker, reference: np.ndarray, provider: str) -> float:
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
