"""Gathers facts about this machine, without judging them."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import platform
import sys
from collections.abc import Mapping
from typing import Any

from tfdam import config as config_lib
from tfdam import runtime
from tfdam.diagnosis import looks, probes

PROVIDERS = (probes.CPU_PROVIDER, "CUDAExecutionProvider", "TensorrtExecutionProvider")
DRIVER_LIBRARY = "libcuda.so.1"
# Probes usually take seconds, but longer on a cold disk or for TensorRT's first engine.
_PROBE_TIMEOUT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Facts:
  """One machine.

  Attributes:
    python: its version, such as (3, 11, 7).
    stack: the installed one, or else the one that this Python would get.
    machine: the processor's architecture, from platform.machine().
    cores: the number that this process may use.
    memory: in bytes; 0 if unknown.
    instructions: the processor's, by Linux' names; empty if unknown.
    installed: {distribution: version}.
    pins: {distribution: the version that tfdam asks for}, such as {"onnx": "==1.18.0"};
      empty without a lock file or metadata.
    probes: {step: what probes.run found}; a provider's step has the provider's name.
    libraries: {name: "system" or "wheel", or "" if it cannot be loaded}.
    gpus: what nvidia-smi lists, "name, driver, memory" each.
    gpu_error: the error of nvidia-smi; "" without one, and without nvidia-smi.
    bazel: the "program" that ./bazelw takes, its "version", its "error" if it does not
      start, the program "named" by TFDAM_BAZEL (each "" if there is none), and whether
      bazelw "can_install" one.
    data_root: the folder of data sets, which may not exist.
    data_sets: {name: (what is missing or "", where to get it)} for the sets whose folders
      exist; None without a root.
    data_error: why the sets could not be checked.
    folders: {"runs" or "cache": {"path", "writable", "size" and "free" in bytes}}.
    cluster: a description of TF_CONFIG; "" if it is not set.
    cluster_error: what is wrong with it.
  """

  python: tuple[int, ...]
  stack: str
  machine: str
  cores: int
  memory: int
  instructions: frozenset[str]
  installed: Mapping[str, str]
  pins: Mapping[str, str]
  probes: Mapping[str, Mapping[str, Any]]
  libraries: Mapping[str, str]
  gpus: tuple[str, ...]
  gpu_error: str
  bazel: Mapping[str, Any]
  data_root: str
  data_sets: Mapping[str, tuple[str, str]] | None
  data_error: str
  folders: Mapping[str, Mapping[str, Any]]
  cluster: str
  cluster_error: str


def gather() -> Facts:
  """Gathers all facts, without changing anything and without reading data sets."""
  found = _probe()
  libraries = (DRIVER_LIBRARY, *tensorflow_libraries(found), *onnxruntime_libraries(found))
  loaded = probes.run("libraries", *libraries, timeout_s=_PROBE_TIMEOUT_S)["libraries"]
  gpus, gpu_error = looks.gpus()
  root = runtime.data_root(config_lib.Data())
  data_sets, data_error = looks.data_sets(root)
  cluster, cluster_error = looks.cluster()
  return Facts(
    python=tuple(sys.version_info[:3]),
    stack=looks.stack_here(),
    machine=platform.machine(),
    cores=looks.cores(),
    memory=looks.memory(),
    instructions=looks.instructions(),
    installed=looks.installed(),
    pins=looks.pins(looks.stack_here()),
    probes=found,
    libraries=loaded,
    gpus=gpus,
    gpu_error=gpu_error,
    bazel=looks.bazel(),
    data_root=root,
    data_sets=data_sets,
    data_error=data_error,
    folders={
      "runs": looks.folder(runtime.resolve_path("runs")),
      "cache": looks.cache(),
    },
    cluster=cluster,
    cluster_error=cluster_error,
  )


def tensorflow_libraries(found: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
  """Returns the shared libraries that this build of TensorFlow needs for a GPU.

  The names are those in TensorFlow's dso_loader.cc; in CUDA 12, cuFFT and cuSOLVER have
  version numbers of their own.

  Args:
    found: {step: what probes.run found}.
  """
  built = found["tensorflow"]
  if not built.get("cuda"):
    return ()
  cuda = built["cuda"].partition(".")[0]
  names = [f"lib{name}.so.{cuda}" for name in ("cudart", "cublas", "cublasLt", "cusparse")]
  return (*names, "libcufft.so.11", "libcusolver.so.11", f"libcudnn.so.{built['cudnn']}")


def onnxruntime_libraries(found: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
  """Returns the shared libraries that ONNX Runtime's CUDA provider needs."""
  cuda = found["onnxruntime"].get("cuda", "").partition(".")[0]
  if not cuda:
    return ()
  names = [f"lib{name}.so.{cuda}" for name in ("cudart", "cublas", "cublasLt")]
  return (*names, "libcurand.so.10", "libcudnn.so.9")


def _probe() -> dict[str, Mapping[str, Any]]:
  """Runs all probes but the libraries', two at a time; TensorFlow's takes longest."""
  with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    tensorflow = pool.submit(probes.run, "tensorflow", timeout_s=_PROBE_TIMEOUT_S)
    started = {
      name: pool.submit(probes.run, "provider", name, timeout_s=_PROBE_TIMEOUT_S)
      for name in PROVIDERS
    }
  providers = {name: probe.result() for name, probe in started.items()}
  return {
    **tensorflow.result(),
    "onnxruntime": providers[probes.CPU_PROVIDER]["onnxruntime"],
    **{name: steps["provider"] for name, steps in providers.items()},
  }
