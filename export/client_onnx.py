"""Labels camera images with an exported network, for use in the car.

It needs only numpy and onnxruntime, and Pillow for the command line. An export has a copy
of this file beside export.json, which runs without tfdam.

  segmenter = client_onnx.Segmenter("runs/streets-gam", provider="cuda")
  labels = segmenter(image)  # RGB, uint8 [H, W, 3] -> integers [H, W]; OpenCV: [..., ::-1]

tfdam client-onnx --model=runs/streets-gam --image=frames --out=labels
python client_onnx.py --image=frames --out=labels
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import dataclasses
import hashlib
import importlib.util
import io
import json
import logging
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

# Read at import. Without it, ONNX Runtime 1.31 stores a device id and sends telemetry.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

try:
  import numpy as np
  import onnxruntime as ort
except Exception as error:  # incompatible versions raise more than ImportError
  if __name__ != "__main__":
    raise
  print(
    f"Error: {(str(error).splitlines() or [repr(error)])[0]}. client_onnx.py needs numpy"
    " and onnxruntime that fit each other: pip install -r requirements-car.txt",
    file=sys.stderr,
  )
  sys.exit(2)

if TYPE_CHECKING:
  from PIL import Image, ImageFile

# The format of export.json.
FORMAT = 1
_MAX_MANIFEST = 1 << 24
# The best provider first. The second name in a tuple takes the nodes that the first cannot
# run; the CPU never does.
_PROVIDERS = {
  "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
  "cuda": ("CUDAExecutionProvider",),
  "cpu": ("CPUExecutionProvider",),
}
_OPTIONS = {
  # float32 means float32: TensorFloat-32 keeps 10 bits of the mantissa, which changes
  # labels where two classes are nearly equal. For speed, export float16.
  "CUDAExecutionProvider": {"use_tf32": "0"},
}
_TYPES = dict(uint8="tensor(uint8)", int32="tensor(int32)", float32="tensor(float)")
# "int8" is for CPUs, "int8_tensorrt" for TensorRT.
_PRECISIONS = ("float32", "float16", "int8", "int8_tensorrt")
# More threads take minutes to start.
_MAX_THREADS = 1024
_log = logging.getLogger(__name__)


class ModelError(Exception):
  """A model, a provider or an image is wrong; the message says how to mend it."""


class ProviderError(ModelError):
  """A provider cannot be used.

  Attributes:
    reason: what ONNX Runtime or the dynamic loader said.
  """

  def __init__(self, provider: str, explanation: str, reason: str = "not built in"):
    super().__init__(f"Provider '{provider}' cannot be had: {explanation}")
    self.reason = reason


class Segmenter:
  """An exported network, verified on this machine to give the labels that it should.

  All errors in files are raised at the start; there is no half-started Segmenter. Several
  threads may call the same Segmenter.

  Attributes:
    name: of the model.
    task: "segmentation" or "classification".
    classes: names, in the order of the labels.
    palette: uint8 [num_classes, 3], RGB.
    channels: of images, 1 or 3.
    size: height and width of images, in pixels; None for any.
    provider: the one in use: "tensorrt", "cuda" or "cpu".
  """

  def __init__(
    self,
    model_dir: str,
    provider: str = "auto",
    precision: str = "float32",
    threads: int = 0,
  ):
    """Loads and verifies the model.

    Args:
      model_dir: an export folder, the run folder around it or its onnx/ folder.
      provider: "cpu", "cuda" or "tensorrt" (with CUDA for the nodes that it cannot run); an
        error if it does not start. Or "auto", the best one that starts, which is logged.
        TensorRT builds its engine at every start, which takes minutes, unless the
        environment has ORT_TENSORRT_ENGINE_CACHE_ENABLE=1 and ORT_TENSORRT_CACHE_PATH.
      precision: "float32", or another one that was exported.
      threads: number of CPU threads; 0: one for each core.

    Raises:
      ModelError: files are missing, damaged or of another export; the provider does not
        start; or the model or its labels are not those of the manifest.
    """
    if provider not in ("auto", *_PROVIDERS):
      raise ModelError(
        f"'{provider}' is no provider; expected auto, {', '.join(sorted(_PROVIDERS))}."
      )
    if not 0 <= threads <= _MAX_THREADS:
      raise ModelError(
        f"threads is {threads}; expected 0 (one for each core) to {_MAX_THREADS}."
      )
    self._contract = contract = _read_contract(_export_folder(model_dir), precision)
    model_path = _verified(contract, contract.model_file)
    golden_path = _verified(contract, contract.golden_file)
    self.name, self.task = contract.name, contract.task
    self.classes, self.palette = contract.classes, contract.palette
    self.channels, self.size = contract.channels, contract.size
    self.provider, self._session = _start(model_path, provider, threads)
    _check_origin(self._session, contract)
    _check_signature(self._session, contract)
    self._check_golden(golden_path, precision)

  def __call__(self, image: np.ndarray) -> np.ndarray | int:
    """Labels an image, or a batch if the model takes batches.

    Args:
      image: uint8 [H, W, C], 0 to 255, RGB; also [H, W] if C is 1; or [B, H, W, C]. The
        model's own layout does not matter.

    Returns:
      Segmentation: labels [H, W] or [B, H, W], int32 or uint8 as exported.
      Classification: the label, an int, or labels [B].

    Raises:
      ModelError: the model does not take such an image, or ONNX Runtime fails.
    """
    images = self._batch(image)
    if self._contract.layout == "nchw":
      images = images.transpose(0, 3, 1, 2)
    labels = self._run(np.ascontiguousarray(images))
    if np.ndim(image) == 4:
      return labels
    return labels[0] if self.task == "segmentation" else int(labels[0])

  def _batch(self, image: np.ndarray) -> np.ndarray:
    """Checks an image or a batch and returns it as uint8 [B, H, W, C]."""
    try:
      images = np.asarray(image)
    except ValueError as error:
      raise ModelError(f"The image is no array: {error}.") from error
    if images.dtype != np.uint8:
      floats = " If it is in [0, 1]: (255 * image).round().astype(numpy.uint8)."
      raise ModelError(
        f"The image is {images.dtype}; {self.name} takes uint8, 0 to 255."
        f"{floats if images.dtype.kind == 'f' else ''}"
      )
    if images.ndim == 2 and self.channels == 1:
      images = images[..., np.newaxis]
    if images.ndim == 3:
      images = images[np.newaxis]
    batch, *_ = self._contract.image_shape
    shape = (batch, *self.size, self.channels)
    if images.ndim != 4 or not _fits(images.shape[1:], shape[1:]):
      raise ModelError(
        f"The image has the shape {_shown(np.shape(image))}; {self.name} takes"
        f" {_shown(shape[1:])}: height, width, {'RGB' if self.channels == 3 else 'grey'}."
        f" {self._remedy(images.shape)}"
      )
    if not _fits(images.shape[:1], (batch,)) or not len(images):
      raise ModelError(
        f"The batch has {len(images)} images; {self.name} takes {batch or 'one or more'}."
        " Call it once for each image, or export with --dynamic_batch."
      )
    return images

  def _remedy(self, shape: tuple[int, ...]) -> str:
    """Says what to do about an image of the wrong shape, given as a batch's shape."""
    if len(shape) == 4 and shape[-1] == self.channels:
      return "Resize it, or export the run for this size."
    if len(shape) == 4 and shape[1] == self.channels:
      return "Its channels come first: image.transpose(1, 2, 0) puts them last."
    if self.channels == 1:
      return "Convert it to grey, as Pillow does with image.convert('L')."
    return "Convert it to RGB; image[..., :3] drops an alpha channel."

  def _run(self, images: np.ndarray) -> np.ndarray:
    """Labels a contiguous batch in the model's layout."""
    contract = self._contract
    num_images, *size = (images.shape[axis] for axis in contract.axes)
    sizes = size if self.task == "segmentation" else []
    labels = np.empty((num_images, *sizes), contract.label_dtype)
    # One binding per call, because threads share the session. The buffers belong to NumPy,
    # so that nothing is copied on the CPU, and a GPU copies once each way.
    binding = self._session.io_binding()
    binding.bind_cpu_input(contract.input_name, images)
    binding.bind_output(
      "labels", "cpu", 0, labels.dtype.type, labels.shape, labels.ctypes.data
    )
    try:
      self._session.run_with_iobinding(binding)
    except Exception as error:  # ONNX Runtime's errors have no common class
      raise ModelError(
        f"ONNX Runtime fails on images {_shown(images.shape)} with {self.name} on"
        f" {self.provider}: {_first_line(error)}"
      ) from error
    return labels

  def _check_golden(self, path: str, precision: str) -> None:
    """Raises ModelError unless the golden images get the same labels as at export."""
    try:
      with np.load(path, allow_pickle=False) as pair:
        images, golden = pair["image"], pair["labels"]
    except Exception as error:  # damaged zip and npy files raise many types
      raise ModelError(f"{path} holds no image and labels: {error}. {_COPY}") from error
    shape = self._contract.image_shape
    is_image = images.dtype == np.uint8 and _fits(images.shape[1:], shape[1:])
    if not (is_image and len(images)):
      raise ModelError(
        f"{path} has an image {images.dtype} {_shown(images.shape)}; export.json says uint8"
        f" {_shown(shape)}. {_COPY}"
      )
    # One at a time, which every model takes.
    labels = np.concatenate([self._run(one) for one in np.split(images, len(images))])
    if labels.shape != golden.shape:
      raise ModelError(
        f"{path} has labels {_shown(golden.shape)}; its image gets {_shown(labels.shape)}."
        f" {_COPY}"
      )
    differing = np.mean(labels != golden)
    allowed = allowed_to_differ(self.provider, precision, labels.size)
    if differing > allowed:
      raise ModelError(
        f"{self.name} on {self.provider} labels its golden image otherwise than at export:"
        f" {differing:.3%} of the labels differ, at most {allowed:.2%} may."
        f" {self._other_kernels(precision)}"
      )

  def _other_kernels(self, precision: str) -> str:
    """Says with what other kernels the labels may be those of the export."""
    here, there = ort.__version__, self._contract.exported_with
    remedies = []
    if here != there:
      remedies.append(f"Here is ONNX Runtime {here}, there was {there}: take that release")
    if self.provider != "cpu":
      remedies.append("Take provider 'cpu'")
      if precision == "float32":
        remedies.append(
          "Set the environment variable NVIDIA_TF32_OVERRIDE=0, which makes GPUs compute"
          " float32 in full"
        )
    if precision != "float32":
      remedies.append("Take precision 'float32', which rounds least")
    return " ".join(f"{remedy}." for remedy in [*remedies, "Export again"])


