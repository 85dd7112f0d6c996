"""Probes, small programs that each try a library in a separate process.

If a library crashes in native code or hangs, the doctor reports it and goes on.

  python -m tfdam.diagnosis.probes PROBE [ARGUMENT ...]

runs a probe's steps and prints a line of JSON for each: {step: what was found}, or
{step: {"error": what failed}}.
"""

from __future__ import annotations

import base64
import ctypes
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from tfdam import runtime

CPU_PROVIDER = "CPUExecutionProvider"
# A convolution by 2 of one pixel, float32 [1, 1, 1, 1] `x` -> `y`, opset 17. Its bytes are
# here because the onnx package may be broken. It is a convolution because a GPU needs cuDNN
# for that.
CONVOLUTION = base64.b64decode(
  "CAg6YwoPCgF4CgF3EgF5IgRDb252EgFnKhMIAQgBCAEIARABIgQAAABAQgF3WhsKAXgSFgoUCAESEAoCCAEK"
  "AggBCgIIAQoCCAFiGwoBeRIWChQIARIQCgIIAQoCCAEKAggBCgIIAUIECgAQEQ=="
)
_LONGEST_ERROR = 300  # characters; ONNX Runtime's errors have many lines
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
# ONNX Runtime's exception only says that it fell back; the cause is in its log.
_LOADER_ERROR = re.compile(r"with error: (.+)")


def run(probe: str, *arguments: str, timeout_s: float) -> dict[str, dict[str, Any]]:
  """Runs a probe in a separate process.

  Args:
    probe: a key of PROBES.
    arguments: of each of its steps.
    timeout_s: for all steps together.

  Returns:
    {step: what was found, JSON values}, for every step. A failed step has "error", with
    "crashed" set if the process ended or hung in it, and "cause" if the library's log has
    one.
  """
  command = [sys.executable, "-m", "tfdam.diagnosis.probes", probe, *arguments]
  paths = [runtime.LIBRARY, *filter(None, [os.environ.get("PYTHONPATH")])]
  environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
  try:
    done = subprocess.run(
      command, env=environment, capture_output=True, timeout=timeout_s, check=False
    )
    ending = _ending(done.returncode)
    output, log = done.stdout, done.stderr
  except subprocess.TimeoutExpired as error:
    ending = f"gave no answer within {timeout_s:g} s"
    output, log = error.stdout or b"", error.stderr or b""
  printed = _parse(output.decode(errors="replace"))
  silent = {"error": ending, "crashed": True}
  found = {step: printed.get(step, dict(silent)) for step in PROBES[probe]}
  cause = _LOADER_ERROR.search(_COLOUR.sub("", log.decode(errors="replace")))
  for result in found.values():
    if cause and "error" in result:
      result["cause"] = cause.group(1)
  return found


def _ending(status: int) -> str:
  """Says how a process ended."""
  if status >= 0:
    return f"ended with exit status {status}"
  return f"was ended by {signal.Signals(-status).name}"


def _parse(output: str) -> dict[str, dict[str, Any]]:
  """Parses the probe's lines; libraries may print others between them."""
  found: dict[str, dict[str, Any]] = {}
  for line in output.splitlines():
    try:
      content = json.loads(line)
    except ValueError:
      continue
    if isinstance(content, dict):
      found.update(content)
  return found


def _start_tensorflow() -> dict[str, Any]:
  """Imports TensorFlow, and takes a gradient on the device that it prefers."""
  started = time.monotonic()
  import tensorflow as tf

  gpus = tf.config.list_physical_devices("GPU")
  for gpu in gpus:
    # Without this TensorFlow takes all memory, and a run may be training on this GPU.
    tf.config.experimental.set_memory_growth(gpu, True)
  kernel = tf.Variable(tf.ones([1, 1, 1, 1]))
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(tf.nn.conv2d(tf.ones([1, 2, 2, 1]), kernel, 1, "VALID"))
  gradient = tape.gradient(total, kernel).numpy().item()
  if gradient != 4.0:  # four pixels of 1
    raise ArithmeticError(f"the gradient of a convolution is {gradient}; expected 4.0")
  names = [tf.config.experimental.get_device_details(g).get("device_name") for g in gpus]
  build = tf.sysconfig.get_build_info()
  return {
    "version": tf.__version__,
    "seconds": time.monotonic() - started,
    "gpus": [str(name) for name in names],
    "cuda": build.get("cuda_version", ""),
    "cudnn": build.get("cudnn_version", ""),
    "onednn": _has_onednn(),
  }


