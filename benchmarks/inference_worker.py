"""The processes of inference.py that label images with this Python's libraries.

  python -m benchmarks.inference_worker SPEC

SPEC is JSON: {"kind", "model", "images", "threads", "provider"}, where the Keras network
has {"config", "contract"} as well. See peers/latency.py for what they answer.
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
  # As the car's client has it: float32 in full.
  "cuda": [("CUDAExecutionProvider", {"use_tf32": "0"})],
}
_PROVIDERS["tensorrt"] = [("TensorrtExecutionProvider", {}), *_PROVIDERS["cuda"]]
PROVIDERS = tuple(_PROVIDERS)
_PROFILED_WARM_UP, _PROFILED = 3, 10


def keras(spec: Mapping[str, Any]) -> latency.Candidate:
  """The network that the exporter traces, in a `tf.function`.

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
    # What the files leave out would take its time here.
    return {n: outputs[n] for n in (contract_lib.LABELS, *contract.extra_outputs)}

  return _on_tensorflow(tf, infer, spec)


def saved_model(spec: Mapping[str, Any]) -> latency.Candidate:
  """The SavedModel in the folder "model", as any program with TensorFlow loads it."""
  tf = _tensorflow(spec)
  loaded = tf.saved_model.load(spec["model"])
  served = loaded.signatures["serving_default"]

  def infer(image, owner=loaded):  # a signature holds what it refers to weakly
    return served(image=image)

  return _on_tensorflow(tf, infer, spec)


def gemm(spec: Mapping[str, Any]) -> latency.Candidate:
  """The machine's limit: GFLOP/s of a float32 matrix product."""
  _tensorflow(spec)
  from benchmarks import timing

  measure = timing.gemm()
  others = {"gemm": lambda: {"gflop_per_s": measure()}}
  return latency.Candidate({}, others=others)


def onnx(spec: Mapping[str, Any]) -> latency.Candidate:
  """The ONNX file "model" under ONNX Runtime."""
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
  """TensorFlow with the asked-for threads, on the asked-for device."""
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
  # Float32 in full, as in the files.
  tf.config.experimental.enable_tensor_float_32_execution(False)
  return tf


def _on_tensorflow(tf, infer: Callable, spec: Mapping[str, Any]) -> latency.Candidate:
  """A function of an image tensor, returning tensors, labels among them."""
  images = latency.batches(spec["images"])
  resident = [tf.constant(image) for image in images]
  # Functions on a GPU return before they have ended.
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
  """A session on the asked-for provider, never on the CPU in its stead.

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
  # With a list that leaves the CPU out, this alone makes it fail instead of falling back.
  options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
  wanted = _PROVIDERS[spec["provider"]]
  try:
    session = ort.InferenceSession(spec["model"], options, wanted, enable_fallback=0)
  except Exception as error:  # ONNX Runtime's errors have no class in common
    raise latency.MissingError(str(error).splitlines()[0]) from error
  if session.get_providers()[0] != wanted[0][0]:
    raise latency.MissingError(f"ONNX Runtime took {session.get_providers()[0]} instead")
  return session


def _profile(spec: Mapping[str, Any], batch: np.ndarray) -> dict[str, Any]:
  """Where the time goes; in a session of its own, as profiling costs some."""
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
    num_skipped: runs at its beginning that do not count.

  Returns:
    {"nodes": {provider: number of nodes},
     "operators": {operator: {"nodes", "ms" a run, "share" of all nodes' time}}, the longest
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
