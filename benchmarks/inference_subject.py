"""The network that inference.py times, of a run or with random weights, and its images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from configs.digits import mnist_to_usps
from configs.segmentation import gta5_to_cityscapes_erfnet
from export import backends, pipeline, publish
from export import contract as contract_lib
from export import module as module_lib
from export import samples as samples_lib
from tfdam import config as config_lib
from tfdam import runtime
from tfdam.runs import run_folder
from tfdam.training import networks

RANDOM_IMAGES = "random images"
_DIGITS = ("lenet", "lenet_bn")


class Subject(NamedTuple):
  """A network to time.

  Attributes:
    config: of the run, or of the recipe.
    contract: the network's inputs and outputs.
    workdir: the run that it comes from; "" for random weights.
  """

  config: config_lib.Config
  contract: contract_lib.Contract
  workdir: str = ""

  def network(self) -> tf.keras.Model:
    """Builds the network, with the same weights at every call and in every process."""
    if not self.workdir:
      return networks.build_network(self.config, "network", self.contract.stage)
    folder = run_folder.RunFolder(self.workdir)
    return pipeline.restore(self.config, folder, self.contract.stage)[0]

  def spec(self) -> dict[str, Any]:
    """Returns JSON values for `parse`."""
    return {
      "config": config_lib.to_json(self.config),
      "contract": dataclasses.asdict(self.contract), "model": self.workdir,
    }  # fmt: skip


def parse(spec: Mapping[str, Any]) -> Subject:
  """Returns the subject from what `spec` returned in another process."""
  values = dict(spec["contract"])
  for name in ("classes", "extra_outputs"):
    values[name] = tuple(values[name])
  config = config_lib.resolve(json.loads(spec["config"]))
  return Subject(config, contract_lib.Contract(**values), spec["model"])


def random(name: str, height: int, width: int, seed: int) -> Subject:
  """Returns a network with random weights.

  Args:
    name: in tfdam.models.MODELS; segmentation networks get 19 classes.
    height: of images, in pixels; 0 for 512, or 28 for digits.
    width: the same; 0 for 1024, or 28 for digits.
    seed: of the weights.
  """
  recipe = mnist_to_usps if name in _DIGITS else gta5_to_cityscapes_erfnet
  values = recipe.get_config()
  values.seed = seed
  values.model.name = name
  values.data.height = height or values.data.height
  values.data.width = width or values.data.width
  config = config_lib.resolve(values)
  data = config.data
  contract = contract_lib.Contract(
    name=name, task="classification" if name in _DIGITS else "segmentation", network=name,
    stage="source_only", step=0, config_sha256="",
    classes=tuple(data.classes.split(",") if data.classes else "0123456789"),
    height=data.height, width=data.width, channels=data.channels,
  )  # fmt: skip
  return Subject(config, contract)


def of_run(path: str) -> tuple[Subject, dict[str, str]]:
  """Returns a run's network, and the existing files of its export.

  Raises:
    config.UserError: `path` is no run, no stage is finished, or the export is of another
      run.
  """
  folder = run_folder.RunFolder(path)
  config = folder.read_config()
  manifest = publish.earlier(folder.join("export"))
  if not manifest:
    return Subject(config, _contract(config, folder), path), {}
  model, image, outputs = (manifest[key] for key in ("model", "input", "outputs"))
  if model["config_sha256"] != contract_lib.config_digest(folder):
    raise config_lib.UserError(
      f"{folder.join('export')} is the export of another run than {path}. Export again:"
      f" {runtime.command('export.run', f'--workdir={path}')}"
    )
  shape = image["shape"]
  size = shape[1:3] if image["layout"] == "nhwc" else shape[2:4]
  contract = contract_lib.Contract(
    **{key: model[key] for key in ("name", "task", "network", "stage", "step")},
    config_sha256=model["config_sha256"], weights_sha256=model.get("weights_sha256", ""),
    classes=tuple(model["classes"]),
    height=size[0] or config.data.height, width=size[1] or config.data.width,
    channels=image["channels"], layout=image["layout"],
    label_dtype=outputs[contract_lib.LABELS]["dtype"],
    extra_outputs=tuple(n for n in contract_lib.EXTRA_OUTPUTS if n in outputs),
    dynamic_batch=shape[0] is None, dynamic_size=size[0] is None,
  )  # fmt: skip
  files = {f"onnx_{key}": entry["file"] for key, entry in manifest.get("onnx", {}).items()}
  if "saved_model" in manifest:
    files["saved_model"] = manifest["saved_model"]["folder"]
  found = {key: folder.join("export", file) for key, file in files.items()}
  return Subject(config, contract, path), found


def _contract(config: config_lib.Config, folder: run_folder.RunFolder):
  """Returns the contract of an export of the last finished stage, without its step."""
  results = folder.read_json("results.json") or {}
  finished = [s for s in contract_lib.STAGES if s in results.get("stages", {})]
  if not finished:
    raise config_lib.UserError(
      f"{folder.path} has finished no stage. Let the run end, or leave --run out:"
      " random weights take as long."
    )
  data = config.data
  return contract_lib.Contract(
    name=contract_lib.served_name(config.name), task=results["task"],
    network=config.model.name, stage=finished[-1], step=0,
    config_sha256=contract_lib.config_digest(folder), classes=tuple(results["classes"]),
    height=data.height, width=data.width, channels=data.channels,
  )  # fmt: skip


def images(subject: Subject, count: int, seed: int) -> tuple[np.ndarray, str]:
  """Returns images to label.

  Returns:
    uint8 [count, H, W, C], of the run's target if its data is there, else random; and a
    description of them.
  """
  samples = samples_of(subject, "test")
  if samples is None:
    return random_images(subject.contract, count, seed), RANDOM_IMAGES
  chosen = [samples.read_image(i) for i in samples.spread(count)]
  title = f"test images of {subject.config.data.target}"
  return np.stack([chosen[i % len(chosen)] for i in range(count)]), title


def random_images(contract: contract_lib.Contract, count: int, seed: int) -> np.ndarray:
  """Returns noise of the contract's size, uint8 [count, H, W, C]."""
  shape = (count, contract.height, contract.width, contract.channels)
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def samples_of(subject: Subject, split: str) -> samples_lib.Samples | None:
  """Returns images of the run's target; None for a network with random weights."""
  if not subject.workdir:
    return None
  root = runtime.data_root(subject.config.data)
  return samples_lib.load(subject.config, root, subject.contract, split)


def reference_labels(
  subject: Subject, network: tf.keras.Model, pictures: np.ndarray
) -> np.ndarray:
  """Returns the labels of the exporter's reference, [N, H, W] or [N]."""
  contract = subject.contract
  module = module_lib.Inference(
    network, subject.config.data, contract.is_segmentation, contract.dynamic_size
  )
  keras = backends.of_function(module_lib.traced(module, contract, 1))
  return np.stack([keras(picture).labels for picture in pictures])