def _has_onednn() -> bool | None:
  """Whether TensorFlow computes with oneDNN; None if unknown."""
  try:
    from tensorflow.python.util import _pywrap_util_port
  except ImportError:
    return None
  return bool(_pywrap_util_port.IsMklEnabled())


def _normalise() -> dict[str, Any]:
  """Divides a kernel by its largest singular value."""
  import tensorflow as tf

  from tfdam import addons

  layer = addons.spectral_norm(tf.keras.layers.Dense(1), seed=0)
  layer(tf.ones([1, 4]), training=True)
  # A kernel of one column has one singular value: its length.
  length = float(tf.norm(layer.layer.kernel))
  if abs(length - 1.0) > 1e-4:  # float32
    raise ArithmeticError(f"a normalised kernel's largest singular value is {length}")
  return {"largest": length}


def _convert() -> dict[str, Any]:
  """Converts a convolution to ONNX, and compares ONNX Runtime's result."""
  import numpy as np
  import onnx
  import onnxruntime
  import tensorflow as tf
  import tf2onnx

  images = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
  network = tf.keras.Sequential([tf.keras.layers.Conv2D(3, 3, input_shape=(4, 4, 2))])
  model, _ = tf2onnx.convert.from_keras(network, opset=17)
  onnx.checker.check_model(model, full_check=True)
  session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=[CPU_PROVIDER]
  )
  (converted,) = session.run(None, {session.get_inputs()[0].name: images})
  # Sums of 18 products up to about 20, in float32.
  if not np.allclose(converted, network(images), rtol=1e-4, atol=1e-4):
    raise ArithmeticError("the converted convolution computes something else")
  return {"opset": 17}


def _import_onnxruntime(*_: str) -> dict[str, Any]:
  import onnxruntime
  from onnxruntime.capi import build_and_package_info as build

  # The package for CPUs has no CUDA version.
  cuda = getattr(build, "cuda_version", "")
  return {"version": onnxruntime.__version__, "cuda": cuda}


def _start_provider(provider: str) -> dict[str, Any]:
  """Computes with this provider alone."""
  import numpy as np
  import onnxruntime

  if provider not in onnxruntime.get_available_providers():
    return {"error": "this build of ONNX Runtime has none", "absent": True}
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3  # errors: the cause of a failure is among them
  if provider != CPU_PROVIDER:
    # As in export.client_onnx: the loader does not find CUDA that wheels brought.
    getattr(onnxruntime, "preload_dlls", lambda: None)()
    # Otherwise ONNX Runtime silently falls back to the CPU. Not for the CPU provider
    # itself, which this entry would forbid.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
  session = onnxruntime.InferenceSession(CONVOLUTION, options, providers=[provider])
  first = session.get_providers()[0]
  if first != provider:
    raise RuntimeError(f"{first} started in its place")
  (result,) = session.run(None, {"x": np.full((1, 1, 1, 1), 3.0, np.float32)})
  if result.item() != 6.0:
    raise ArithmeticError(f"2 * 3 is {result.item()}; expected 6.0")
  return {"first": first}


def _load_libraries(*names: str) -> dict[str, Any]:
  """Returns {name: where the dynamic loader finds it: "system", "wheel" or ""}."""
  return {name: _place(name) for name in names}


def _place(name: str) -> str:
  try:
    ctypes.CDLL(name)
    return "system"
  except OSError:
    pass
  for folder in sys.path:
    # NVIDIA's wheels, which TensorFlow and ONNX Runtime's preload_dlls search too.
    for path in glob.glob(os.path.join(glob.escape(folder), "nvidia", "*", "lib", name)):
      try:
        ctypes.CDLL(path)
        return "wheel"
      except OSError:
        continue
  return ""


# {probe: {step: its function}}, in order.
PROBES: Mapping[str, Mapping[str, Callable[..., dict[str, Any]]]] = {
  "tensorflow": {
    "tensorflow": _start_tensorflow,
    "addons": _normalise,
    "conversion": _convert,
  },
  "provider": {"onnxruntime": _import_onnxruntime, "provider": _start_provider},
  "libraries": {"libraries": _load_libraries},
}


def main(probe: str, *arguments: str) -> None:
  for step, do in PROBES[probe].items():
    try:
      result = do(*arguments)
    except Exception as error:  # any error is the probe's finding
      result = {"error": _shown(error)}
    print(json.dumps({step: result}), flush=True)


def _shown(error: Exception) -> str:
  """Returns an error as one line."""
  text = " ".join(str(error).split())
  text = f"{type(error).__name__}: {text}" if text else type(error).__name__
  return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}..."


if __name__ == "__main__":
  main(*sys.argv[1:])
