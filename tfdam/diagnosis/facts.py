"""What is found on this machine, without a judgement."""

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
# Seconds are the rule; a cold disk, or TensorRT building its first engine, takes longer.
_PROBE_TIMEOUT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Facts:
  """One machine.

  Attributes:
    python: its version, such as (3, 11, 7).
    stack: the one that is installed, else the one that this Python would get.
    machine: the processor's architecture, as platform.machine() names it.
    cores: that this process may use.
    memory: bytes; 0 where the system does not say.
    instructions: the processor's, as Linux names them; empty where it does not say.
    installed: {distribution: version}.
    pins: {distribution: what tfdam asks for}, such as {"onnx": "==1.18.0"}; empty where
      neither the lock nor metadata is there.
    probes: {step: what probes.run found}; a provider's step has the provider's name.
    libraries: {name: "system", "wheel" or "", where it cannot be loaded}.
    gpus: what nvidia-smi lists, "name, driver, memory" each.
    gpu_error: why it lists nothing; "" where there is no nvidia-smi.
    bazel: "program" that ./bazelw takes, its "version", the "error" it ends in instead,
      "named" by TFDAM_BAZEL (each "" where there is none), and whether bazelw
      "can_install" one.
    data_root: the folder of data sets, there or not.
    data_sets: {name: (what is missing or "", where to get it)} of those whose folder is
      there; None without a root.
    data_error: why they could not be looked at.
    folders: {"runs" or "cache": {"path", "writable", "size" and "free" in bytes}}.
    cluster: TF_CONFIG in words; "" where it is not set.
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
  """Looks at everything. Changes nothing and reads no data set."""
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
  """The shared libraries without which this build of TensorFlow takes no GPU.

  As its dso_loader.cc opens them; CUDA 12 numbers cuFFT and cuSOLVER by themselves.

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
  """The same for ONNX Runtime's CUDA provider: what it is linked with, and cuDNN."""
  cuda = found["onnxruntime"].get("cuda", "").partition(".")[0]
  if not cuda:
    return ()
  names = [f"lib{name}.so.{cuda}" for name in ("cudart", "cublas", "cublasLt")]
  return (*names, "libcurand.so.10", "libcudnn.so.9")


def _probe() -> dict[str, Mapping[str, Any]]:
  """Every probe but the libraries', two at a time: TensorFlow takes longest."""
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