def allowed_to_differ(provider: str, precision: str, num_labels: int) -> float:
  """Returns the share of golden labels that may differ from those at export.

  Other devices and narrow numbers round differently, which changes labels where two classes
  are nearly equal. In int8, one step is 1/127 of the range: a graph whose convolutions are
  not fused with their rounding changed 3 % of the labels, and 6 % on the worst image (a
  small ERFNet, ONNX Runtime 1.31).
  """
  is_cpu = provider == "cpu"
  if is_cpu and precision == "float32":
    return 1e-4
  share = 1e-3 if not precision.startswith("int8") else 2e-2 if is_cpu else 1e-1
  return max(share, 1 / num_labels)  # at least one label of a few, as in classifiers


# ---- The manifest and its files.

_COPY = "Copy the whole export folder again; files of two exports do not mix."


@dataclasses.dataclass(frozen=True)
class _Contract:
  """What export.json says about one ONNX file.

  Attributes:
    folder: of export.json; files are relative to it.
    origin: metadata that the model must have.
    image_shape: [B, H, W, C] or [B, C, H, W] as `layout` says; None for any size.
    outputs: {name: (dtype, shape)}.
    digests: {file: {"sha256", "bytes"}}.
    exported_with: the version of ONNX Runtime that computed the golden labels.
  """

  folder: str
  name: str
  task: str
  classes: tuple[str, ...]
  palette: np.ndarray
  origin: dict[str, str]
  input_name: str
  layout: str
  channels: int
  image_shape: tuple[int | None, ...]
  outputs: dict[str, tuple[str, tuple[int | None, ...]]]
  model_file: str
  golden_file: str
  digests: dict[str, dict[str, Any]]
  exported_with: str

  @property
  def axes(self) -> tuple[int, int, int]:
    """The positions of batch, height and width in `image_shape`."""
    return (0, 1, 2) if self.layout == "nhwc" else (0, 2, 3)

  @property
  def size(self) -> tuple[int | None, int | None]:
    _, height, width = self.axes
    return self.image_shape[height], self.image_shape[width]

  @property
  def label_dtype(self) -> np.dtype:
    return np.dtype(self.outputs["labels"][0])


