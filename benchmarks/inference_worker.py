"""The processes of inference.py that label images with this Python's libraries.

  python -m benchmarks.inference_worker SPEC

SPEC is JSON: {"kind", "model", "images", "threads", "provider"}; the Keras network also has
{"config", "contract"}. See peers/latency.py for the answers.
"""

from __future__ import annotations

import collections
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.peers import latency

_PROVIDERS: dict[str, list[tuple[str, dict[str, str]]]] = {
  "cpu": [("CPUExecutionProvider", {})],
  # Full float32, as in the car's client.
  "cuda": [("CUDAExecutionProvider", {"use_tf32": "0"})],
}
_PROVIDERS["tensorrt"] = [("TensorrtExecutionProvider", {}), *_PROVIDERS["cuda"]]
PROVIDERS = tuple(_PROVIDERS)
_PROFILED_WARM_UP, _PROFILED = 3, 10


def keras(spec: Mapping[str, Any]) -> latency.Candidate:
  """Runs the network that the exporter traces, in a `tf.function`.

  "model" is the run folder, or empty for random weights.
  """
  tf = _tensorflow(spec)
  from benchmarks import inference_subject
  from export import contract as contract_lib
  from export import module as module_lib

  subject = inference_subject.parse(spec)
  contract = subject.contract
  module = module_lib.Inference(
    subject.network(), subject.config.data, contract.is_segmentation, contract.dynamic_size
  )
  traced = module_lib.traced(module, contract, 1)

  @tf.function(input_signature=traced.input_signature)
  def infer(image):
    outputs = traced(image)
    # Only the files' outputs, as others would take extra time.
    return {n: outputs[n] for n in (contract_lib.LABELS, *contract.extra_outputs)}

  return _on_tensorflow(tf, infer, spec)


def saved_model(spec: Mapping[str, Any]) -> latency.Candidate:
  """Runs the SavedModel in the folder "model", as any program with TensorFlow would."""
  tf = _tensorflow(spec)
  loaded = tf.saved_model.load(spec["model"])
  served = loaded.signatures["serving_default"]

  def infer(image, owner=loaded):  # a signature has only weak references
    return served(image=image)

  return _on_tensorflow(tf, infer, spec)


def gemm(spec: Mapping[str, Any]) -> latency.Candidate:
  """Measures the machine's limit, the GFLOP/s of a float32 matrix product."""
  _tensorflow(spec)
  from benchmarks import timing

  measure = timing.gemm()
  others = {"gemm": lambda: {"gflop_per_s": measure()}}
  return latency.Candidate({}, others=others)


def onnx(spec: Mapping[str, Any]) -> latency.Candidate:
  """Runs the ONNX file "model" in ONNX Runtime."""
  import onnxruntime as ort

  session = _session(spec)
  batches = latency.batches(spec["images"])
  device = "cpu" if spec["provider"] == "cpu" else "cuda"
  place = functools.partial(
    ort.OrtValue.ortvalue_from_numpy, device_type=device, device_id=0
  )
  (labels,) = session.run(["labels"], {"image": batches[0]})
  buffer = place(labels)
  bindings = []
  for batch in batches:
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", place(batch))
    binding.bind_ortvalue_output("labels", buffer)
    bindings.append(binding)

  def on_host(i: int) -> np.ndarray:
    return session.run(["labels"], {"image": batches[i]})[0]

  def stay(i: int) -> Any:
    session.run_with_iobinding(bindings[i])
    bindings[i].synchronize_outputs()
    return buffer

  ways = {
    "host": latency.Way(on_host),
    "resident": latency.Way(stay, lambda value: value.numpy()),
  }
  about = {
    "versions": {"onnxruntime": ort.__version__}, "providers": session.get_providers(),
    "threads": spec["threads"] or "one for each physical core",
  }  # fmt: skip
  others = {"profile": lambda: _profile(spec, batches[0])}
  return latency.Candidate(about, ways, len(batches), others)


