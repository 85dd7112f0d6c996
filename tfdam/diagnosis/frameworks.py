"""Makes rows about TensorFlow, ONNX Runtime and their GPU libraries from facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfdam.diagnosis import facts as facts_lib
from tfdam.diagnosis import rows as rows_lib

_REINSTALL = "Install the tested versions: pip install -r requirements/{}.lock."
_CPU, _CUDA, _TENSORRT = facts_lib.PROVIDERS


def rows(facts: facts_lib.Facts) -> list[rows_lib.Row]:
  return [
    *_tensorflow(facts),
    _conversion(facts),
    _cpu_provider(facts),
    _cuda_provider(facts),
    _tensorrt_provider(facts),
    _onnxruntime_libraries(facts),
    _driver(facts),
  ]


def _tensorflow(facts: facts_lib.Facts) -> list[rows_lib.Row]:
  started = facts.probes["tensorflow"]
  row = rows_lib.Row("TensorFlow", "starts", rows_lib.OK, "", "", rows_lib.PROMISES)
  if "error" in started:
    return [_failed(row, facts, "tensorflow")]
  found = f"in {started['seconds']:.1f} s, and takes gradients"
  return [
    dataclasses.replace(row, found=found),
    _spectral_norm(facts),
    _gpus(facts),
    _tensorflow_libraries(facts),
    _onednn(started["onednn"]),
  ]


def _failed(
  row: rows_lib.Row, facts: facts_lib.Facts, step: str, remedy: str = ""
) -> rows_lib.Row:
  """Returns the row of a step that failed but must not."""
  found = rows_lib.why(facts.probes[step])
  remedy = remedy or _REINSTALL.format(facts.stack)
  return dataclasses.replace(row, state=rows_lib.BROKEN, found=found, remedy=remedy)


def _spectral_norm(facts: facts_lib.Facts) -> rows_lib.Row:
  """An option of training, from tensorflow-addons on one stack, tf-keras on the other."""
  row = rows_lib.Row(
    "TensorFlow", "spectral norm", rows_lib.OK, "computes", "", (rows_lib.TRAINING,)
  )
  return _failed(row, facts, "addons") if "error" in facts.probes["addons"] else row


def _gpus(facts: facts_lib.Facts) -> rows_lib.Row:
  names = facts.probes["tensorflow"]["gpus"]
  if names:
    found = f"{len(names)}: {', '.join(names)}"
    return rows_lib.Row("TensorFlow", "GPUs", rows_lib.OK, found)
  if not facts.gpus:
    return rows_lib.Row("TensorFlow", "GPUs", rows_lib.OFF, rows_lib.NO_GPU)
  return rows_lib.Row(
    "TensorFlow",
    "GPUs",
    rows_lib.BROKEN,
    f"none, though the driver lists {len(facts.gpus)}: training uses the CPU",
    "Mend the CUDA libraries below; CUDA_VISIBLE_DEVICES hides GPUs as well.",
  )


def _tensorflow_libraries(facts: facts_lib.Facts) -> rows_lib.Row:
  built = facts.probes["tensorflow"]
  return _libraries(
    "TensorFlow",
    facts,
    facts_lib.tensorflow_libraries(facts.probes),
    f"CUDA {built['cuda']} and cuDNN {built['cudnn']}",
    "pip install -e .[gpu] brings them (Linux).",
  )


def _onednn(is_on: bool | None) -> rows_lib.Row:
  if is_on is False:
    return rows_lib.Row(
      "TensorFlow",
      "oneDNN",
      rows_lib.OFF,
      "off",
      "Set TF_ENABLE_ONEDNN_OPTS=1, or unset it: on a CPU, training is slower without"
      " oneDNN, and dilated convolutions have no gradients.",
    )
  found = "on" if is_on else "TensorFlow does not say"
  return rows_lib.Row("TensorFlow", "oneDNN", rows_lib.OK, found)


def _conversion(facts: facts_lib.Facts) -> rows_lib.Row:
  row = rows_lib.Row(
    "ONNX",
    "conversion",
    rows_lib.OK,
    "works: a converted convolution gives the same numbers",
    needed_for=(rows_lib.EXPORT,),
  )
  if "error" not in facts.probes["conversion"]:
    return row
  if facts.python[:2] == (3, 9):
    return _failed(
      row, facts, "conversion", "tf2onnx needs Python 3.10 or later: take one."
    )
  return _failed(row, facts, "conversion")


def _cpu_provider(facts: facts_lib.Facts) -> rows_lib.Row:
  row = rows_lib.Row(
    "ONNX", "CPU provider", rows_lib.OK, "starts", needed_for=(rows_lib.EXPORT,)
  )
  return _failed(row, facts, _CPU) if "error" in facts.probes[_CPU] else row


def _cuda_provider(facts: facts_lib.Facts) -> rows_lib.Row:
  result = facts.probes[_CUDA]
  if "error" not in result:
    return rows_lib.Row("ONNX", "CUDA provider", rows_lib.OK, "starts")
  found = f"does not start: {rows_lib.why(result)}"
  if not _has_gpu(facts):
    state = rows_lib.BROKEN if result.get("crashed") else rows_lib.OFF
    return rows_lib.Row("ONNX", "CUDA provider", state, found, "No GPU: use the CPU's.")
  remedy = "Mend the CUDA libraries below."
  if result.get("absent"):
    remedy = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu."
  return rows_lib.Row("ONNX", "CUDA provider", rows_lib.BROKEN, found, remedy)


def _tensorrt_provider(facts: facts_lib.Facts) -> rows_lib.Row:
  result = facts.probes[_TENSORRT]
  if "error" not in result:
    return rows_lib.Row("ONNX", "TensorRT provider", rows_lib.OK, "starts")
  state = rows_lib.BROKEN if result.get("crashed") else rows_lib.OFF
  found = f"does not start: {rows_lib.why(result)}"
  remedy = "No GPU: use the CPU's."
  if _has_gpu(facts):
    remedy = "Not needed. To use it, put TensorRT's libraries on LD_LIBRARY_PATH."
  return rows_lib.Row("ONNX", "TensorRT provider", state, found, remedy)


def _onnxruntime_libraries(facts: facts_lib.Facts) -> rows_lib.Row:
  return _libraries(
    "ONNX",
    facts,
    facts_lib.onnxruntime_libraries(facts.probes),
    f"CUDA {facts.probes['onnxruntime'].get('cuda')} and cuDNN 9",
    "pip install onnxruntime-gpu[cuda,cudnn] brings them; use a separate environment, as"
    " training needs other versions.",
  )


def _libraries(
  section: str,
  facts: facts_lib.Facts,
  names: Sequence[str],
  wanted: str,
  remedy: str,
) -> rows_lib.Row:
  """Returns the row on whether a build's shared libraries for GPUs can be loaded.

  Args:
    section: of the row.
    facts: of this machine.
    names: of the libraries.
    wanted: the versions that the build needs, for the row.
    remedy: for a machine with a GPU.
  """
  row = rows_lib.Row(section, "CUDA libraries", rows_lib.OFF, "this build takes no GPU")
  if not names:
    return row
  if "error" in facts.libraries:
    failed = f"looking for them {facts.libraries['error']}"
    return dataclasses.replace(row, state=rows_lib.BROKEN, found=failed)
  found = [name for name in names if facts.libraries.get(name)]
  missing = [name for name in names if name not in found]
  if not missing:
    return dataclasses.replace(row, state=rows_lib.OK, found=f"{wanted}, all found")
  told = f"{wanted}; found {', '.join(found) or 'none'}; missing {', '.join(missing)}"
  if _has_gpu(facts):
    return dataclasses.replace(row, state=rows_lib.MISSING, found=told, remedy=remedy)
  return dataclasses.replace(row, found=told, remedy="No GPU: they are not needed.")


def _has_gpu(facts: facts_lib.Facts) -> bool:
  return bool(facts.gpus or facts.probes["tensorflow"].get("gpus"))


def _driver(facts: facts_lib.Facts) -> rows_lib.Row:
  if facts.gpu_error:
    return rows_lib.Row(
      "NVIDIA",
      "driver",
      rows_lib.BROKEN,
      f"nvidia-smi fails: {facts.gpu_error}",
      "Restart after an update of the driver, or install it again.",
    )
  if not facts.gpus:
    return rows_lib.Row("NVIDIA", "driver", rows_lib.OFF, rows_lib.NO_GPU)
  found = "; ".join(facts.gpus)
  if facts.libraries.get(facts_lib.DRIVER_LIBRARY):
    return rows_lib.Row("NVIDIA", "driver", rows_lib.OK, found)
  return rows_lib.Row(
    "NVIDIA",
    "driver",
    rows_lib.BROKEN,
    f"{found}; but {facts_lib.DRIVER_LIBRARY} cannot be loaded",
    "Install the driver's libraries; start a container with --gpus=all.",
  )