def _export_folder(model_dir: str) -> str:
  """Returns the folder of export.json: `model_dir`, its export/, or the parent of onnx/."""
  given = os.path.abspath(model_dir)
  around = [os.path.dirname(given)] if os.path.basename(given) == "onnx" else []
  for folder in (given, os.path.join(given, "export"), *around):
    if os.path.lexists(os.path.join(folder, "export.json")):
      return folder
  missing = "" if os.path.isdir(given) else "no folder, so it is "
  raise ModelError(
    f"{given} is {missing}no export of tfdam; expected a folder with export.json, a run"
    " folder with export/export.json, or the onnx/ beside export.json. Was the run"
    " exported (tfdam export --workdir=..., in a checkout python -m export.run)?"
  )


def _read_contract(folder: str, precision: str) -> _Contract:
  path = os.path.join(folder, "export.json")
  try:
    with _open_regular(path) as file:
      content = file.read(_MAX_MANIFEST + 1)
    if len(content) > _MAX_MANIFEST:
      raise ValueError(f"more than {_MAX_MANIFEST:,} bytes")
    manifest = json.loads(content.decode())
    if type(manifest["format"]) is not int:
      raise TypeError("format")
    if manifest["format"] != FORMAT:
      raise ModelError(
        f"{path} has format {manifest['format']}; this client reads {FORMAT}. Take the"
        f" client_onnx.py of tfdam {manifest.get('tool', {}).get('version', '')}."
      )
    if precision not in manifest.get("onnx", {}):
      there = ", ".join(manifest.get("onnx", {})) or "no ONNX file at all"
      again = "" if precision == "float32" else f" --precision={precision}"
      raise ModelError(
        f"{path} has no precision '{precision}'; it has: {there}. Choose one, or export"
        f" again with --formats=onnx{again}."
      )
    return _parse_manifest(manifest, folder, precision)
  except OSError as error:
    raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
  except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
    raise ModelError(
      f"{path} is damaged or no manifest of a tfdam export ({repr(error)[:200]}). {_COPY}"
    ) from error


def _parse_manifest(manifest: dict[str, Any], folder: str, precision: str) -> _Contract:
  """Reads the manifest's entries; raises what `_read_contract` reports as damage."""
  model, image, entry = manifest["model"], manifest["input"], manifest["onnx"][precision]
  contract = _Contract(
    folder=folder, name=model["name"], task=model["task"],
    classes=tuple(model["classes"]),
    palette=_palette(model["palette"]),
    origin={
      f"tfdam.{key}": str(model[key]) for key in ("config_sha256", "stage", "step")
    },
    input_name=image["name"], layout=image["layout"], channels=image["channels"],
    image_shape=tuple(image["shape"]),
    outputs={
      name: (output["dtype"], tuple(output["shape"]))
      for name, output in manifest["outputs"].items()
    },
    model_file=entry["file"], golden_file=entry["golden"], digests=manifest["files"],
    exported_with=str(entry.get("onnxruntime", "another release")),
  )  # fmt: skip
  num_classes, num_colours = len(contract.classes), len(contract.palette)
  if contract.layout not in ("nhwc", "nchw") or len(contract.image_shape) != 4:
    raise ValueError(f"input {image}")
  if contract.task not in ("segmentation", "classification"):
    raise ValueError(f"task {contract.task}")
  if "labels" not in contract.outputs:
    raise KeyError("labels")
  if num_classes != num_colours:
    raise ValueError(f"{num_classes} classes, {num_colours} colours")
  for dtype in (image["dtype"], *(dtype for dtype, _ in contract.outputs.values())):
    if dtype not in _TYPES:
      raise ValueError(f"dtype {dtype}")
  texts = (
    contract.name, contract.input_name, contract.model_file, contract.golden_file,
    *contract.classes,
  )  # fmt: skip
  sizes = (contract.channels, *contract.image_shape)
  for shape in (sizes, *(shape for _, shape in contract.outputs.values())):
    if any(size is not None and type(size) is not int for size in shape):
      raise TypeError(f"shape {shape}")
  if contract.channels not in (1, 3) or not all(isinstance(text, str) for text in texts):
    raise TypeError(f"{contract.channels} channels, or one of {texts}")
  for file, recorded in contract.digests.items():
    if not isinstance(recorded["sha256"], str) or type(recorded["bytes"]) is not int:
      raise TypeError(f"digest of {file}")
  return contract


def _palette(colours: list[list[int]]) -> np.ndarray:
  """Colours as uint8 [num_classes, 3]; raises ValueError if they are none."""
  found = np.array(colours)
  are_triples = found.dtype.kind == "i" and found.shape[1:] == (3,)
  if not are_triples or np.any((found < 0) | (found > 255)):
    raise ValueError(f"palette {colours}")
  return found.astype(np.uint8)


