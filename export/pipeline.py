"""The steps of an export: write to a staging folder, compare, and only then publish."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

import tfdam
from tfdam import config as config_lib
from tfdam import runtime
from tfdam.runs import loading, run_folder

from . import (
  backends,
  parity,
  publish,
  reduce,
  serving_files,
  summary,
  to_onnx,
  to_saved_model,
)
from . import contract as contract_lib
from . import module as module_lib
from . import samples as samples_lib

_PACKAGES = ("tensorflow", "tf2onnx", "onnx", "onnxruntime-gpu", "onnxruntime", "numpy")
# TensorFlow's errors for a full disk, for one that may not be written, and for a file that
# exceeds the limit of the system or of `ulimit -f`.
_UNWRITABLE = (
  tf.errors.ResourceExhaustedError,
  tf.errors.PermissionDeniedError,
  tf.errors.OutOfRangeError,
)
_STEMS = {
  name: "model" if name == "float32" else f"model.{name}"
  for name in contract_lib.PRECISIONS
}


class Exported(NamedTuple):
  """The results of an export.

  Attributes:
    manifest: the content of export.json, which includes earlier exports.
    parity: {file: comparison}, of this export.
  """

  manifest: dict[str, Any]
  parity: dict[str, dict[str, Any]]


class Options(NamedTuple):
  """What an export writes and how much it checks.

  Attributes:
    formats: some of run.FORMATS.
    precision: one of contract.PRECISIONS, for ONNX; float32 is always written too.
    max_metric_drop: by how much the metric may fall in other precisions, a fraction.
    metric_images: number of images to score on; 0: all.
    calibration_images: number of images for int8; as many again choose how to clip.
  """

  formats: tuple[str, ...]
  precision: str
  max_metric_drop: float
  metric_images: int
  calibration_images: int


def restore(
  config: config_lib.Config, folder: run_folder.RunFolder, stage: str, target: str = ""
) -> tuple[tf.keras.Model, int]:
  """Returns a stage's network (its moving average, if the run kept one) and its step.

  Args:
    config: of the run.
    folder: of the run.
    stage: of contract.STAGES.
    target: the target whose norms it has, if the run has norms for each target.

  Raises:
    config.UserError: the checkpoint is missing, incomplete or of another network.
  """
  loaded = loading.load_network(config, folder, stage, target)
  if loaded is None or loaded.unfinished:
    raise config_lib.UserError(
      f"{folder.path} holds no whole checkpoint of the end of stage {stage}. Let the run"
      " end, or set --stage."
    )
  return loaded.network, loaded.step


def weights_digest(network: tf.keras.Model) -> str:
  """Returns the SHA-256 of all weights in network order, which identifies the network."""
  digest = hashlib.sha256()
  for variable in network.variables:
    digest.update(variable.numpy().tobytes())
  return digest.hexdigest()


def export(
  network: tf.keras.Model,
  contract: contract_lib.Contract,
  config: config_lib.Config,
  options: Options,
  folder: str,
) -> Exported:
  """Writes, compares and publishes.

  Args:
    network: built, with the weights to export.
    contract: its inputs and outputs.
    config: of the run.
    options: what to write and check.
    folder: of the export; its content does not change until all gates are passed.

  Raises:
    config.UserError: a format cannot be written.
    parity.GateFailed: a file does not compute what the network computes.
  """
  try:
    with publish.alone(folder), publish.staging(folder) as staged:
      publish.sweep(folder, staged)
      work = _Work(network, contract, config, options, staged)
      for name, write in _WRITE.items():
        if name in options.formats:
          write(work, folder)
      before = publish.earlier(folder)
      publish.drop_gone(folder, before)
      manifest = work.manifest(publish.digests(staged), before)
      _warn_of_another(before, manifest, folder)
      # Only renames from here on. A kill between them is very unlikely, and the client
      # would notice by the digests.
      publish.move(staged, folder)
      publish.write_manifest(folder, manifest)
      names = [name for stem in _STEMS.values() for name in _onnx_names(stem)]
      names += publish.FOR_THE_CAR
      batching = os.path.join("saved_model", serving_files.BATCHING)
      publish.remove_unlisted(folder, [*names, batching], manifest)
  # The disk is full, or a folder lies where a file must be.
  except (OSError, *_UNWRITABLE) as error:
    raise config_lib.UserError(publish.unwritable(folder, error)) from error
  return Exported(manifest, work.parity)


def _onnx_names(stem: str) -> tuple[str, str]:
  """Returns a precision's file and its golden pair, relative to the export's folder."""
  golden = stem.replace("model", "golden")
  return os.path.join("onnx", f"{stem}.onnx"), os.path.join("onnx", f"{golden}.npz")


def _warn_of_another(before: dict[str, Any], manifest: dict[str, Any], folder: str) -> None:
  """Warns of earlier ONNX files that the new ones replace or that no longer fit them."""
  old, new = (found.get("model", {}) for found in (before, manifest))
  gone = sorted({*before.get("onnx", {})} - {*manifest.get("onnx", {})})
  # An older version of tfdam may have written fewer entries.
  if "onnx" in before and old.get("weights_sha256") != new["weights_sha256"]:
    logging.warning(
      "%s held another network: %s, stage %s at step %s. Its ONNX files are gone.",
      folder, *(old.get(key, "unknown") for key in ("name", "stage", "step")),
    )  # fmt: skip
  elif gone:
    logging.warning(
      "%s: the ONNX files in %s take or give something else than the new one: they are"
      " gone. Export them again with the same flags.", folder, " and ".join(gone),
    )  # fmt: skip


class _Work:
  """One export in its staging folder."""

  def __init__(self, network, contract, config, options: Options, staged: str):
    self.contract = contract
    self.options = options
    self.staged = staged
    self.config = config
    self.root = runtime.data_root(config.data)
    self.module = module_lib.Inference(
      network, config.data, contract.is_segmentation, contract.dynamic_size
    )
    size = (contract.height, contract.width)
    is_resized = not contract.dynamic_size and size != (
      config.data.height,
      config.data.width,
    )
    share = max((getattr(m, "image_share", 0.0) for m in network.submodules), default=0.0)
    self.exact = parity.ENLARGED if is_resized or share else parity.FLOAT32
    logging.info("export: the Keras network, with which the files are compared.")
    self.test = samples_lib.load(config, self.root, contract, "test")
    scored = self.test if self.test and self.test.read_label else None
    self.scored = scored
    self.indices = scored.spread(options.metric_images) if scored else []
    self.keras = backends.of_function(module_lib.traced(self.module, contract, None))
    self.probes = parity.probes(contract, self.test, share)
    self.reference = {name: self.keras(image) for name, image in self.probes.items()}
    self.parity: dict[str, dict[str, Any]] = {"keras": self._metric(self.keras, "Keras")}
    self.sizes: dict[str, int] = {}
    self.entries: dict[str, Any] = {}

  def saved_model(self, folder: str) -> None:
    """Writes and checks a version, and the files that start a server."""
    logging.info("export: SavedModel.")
    base = os.path.join(self.staged, "saved_model")
    versions = os.path.join("saved_model", self.contract.name)
    version = to_saved_model.next_version(os.path.join(folder, versions))
    place = os.path.join(self.staged, versions, str(version))
    os.makedirs(os.path.dirname(place))
    to_saved_model.write(self.module, self.contract, place)
    served = os.path.join(folder, "saved_model")
    beside = [n for n in to_saved_model.served_names(served) if n != self.contract.name]
    any_size = any(to_saved_model.takes_any_size(os.path.join(served, n)) for n in beside)
    serving_files.write_configs(self.contract, base, beside, any_size)
    session = backends.of_session(place, self.contract.extra_outputs)
    self._compare("SavedModel", session, self.exact)
    self._compare_files(place)
    try:
      strangers = backends.by_a_stranger(place, list(self.probes.values()))
    except RuntimeError as error:
      raise parity.GateFailed(f"{error} Nothing was exported.") from error
    found = parity.compare(self.reference, dict(zip(self.probes, strangers)))
    self._passed("SavedModel without tfdam", found, self.exact)
    self.sizes["SavedModel"] = os.path.getsize(os.path.join(place, "saved_model.pb"))
    self.entries["saved_model"] = {
      "folder": f"{versions}/{version}",
      "signatures": [
        contract_lib.SERVING_DEFAULT, contract_lib.PREDICT_BYTES, contract_lib.SCORES
      ],
      **self.contract.describe_saved_model(),
    }  # fmt: skip

  def _compare_files(self, place: str) -> None:
    """Checks that the SavedModel decodes files as Pillow does before training."""
    by_file = backends.of_files(place)
    # A JPEG changes the pixels, so Keras labels each again; hence only a few.
    few = dict.fromkeys([next(iter(self.probes)), list(self.probes)[-1]])
    for kind, names in (("PNG", self.probes), ("JPEG", few)):
      files = {name: serving_files.encode(self.probes[name], kind) for name in names}
      images = {name: serving_files.decode(file) for name, file in files.items()}
      answers = {name: by_file(file, images[name]) for name, file in files.items()}
      reference = (
        self.reference
        if kind == "PNG"
        else {name: self.keras(image) for name, image in images.items()}
      )
      found = parity.compare(reference, answers)
      self._passed(f"SavedModel from {kind}", found, self.exact)

  def onnx(self, folder: str) -> None:
    """Writes and checks the float32 file, and one with fewer bits if asked for."""
    del folder
    logging.info("export: ONNX.")
    batch = None if self.contract.dynamic_batch else 1
    function = module_lib.traced(self.module, self.contract, batch)
    plain = to_onnx.convert(function, self.contract)
    self.entries["onnx"] = {}
    publish.add_client(self.staged)
    self._onnx_file(plain, "float32", self.exact)
    if parity.has_reference(self.contract, to_onnx.operators(plain)):
      self._compare(
        "ONNX reference", backends.of_reference(plain, self.contract),
        self.exact, has_metric=False,
      )  # fmt: skip
    precision = self.options.precision
    if precision != "float32":
      logging.info("export: ONNX in %s.", precision)
      gates = parity.reduced(self.options.max_metric_drop, self.scored is not None)
      if precision == "float16":
        self._onnx_file(reduce.to_float16(plain), precision, gates)
      else:
        self._int8_file(plain, precision, gates)

  def _int8_file(self, plain, precision: str, gates: parity.Gates) -> None:
    train = samples_lib.load(self.config, self.root, self.contract, "train")
    if train is None:
      raise config_lib.UserError(
        f"{precision} is calibrated on training images of {self.config.data.target}, which"
        f" are not in {self.root}. Set --data_root, or --precision=float16."
      )
    images = reduce.calibration(train, self.options.calibration_images)
    model, calibration = reduce.to_int8(plain, self.contract, images, precision)
    logging.info("export: %s: %s", precision, summary.shown_calibration(calibration))
    self._onnx_file(model, precision, gates)
    self.entries["onnx"][precision]["calibration"] = calibration

  def _onnx_file(self, model, precision: str, gates: parity.Gates) -> None:
    import onnxruntime

    to_onnx.check(model, self.contract)
    title = "ONNX Runtime" if precision == "float32" else f"ONNX Runtime, {precision}"
    runs = backends.of_onnx(model, self.contract)
    self._compare(title, runs, gates)
    properties = self._properties(self.parity[title], precision)
    to_onnx.describe(model, properties)
    file, golden = _onnx_names(_STEMS[precision])
    os.makedirs(os.path.join(self.staged, "onnx"), exist_ok=True)
    content = model.SerializeToString()
    with open(os.path.join(self.staged, file), "wb") as opened:
      opened.write(content)
    images = parity.golden(self.contract, self.probes)
    fed = backends.arranged(np.stack(images), self.contract.layout)
    labels = backends.answers_of_file(os.path.join(self.staged, file), fed)
    expected = np.stack([runs(image).labels for image in images])
    parity.check_golden(title, precision, labels, expected)
    np.savez_compressed(os.path.join(self.staged, golden), image=fed, labels=labels)
    self.sizes[title] = len(content)
    self.entries["onnx"][precision] = {
      "file": file, "golden": golden, "metadata": properties,
      "onnxruntime": onnxruntime.__version__,
    }  # fmt: skip

  def _compare(
    self,
    title: str,
    backend: backends.Backend,
    gates: parity.Gates,
    has_metric: bool = True,
  ) -> None:
    """Runs a backend on the probes and the test images, and checks its gates."""
    answers = {name: backend(image) for name, image in self.probes.items()}
    found = parity.compare(self.reference, answers)
    if has_metric:
      found.update(self._metric(backend, title))
    self._passed(title, found, gates)

  def _passed(self, title: str, found: dict[str, Any], gates: parity.Gates) -> None:
    reference = self.parity["keras"].get("metric") if "metric" in found else None
    parity.check(title, gates, found, reference)
    self.parity[title] = found

  def _metric(self, backend: backends.Backend, title: str) -> dict[str, Any]:
    if not self.scored:
      return {}
    found = parity.metric(
      backend, self.scored, self.indices, self.contract, f"scoring {title}"
    )
    return {"metric": found}

  def _properties(self, found: dict[str, Any], precision: str) -> dict[str, str]:
    """Returns the file's metadata, without paths or names of people or machines."""
    described = self.contract.describe()
    model = described["model"]
    return {
      f"tfdam.{name}": value if isinstance(value, str) else json.dumps(value)
      for name, value in {
        "version": tfdam.__version__,
        "config_sha256": model["config_sha256"],
        "weights_sha256": model["weights_sha256"],
        "stage": model["stage"], "step": str(model["step"]), "network": model["network"],
        "task": model["task"], "precision": precision, "classes": model["classes"],
        "palette": model["palette"], "input": described["input"], "parity": found,
      }.items()
    }  # fmt: skip

  def manifest(self, files: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of export.json.

    Args:
      files: digests of the new files.
      before: the manifest so far.
    """
    described = self.contract.describe()
    stays = "onnx" in before and "onnx" not in self.options.formats
    if stays and _is_same_network(before, described):
      # The input and outputs of the ONNX files that stay.
      described = {key: before[key] for key in described} | {"model": described["model"]}
    kept = _kept(before, described)
    # A format may have several files, such as ONNX' precisions; the others stay.
    formats = {
      name: {**kept.get(name, {}), **self.entries.get(name, {})} for name in _WRITE
    }
    return {
      "format": publish.FORMAT,
      "tool": {"name": "tfdam", "version": tfdam.__version__, **_versions()},
      **described,
      **{name: entry for name, entry in formats.items() if entry},
      "files": {**self._staying(kept.get("files", {})), **files},
      "parity": {**kept.get("parity", {}), **self.parity},
      "sizes": {**kept.get("sizes", {}), **self.sizes},
    }

  def _staying(self, files: dict[str, Any]) -> dict[str, Any]:
    """Returns the earlier files that this export does not replace.

    The files that start a server serve all models, and each SavedModel replaces them.
    """
    if "saved_model" not in self.entries:
      return files
    return {n: f for n, f in files.items() if os.path.dirname(n) != "saved_model"}


# {format of contract.WRITERS: what writes and checks it}, in this order.
_WRITE = {"saved_model": _Work.saved_model, "onnx": _Work.onnx}


def _is_same_network(before: dict[str, Any], described: dict[str, Any]) -> bool:
  """Whether two manifests describe the same network, regardless of its served name."""
  old, new = ({**found.get("model", {}), "name": ""} for found in (before, described))
  return old == new


def _kept(before: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
  """Returns a manifest's entries for the files that stay valid beside a new export.

  These are files of the same network, and ONNX files only if their input and outputs are
  the same too, since the manifest has these once. SavedModels of all networks are kept.
  """
  if not _is_same_network(before, described):
    files = before.get("files", {}).items()
    return {"files": {name: f for name, f in files if name.startswith("saved_model/")}}
  if all(before.get(key) == value for key, value in described.items() if key != "model"):
    return before
  kept = {name: before[name] for name in _WRITE if name != "onnx" and name in before}
  for key in ("files", "parity", "sizes"):
    kept[key] = {
      name: value
      for name, value in before.get(key, {}).items()
      if not name.startswith(("onnx/", "ONNX", "keras", *publish.FOR_THE_CAR))
    }
  return kept


def _versions() -> dict[str, str]:
  found = {}
  for package in _PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found