def _tensorflow(spec: Mapping[str, Any]):
  """Imports TensorFlow with the spec's threads and provider."""
  import tensorflow as tf

  if spec["threads"]:
    tf.config.threading.set_intra_op_parallelism_threads(spec["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(spec["threads"])
  gpus = tf.config.list_physical_devices("GPU")
  if spec["provider"] == "cpu":
    if gpus:
      tf.config.set_visible_devices([], "GPU")
    return tf
  if not gpus:
    raise latency.MissingError("TensorFlow sees no GPU")
  for gpu in gpus:
    tf.config.experimental.set_memory_growth(gpu, True)
  # Full float32, as in the files.
  tf.config.experimental.enable_tensor_float_32_execution(False)
  return tf


def _on_tensorflow(tf, infer: Callable, spec: Mapping[str, Any]) -> latency.Candidate:
  """Makes a candidate of `infer`, a function from an image to {"labels": ..., ...}."""
  images = latency.batches(spec["images"])
  resident = [tf.constant(image) for image in images]
  # Functions on a GPU return before they have finished.
  wait = tf.test.experimental.sync_devices if spec["provider"] != "cpu" else lambda: None

  def on_host(i: int) -> np.ndarray:
    return infer(tf.constant(images[i]))["labels"].numpy()

  def stay(i: int) -> Any:
    labels = infer(resident[i])["labels"]
    wait()
    return labels

  ways = {"host": latency.Way(on_host), "resident": latency.Way(stay)}
  threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
  about = {
    "versions": {"tensorflow": tf.__version__}, "threads": threads,
    "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
  }  # fmt: skip
  return latency.Candidate(about, ways, len(images))


def _session(spec: Mapping[str, Any], profile_prefix: str = ""):
  """Opens a session on the spec's provider, never falling back to the CPU.

  Raises:
    latency.MissingError: the provider does not start, or cannot compute this file.
  """
  import onnxruntime as ort

  options = ort.SessionOptions()
  options.intra_op_num_threads = spec["threads"]
  options.log_severity_level = 3
  options.enable_profiling = bool(profile_prefix)
  if profile_prefix:
    options.profile_file_prefix = profile_prefix
  if spec["provider"] == "cpu":
    return ort.InferenceSession(spec["model"], options, _PROVIDERS["cpu"])
  getattr(ort, "preload_dlls", lambda: None)()
  # Only this entry, with a list of providers without the CPU, prevents the fallback.
  options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
  wanted = _PROVIDERS[spec["provider"]]
  try:
    session = ort.InferenceSession(spec["model"], options, wanted, enable_fallback=0)
  except Exception as error:  # ONNX Runtime's errors have no common class
    raise latency.MissingError(str(error).splitlines()[0]) from error
  if session.get_providers()[0] != wanted[0][0]:
    raise latency.MissingError(f"ONNX Runtime took {session.get_providers()[0]} instead")
  return session


def _profile(spec: Mapping[str, Any], batch: np.ndarray) -> dict[str, Any]:
  """Profiles a separate session, as profiling itself takes time."""
  with tempfile.TemporaryDirectory() as folder:
    session = _session(spec, os.path.join(folder, "profile"))
    for _ in range(_PROFILED_WARM_UP + _PROFILED):
      session.run(["labels"], {"image": batch})
    with open(session.end_profiling()) as file:
      return by_operator(json.load(file), _PROFILED_WARM_UP)


def by_operator(events: Iterable[Mapping[str, Any]], num_skipped: int) -> dict[str, Any]:
  """Sums ONNX Runtime's profile by operator and by provider.

  Operators are those of the optimised graph: norms are folded, activations fused.

  Args:
    events: of the profile.
    num_skipped: number of runs at its beginning to leave out.

  Returns:
    {"nodes": {provider: number of nodes},
     "operators": {operator: {"nodes", "ms" per run, "share" of all nodes' time}}, longest
     first}.
  """
  events = list(events)
  starts = sorted(e["ts"] for e in events if e["name"] == "model_run")
  num_runs = len(starts) - num_skipped
  nodes = collections.defaultdict(set)
  totals: collections.Counter[str] = collections.Counter()
  operators = collections.defaultdict(set)
  for event in events:
    is_kernel = event["cat"] == "Node" and event["name"].endswith("_kernel_time")
    if not is_kernel or event["ts"] < starts[num_skipped]:
      continue
    about = event["args"]
    operator, node = about["op_name"], about["node_index"]
    nodes[about["provider"]].add(node)
    operators[operator].add(node)
    totals[operator] += event["dur"]
  everything = sum(totals.values())
  return {
    "nodes": {provider: len(names) for provider, names in nodes.items()},
    "operators": {
      operator: {
        "nodes": len(operators[operator]), "ms": microseconds / 1e3 / num_runs,
        "share": microseconds / everything,
      }
      for operator, microseconds in totals.most_common()
    },
  }  # fmt: skip


_KINDS = {"keras": keras, "saved_model": saved_model, "onnx": onnx, "gemm": gemm}

if __name__ == "__main__":
  latency.run(lambda spec: _KINDS[spec["kind"]](spec))