def _verified(contract: _Contract, file: str) -> str:
  """Returns the path of a file, whose size and SHA-256 are checked.

  Raises:
    ModelError: they are not those of the manifest, or the file cannot be read.
  """
  path = os.path.join(contract.folder, *file.split("/"))
  recorded = contract.digests.get(file)
  if not recorded:
    raise ModelError(f"export.json names {file}, but has no digest of it. {_COPY}")
  digest = hashlib.sha256()
  try:
    _check_regular(path)
    size = os.path.getsize(path)
    if size != recorded["bytes"]:
      raise ModelError(
        f"{path} has {size:,} bytes; export.json says {recorded['bytes']:,}. It is cut off"
        f" or of another export. {_COPY}"
      )
    with open(path, "rb") as opened:
      while block := opened.read(1 << 20):
        digest.update(block)
  except (OSError, ValueError) as error:  # ValueError: the name is no file name
    reason = getattr(error, "strerror", None) or error
    raise ModelError(
      f"{path}, which export.json lists, cannot be read: {reason}. {_COPY}"
    ) from error
  if digest.hexdigest() != recorded["sha256"]:
    raise ModelError(
      f"{path} has the SHA-256 {digest.hexdigest()}; export.json says"
      f" {recorded['sha256']}. It was damaged or changed, or is of another export. {_COPY}"
    )
  return path


def _open_regular(path: str) -> IO[bytes]:
  """Opens a file; folders are refused, as are pipes and devices, which may never end."""
  _check_regular(path)
  return open(path, "rb")


def _check_regular(path: str) -> None:
  if not stat.S_ISREG(os.stat(path).st_mode):
    raise ModelError(
      f"{path} is a folder, a pipe, a socket or a device; expected a file. Put a file in"
      " its place."
    )


def _check_origin(session: ort.InferenceSession, contract: _Contract) -> None:
  """Raises ModelError if the model was made from another run, stage or step."""
  found = session.get_modelmeta().custom_metadata_map
  for key, expected in contract.origin.items():
    if found.get(key) != expected:
      raise ModelError(
        f"{contract.model_file} is not the model of this export.json: its {key} is"
        f" {found.get(key, 'missing')}, expected {expected}. {_COPY}"
      )


def _check_signature(session: ort.InferenceSession, contract: _Contract) -> None:
  """Raises ModelError if the model's inputs or outputs are not those of the manifest."""
  inputs = {contract.input_name: ("uint8", contract.image_shape)}
  for kind, nodes, promised in (
    ("inputs", session.get_inputs(), inputs),
    ("outputs", session.get_outputs(), contract.outputs),
  ):
    found = {node.name: (node.type, _dimensions(node.shape)) for node in nodes}
    expected = {name: (_TYPES[dtype], shape) for name, (dtype, shape) in promised.items()}
    same = found.keys() == expected.keys() and all(
      found[name][0] == dtype and _agrees(found[name][1], shape, kind == "outputs")
      for name, (dtype, shape) in expected.items()
    )
    if not same:
      raise ModelError(
        f"{contract.model_file} has the {kind} {_described(found)}; export.json says"
        f" {_described(expected)}. {_COPY}"
      )


def _dimensions(shape: Sequence[Any]) -> tuple[int | None, ...]:
  return tuple(size if isinstance(size, int) else None for size in shape)


def _agrees(found: tuple, promised: tuple, open_axes: bool) -> bool:
  """Whether a graph's shape is the promised one; `open_axes` lets it leave axes open."""
  return len(found) == len(promised) and all(
    here == there or (open_axes and here is None) for here, there in zip(found, promised)
  )


def _fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
  return len(shape) == len(expected) and all(
    there in (None, here) for here, there in zip(shape, expected)
  )


def _shown(shape: Sequence[int | None]) -> str:
  return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _described(tensors: dict[str, tuple[str, tuple]]) -> str:
  return ", ".join(
    f"{name} {kind} {_shown(shape)}" for name, (kind, shape) in tensors.items()
  )


def _first_line(error: BaseException) -> str:
  return (str(error).strip() or repr(error)).splitlines()[0]


# ---- The provider.


def _start(path: str, provider: str, threads: int) -> tuple[str, ort.InferenceSession]:
  """Returns the provider that started and its session; see Segmenter."""
  if provider != "auto":
    return provider, _open(path, provider, threads)
  refusals = []
  for name in ("tensorrt", "cuda"):
    if _PROVIDERS[name][0] not in ort.get_available_providers():
      continue
    try:
      session = _open(path, name, threads)
    except ProviderError as error:
      refusals.append(f"; {name} does not start: {error.reason}")
    else:
      _log.info("Provider auto is %s%s", name, "".join(refusals))
      return name, session
  session = _open(path, "cpu", threads)
  # A warning only if the installed package has GPU providers, which did not start.
  level = logging.WARNING if refusals else logging.INFO
  _log.log(level, "Provider auto is cpu%s", "".join(refusals))
  return "cpu", session


def _open(path: str, provider: str, threads: int) -> ort.InferenceSession:
  """Opens a session on this provider, never falling back to the CPU.

  Raises:
    ProviderError: the provider does not start.
    ModelError: the CPU cannot load the model.
  """
  options = ort.SessionOptions()
  options.intra_op_num_threads = threads
  if provider != "cpu":
    _check_listed(provider)
    _check_libraries(provider)
    # ONNX Runtime falls back to the CPU silently. Only this entry, with a list of providers
    # without the CPU, makes it fail instead.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
  chosen = [(name, _OPTIONS.get(name, {})) for name in _PROVIDERS[provider]]
  try:
    # Older releases print that they fall back; the provider is checked below.
    with contextlib.redirect_stdout(io.StringIO()):
      session = ort.InferenceSession(path, options, providers=chosen, enable_fallback=0)
  except Exception as error:  # ONNX Runtime's errors have no common class
    if provider == "cpu":
      raise ModelError(f"ONNX Runtime cannot load {path}: {_first_line(error)}") from error
    raise _does_not_start(provider, _first_line(error)) from error
  became = session.get_providers()[0]
  if became != _PROVIDERS[provider][0]:
    raise _does_not_start(provider, f"it became {became}")
  return session


def _check_listed(provider: str) -> None:
  """Raises ProviderError if the installed package was built without the provider."""
  listed = ort.get_available_providers()
  if _PROVIDERS[provider][0] not in listed:
    raise ProviderError(
      provider,
      f"the installed ONNX Runtime {ort.__version__} has {', '.join(listed)} alone: it is"
      " no onnxruntime-gpu. pip uninstall onnxruntime onnxruntime-gpu (they shadow each"
      " other), then pip install onnxruntime-gpu; or take provider 'cpu'.",
    )


def _check_libraries(provider: str) -> None:
  """Raises ProviderError if a library that the provider loads is missing.

  ONNX Runtime names the missing library only in its log, among much else.
  """
  # Finds CUDA from onnxruntime-gpu[cuda,cudnn], which the loader does not; it also prints.
  with contextlib.redirect_stdout(io.StringIO()):
    getattr(ort, "preload_dlls", lambda: None)()
  own = os.path.join(os.path.dirname(ort.__file__), "capi", "libonnxruntime_providers_")
  missing = []
  for library, mode in (
    ("libcuda.so.1", ctypes.DEFAULT_MODE),  # the NVIDIA driver's
    (f"{own}shared.so", ctypes.RTLD_GLOBAL),  # the next library needs its symbols
    (f"{own}{provider}.so", ctypes.DEFAULT_MODE),
  ):
    try:
      ctypes.CDLL(library, mode)
    except OSError as error:
      # Other builds may not have these files; the provider then shows whether it starts.
      if "cannot open shared object" in str(error) and not str(error).startswith(own):
        missing.append(str(error))
  if missing:
    raise _does_not_start(provider, "; ".join(missing))


def _does_not_start(provider: str, reason: str) -> ProviderError:
  reason = reason.rstrip(".")
  # Both are empty in some releases.
  package = f"{getattr(ort, 'package_name', '') or 'ONNX Runtime'} {ort.__version__}"
  built_with = getattr(ort, "cuda_version", "")
  return ProviderError(
    provider,
    f"{package} lists it, but it does not start here ({reason}). It needs an NVIDIA GPU"
    " with its driver (libcuda.so.1), CUDA 12 or 13"
    f"{f' (this package: {built_with})' if built_with else ''}, cuDNN 9"
    f"{', TensorRT 10' if provider == 'tensorrt' else ''}, and a model that it can compute"
    " alone: export it with a fixed size. Mend what is missing, or take provider 'cpu'.",
    reason,
  )


# ---- The command line, the only part that needs Pillow.

_STILLS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm")
_VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
# The first Pillow with a font of any size, and the first ONNX Runtime with an option
# against falling back to the CPU.
_OLDEST = {"numpy": (1, 24), "onnxruntime": (1, 16), "pillow": (10, 1)}
# A closed list, because Pillow has decoders that start other programs.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
_CONVERTED = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX")


def main(argv: Sequence[str] | None = None) -> int:
  """Labels pictures; returns the exit status."""
  options = _parse(argv)
  logging.basicConfig(level=logging.INFO, format="%(message)s")
  warnings.filterwarnings("ignore", module="PIL")  # a file that cannot be read is an error
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):  # it may be ASCII, and names may not
      stream.reconfigure(errors="backslashreplace")
  try:
    _label(options)
    sys.stdout.flush()
  except ModelError as error:
    print(f"Error: {_printable(str(error))}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    return 130  # the shells' convention: 128 plus the number of SIGINT
  except OSError as error:  # from standard output
    # Otherwise Python would write to it again as it ends.
    with contextlib.suppress(OSError), open(os.devnull, "w") as nowhere:
      os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
      return 141  # the reader has gone: 128 plus the number of SIGPIPE
    print(f"Error: {_printable(str(error))}", file=sys.stderr)
    return 2
  return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  here = os.path.dirname(os.path.abspath(__file__))
  beside = here if os.path.lexists(os.path.join(here, "export.json")) else None
  model = "--image" if beside else "--model MODEL --image"
  program = os.path.basename(sys.argv[0])
  parser = argparse.ArgumentParser(
    prog=program if program.startswith("tfdam") else "client_onnx",
    description="Labels images with an exported network.\n\nExample:\n"
    "  %(prog)s --model=runs/streets-gam \\\n    --image=frames/ --out=labels/",
    usage=f"%(prog)s {model} IMAGE [FLAGS]",
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  flag = parser.add_argument
  flag(
    "--model", required=beside is None, default=beside,
    help="export folder, or the run folder around it (default: this file's, if it is one)",
  )  # fmt: skip
  flag("--image", required=True, help="image, folder of images, animation or video")
  flag("--out", default="labels", help="folder for pictures (default: labels)")
  flag(
    "--provider", default="auto", choices=("auto", *sorted(_PROVIDERS)),
    help="what computes (default: auto, the fastest that starts)",
  )  # fmt: skip
  flag(
    "--precision", default="float32", choices=_PRECISIONS,
    help="which of the exported files (default: float32)",
  )  # fmt: skip
  flag(
    "--resize", default=True, action=argparse.BooleanOptionalAction,
    help="resize images of another size; their labels get the image's size again",
  )  # fmt: skip
  flag(
    "--alpha", type=_share, default=0.5,
    help="weight of colours over the image, 0 to 1 (default: 0.5)",
  )  # fmt: skip
  flag("--threads", type=_threads, default=0, help="on the CPU; 0: one for each core")
  return parser.parse_args(argv)


def _share(text: str) -> float:
  value = float(text)
  if not 0 <= value <= 1:
    raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
  return value


def _threads(text: str) -> int:
  value = int(text)
  if not 0 <= value <= _MAX_THREADS:
    raise argparse.ArgumentTypeError(f"{text} is not between 0 and {_MAX_THREADS}")
  return value


def _check_packages() -> None:
  """Raises ModelError if a package is missing or too old."""
  found = {"numpy": np.__version__, "onnxruntime": ort.__version__}
  if importlib.util.find_spec("PIL"):
    import PIL

    found["pillow"] = getattr(PIL, "__version__", "of an unknown version")
  for name, oldest in _OLDEST.items():
    here = found.get(name, "not there")
    numbers = tuple(int(part) for part in here.split(".")[:2] if part.isdecimal())
    if numbers < oldest:
      needed = ".".join(map(str, oldest))
      raise ModelError(
        f"{name} is {here}; the command line needs {needed} or newer. pip install"
        f" '{name}>={needed}', or -r requirements-car.txt."
      )


def _label(options: argparse.Namespace) -> None:
  _check_packages()
  source, out = _resolve(options.image), _resolve(options.out)
  if source == out:
    raise ModelError(f"--out is the folder of the images, {out}. Set another.")
  files = _files(source)
  segmenter = Segmenter(
    _resolve(options.model), options.provider, options.precision, options.threads
  )
  latencies_ms, sizes = [], set()
  progress = _Progress()
  for stem, picture in _pictures(files):
    image = picture.convert("RGB" if segmenter.channels == 3 else "L")
    if options.resize:
      image = _fitted(image, segmenter.size)
    if picture.size not in sizes and image.size != picture.size:
      came, size = (" x ".join(map(str, pair)) for pair in (picture.size, image.size))
      _log.info(
        "Images of %s pixels, such as %s, are resized to %s", came, _printable(stem), size
      )
    sizes.add(picture.size)
    pixels = np.asarray(image)
    start = time.perf_counter()
    labels = segmenter(pixels)
    latencies_ms.append(1e3 * (time.perf_counter() - start))
    if isinstance(labels, np.ndarray):
      _write(out, stem, picture, labels, segmenter, options.alpha)
      progress.show(len(latencies_ms))
    elif labels < len(segmenter.classes):
      print(_printable(f"{stem}: {segmenter.classes[labels]} ({labels})"))
    else:
      raise ModelError(
        f"{segmenter.name} gives the label {labels}, and export.json has"
        f" {len(segmenter.classes)} classes. {_COPY}"
      )
  progress.end()
  count = len(latencies_ms)
  print(
    f"{count} image{'s' if count != 1 else ''} by {_printable(segmenter.name)} on"
    f" {segmenter.provider}, median {np.median(latencies_ms):.2f} ms each, the slowest"
    f" {max(latencies_ms):.2f} ms"
  )
  if segmenter.task == "segmentation":
    print(_printable(f"Pictures: {out}"))


def _printable(text: str) -> str:
  """Returns text on one line, with control characters and invalid UTF-8 escaped."""
  return "".join(
    character if character.isprintable()
    # First a byte of a name that is no UTF-8, as Python keeps it; then a control character.
    else f"\\x{ord(character) - 0xDC00:02x}" if "\udc80" <= character <= "\udcff"
    else character.encode("unicode_escape", "surrogatepass").decode()
    for character in text
  )  # fmt: skip


class _Progress:
  """A line on the terminal that counts images, once the work has taken five seconds."""

  def __init__(self):
    self._start = self._last = time.monotonic()
    self._shown = False

  def show(self, count: int) -> None:
    now = time.monotonic()
    if now - self._start < 5 or now - self._last < 0.2 or not sys.stderr.isatty():
      return
    self._last, self._shown = now, True
    rate = count / (now - self._start)
    print(f"{count} images, {rate:.1f} a second \r", end="", file=sys.stderr, flush=True)

  def end(self) -> None:
    if self._shown:
      print(file=sys.stderr)


def _resolve(path: str) -> str:
  """Makes a user's path absolute: `bazel run` starts the program in another folder."""
  base = os.environ.get("BUILD_WORKING_DIRECTORY") or os.getcwd()
  expanded = os.path.expanduser(path)
  if expanded.split(os.sep)[0] == "~":
    raise ModelError(f"{path}: there is no home folder (HOME). Give the path without ~.")
  return os.path.normpath(os.path.join(base, expanded))


def _files(path: str) -> list[str]:
  """Returns the image and video files that a path names, sorted by name."""
  try:
    if not os.path.isdir(path):
      _check_regular(path)
      return [path]
    # Hidden files, such as macOS' "._a.png", are no images.
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    names = [name for name in names if name.lower().endswith((*_STILLS, *_VIDEOS))]
    files = [os.path.join(path, name) for name in names]
    for file in files:
      _check_regular(file)
  except FileNotFoundError as error:
    raise ModelError(
      f"There is no image, video or folder {error.filename}. Set --image."
    ) from error
  except OSError as error:
    raise ModelError(f"{error.filename} cannot be read: {error.strerror}.") from error
  if not files:
    raise ModelError(
      f"{path} holds no image ({' '.join(_STILLS)}) and no video ({' '.join(_VIDEOS)})."
    )
  return files


def _pictures(files: Sequence[str]) -> Iterator[tuple[str, Image.Image]]:
  """Yields every frame of every file, with its stem for output files."""
  names = [os.path.basename(file) for file in files]
  stems = [os.path.splitext(name)[0] for name in names]
  given: set[str] = set()
  for file, name, stem in zip(files, names, stems):
    frames = _video(file) if file.lower().endswith(_VIDEOS) else _stills(file)
    for number, picture in frames:
      ending = f"-{number:06d}" if number else ""
      # A frame of clip.gif may have the same name as clip-000001.png.
      is_own = stems.count(stem) == 1 and f"{stem}{ending}" not in given
      unique = f"{stem if is_own else name}{ending}"
      given.add(unique)
      yield unique, picture


def _stills(path: str) -> Iterator[tuple[int, Image.Image]]:
  """Yields (0, image), or (1, frame), (2, frame), ... of a file that has several."""
  from PIL import UnidentifiedImageError

  try:
    with _open_regular(path) as file:
      opened, exif = _opened(file)
      count = getattr(opened, "n_frames", 1)
      for i in range(count):
        opened.seek(i)
        yield (i + 1 if count > 1 else 0), _eight_bits(opened, exif, path)
  except ModelError:
    raise
  # Pillow raises OSError, SyntaxError, ValueError, struct.error and others.
  except Exception as error:
    is_none = isinstance(error, UnidentifiedImageError)
    reason = "it begins as none does" if is_none else error
    raise ModelError(
      f"{path} cannot be decoded ({reason}): it is cut short, damaged or no image. Mend or"
      " remove it."
    ) from error


def _opened(file: IO[bytes]) -> tuple[ImageFile.ImageFile, bytes]:
  """Opens an image and returns its Exif data; a PNG with a broken animation as a still."""
  from PIL import Image

  kept, exif = without_metadata(file, ANIMATED)
  try:
    return Image.open(kept, formats=_FORMATS), exif
  except Exception:
    file.seek(0)
    kept, exif = without_metadata(file, STILL)
    return Image.open(kept, formats=_FORMATS), exif


def _eight_bits(frame: ImageFile.ImageFile, exif: bytes, path: str) -> Image.Image:
  """Converts a frame as training does: upright, the upper 8 of 16 bits, no alpha."""
  from PIL import Image

  turned = upright(frame, exif).copy()  # the next frame may need the original
  # PNGs of 16-bit grey are "I" to Pillow before 10.4.
  if turned.mode.startswith("I;16") or (turned.mode, frame.format) == ("I", "PNG"):
    return Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
  if turned.mode not in _CONVERTED:
    raise ModelError(
      f"{path} holds '{turned.mode}' pixels; expected grey or RGB of 8 or 16 bits."
    )
  turned.info.pop("transparency", None)  # otherwise convert() warns about it
  return turned.convert("L" if turned.mode in ("1", "L") else "RGB")


# ---- Image files without their metadata, as training reads them. These are copies of the
# functions in tfdam/data/metadata.py; tests check that the source is the same.

# The largest content of a PNG or JPEG, twice what 8192 x 8192 pixels with four channels of
# 16 bits take. Larger files are broken or hostile.
_MAX_BYTES = 1 << 30
# A JPEG's Exif data is never longer, and the orientation lies near its start.
_MAX_EXIF = 1 << 16
_ORIENTATION = 0x0112  # its tag
# {orientation: the transposition, by Pillow's names, that turns the stored image upright}.
_TURNS = {
  2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
  6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
_PNG = b"\x89PNG\r\n\x1a\n"
# The chunks that decide the pixels; tRNS and the last three are for animations only.
STILL = (b"IHDR", b"PLTE", b"IDAT")
ANIMATED = (*STILL, b"tRNS", b"acTL", b"fcTL", b"fdAT")
# {JPEG segment from which libjpeg learns the colours: its first bytes, its size}.
_COLOURS = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}


def without_metadata(
  file: IO[bytes], chunks: tuple[bytes, ...] = STILL, header: bool = False
) -> tuple[IO[bytes], bytes]:
  """Removes everything but the pixels from an image file.

  Args:
    file: a PNG or JPEG, at its start; other files are returned as they are.
    chunks: the chunks of a PNG to keep.
    header: whether the part before the pixels is enough.

  Returns:
    A file with the same pixels and no metadata, and the Exif data that the file had.

  Raises:
    SyntaxError, OSError: the file is visibly damaged.
  """
  start = file.read(len(_PNG))
  if start == _PNG:
    return _png(file, chunks, header)
  file.seek(2)
  if start.startswith(b"\xff\xd8"):
    return _jpeg(file, header)
  file.seek(0)
  return file, b""


def _png(
  file: IO[bytes], chunks: tuple[bytes, ...], header: bool
) -> tuple[IO[bytes], bytes]:
  kept, has_pixels = io.BytesIO(), False
  exif: bytes | None = None
  kept.write(_PNG)
  end = file.seek(0, os.SEEK_END)
  position = len(_PNG)
  while position + 8 <= end:
    file.seek(position)
    head = file.read(8)
    length, name = struct.unpack(">I4s", head)
    position += 12 + length
    if not name.isalpha() or name == b"IEND":
      break
    if name == b"eXIf" and exif is None and not has_pixels:
      exif = file.read(min(length, _MAX_EXIF))
    if name not in chunks:
      continue
    has_pixels = has_pixels or name == b"IDAT"
    if has_pixels and header:
      kept.write(head)
      break
    if position > end or kept.tell() + length > _MAX_BYTES:
      raise OSError(f"chunk {name.decode()} claims {length} bytes, more than there are")
    body = file.read(length + 4)
    if zlib.crc32(name + body[:-4]) == int.from_bytes(body[-4:], "big"):
      kept.write(head + body)
    elif name[:1].isupper():  # others are dropped, as libpng does
      raise SyntaxError(f"the checksum of chunk {name.decode()} is wrong")
  if not has_pixels:
    raise SyntaxError("it has no pixels")
  if not header:
    kept.write(b"\0\0\0\0IEND\xaeB`\x82")
  kept.seek(0)
  return kept, exif or b""


def _jpeg(file: IO[bytes], header: bool) -> tuple[IO[bytes], bytes]:
  kept, exif = io.BytesIO(), b""
  kept.write(b"\xff\xd8")
  while True:
    head = file.read(4)
    while head[:2] == b"\xff\xff":  # fill bytes
      head = head[1:] + file.read(1)
    code, length = (head[1], int.from_bytes(head[2:], "big")) if len(head) == 4 else (0, 0)
    # The pixels begin here, or something that is no segment, which libjpeg may skip.
    if head[:1] != b"\xff" or code < 0xC0 or 0xD0 <= code <= 0xDA or length < 2:
      break
    body = file.read(length - 2)
    if code == 0xE1 and body.startswith(b"Exif\0\0") and not exif:
      exif = body
    if 0xE0 <= code <= 0xEF or code == 0xFE:
      beginning, size = _COLOURS.get(code, (b"", _MAX_BYTES))
      if not body.startswith(beginning) or len(body) < size:
        continue
    kept.write(head + body)
  position = file.tell()
  if kept.tell() + file.seek(0, os.SEEK_END) - position > _MAX_BYTES:
    raise OSError(f"it is larger than {_MAX_BYTES:,} bytes")
  file.seek(position)
  kept.write(head + file.read(4096 if header else -1))
  kept.seek(0)
  return kept, exif


def upright(image: ImageFile.ImageFile, exif: bytes) -> Image.Image:
  """Returns an opened image, turned upright by its orientation.

  Args:
    image: opened from the file that `without_metadata` returned.
    exif: the Exif data that it returned with the file.
  """
  from PIL import Image

  # Pillow turns TIFF files itself, and would obey XMP's orientation, which is not used
  # here.
  for key in ("xmp", "XML:com.adobe.xmp"):
    image.info.pop(key, None)
  turn = _TURNS.get(orientation(image, exif))
  if image.format == "TIFF" or not turn:
    return image
  return image.transpose(getattr(Image.Transpose, turn))


def orientation(image: ImageFile.ImageFile, exif: bytes) -> int:
  """Returns an image's orientation, 1 to 8; 1, as stored, if it has no valid one."""
  if image.format == "TIFF":
    found = image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
    return found if found in _TURNS else 1
  return _of_exif(image.info.get("exif", b"") if image.format == "WEBP" else exif)


def _of_exif(exif: bytes) -> int:
  tiff = exif[6:] if exif.startswith(b"Exif\0\0") else exif
  order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
  if not order:
    return 1
  try:
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
      tag, *kind, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
      if tag == _ORIENTATION:
        # One unsigned number of 16 bits.
        return value if kind == [3, 1] and 1 <= value <= 8 else 1
  except struct.error:  # the data end here
    pass
  return 1


def _video(path: str) -> Iterator[tuple[int, Image.Image]]:
  """Yields (1, frame), (2, frame), ... of a video, decoded by ffmpeg at a constant rate."""
  from PIL import Image

  ffmpeg = shutil.which("ffmpeg")
  if not ffmpeg:
    raise ModelError(
      f"{path} is a video, and there is no ffmpeg on PATH to decode it. Install ffmpeg, or"
      " set --image to a folder of frames."
    )
  # A PPM is raw RGB after a header with the size, which rotation may have changed.
  form = "-map 0:v:0 -f image2pipe -c:v ppm -pix_fmt rgb24 -".split()
  command = [ffmpeg, "-nostdin", "-v", "error", "-i", path, *form]
  number = 0
  with tempfile.TemporaryFile() as said:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)
    assert process.stdout
    try:
      while (frame := _read_ppm(process.stdout)) is not None:
        number += 1
        yield number, Image.fromarray(frame)
      status = process.wait()
    finally:
      process.stdout.close()
      process.kill()
      process.wait()
    said.seek(0)
    words = said.read().decode(errors="replace").strip().splitlines() or ["nothing"]
  if status or not number:
    raise ModelError(
      f"{path} cannot be decoded after frame {number}: ffmpeg ends with status {status} and"
      f" says: {words[0]}"
    )


def _read_ppm(stream: IO[bytes]) -> np.ndarray | None:
  """Returns the next picture of a stream, uint8 [H, W, 3], or None at its end."""
  _, size, _ = (stream.readline() for _ in range(3))
  if not size:
    return None
  width, height = map(int, size.split())
  pixels = stream.read(3 * width * height)
  if len(pixels) < 3 * width * height:
    return None
  return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _fitted(picture: Image.Image, size: tuple[int | None, int | None]) -> Image.Image:
  """Returns the picture, resized to the model's height and width if they differ."""
  from PIL import Image

  height, width = size
  wanted = (width or picture.width, height or picture.height)
  if picture.size == wanted:
    return picture
  return picture.resize(wanted, Image.Resampling.BILINEAR)


def _write(
  out: str,
  stem: str,
  picture: Image.Image,
  labels: np.ndarray,
  segmenter: Segmenter,
  alpha: float,
) -> None:
  """Writes <stem>-labels.png, of ids, and <stem>-overlay.png, of colours over the image."""
  from PIL import Image

  ids = Image.fromarray(labels.astype(np.uint8))
  # Nearest neighbour: ids cannot be interpolated.
  ids = ids.resize(picture.size, Image.Resampling.NEAREST)
  overlay = _overlay(picture.convert("RGB"), np.asarray(ids), segmenter, alpha)
  try:
    os.makedirs(out, exist_ok=True)
    for image, what in ((ids, "labels"), (overlay, "overlay")):
      path = os.path.join(out, f"{stem}-{what}.png")
      if os.path.exists(path):
        _check_regular(path)  # a pipe would wait for a reader
      image.save(path)
  except OSError as error:
    raise ModelError(f"Cannot write to {out}: {error}. Set --out.") from error


def _overlay(
  picture: Image.Image, ids: np.ndarray, segmenter: Segmenter, alpha: float
) -> Image.Image:
  """Draws the classes' colours over the image, with a legend of its classes below."""
  from PIL import Image

  palette = np.zeros((256, 3), np.uint8)  # ids without a class are black
  palette[: len(segmenter.palette)] = segmenter.palette
  blended = Image.blend(picture, Image.fromarray(palette[ids]), alpha)
  counts = np.bincount(ids.ravel(), minlength=256)[: len(segmenter.classes)]
  by_share = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
  names = [_printable(name) for name in segmenter.classes]
  legend = _legend([(names[i], palette[i]) for i in by_share], picture.width)
  whole = Image.new("RGB", (picture.width, picture.height + legend.height))
  whole.paste(blended, (0, 0))
  whole.paste(legend, (0, picture.height))
  return whole


def _legend(entries: Sequence[tuple[str, np.ndarray]], width: int) -> Image.Image:
  """Draws a strip with a square and a name for each class, in as many rows as needed."""
  from PIL import Image, ImageDraw, ImageFont

  side = min(20, max(10, width // 40))
  margin, row = side // 2, 3 * side // 2
  font = ImageFont.load_default(side)
  left, top, places = margin, margin, []
  for name, _ in entries:
    length = int(2 * side + font.getlength(name))
    if left > margin and left + length > width:
      left, top = margin, top + row
    places.append((left, top))
    left += length
  strip = Image.new("RGB", (width, top + row), "white")
  draw = ImageDraw.Draw(strip)
  for (left, top), (name, colour) in zip(places, entries):
    box = (left, top, left + side - 1, top + side - 1)
    draw.rectangle(box, fill=tuple(colour.tolist()))
    draw.text((left + 4 * side // 3, top + side // 2), name, "black", font, anchor="lm")
  return strip


if __name__ == "__main__":
  sys.exit(main())
