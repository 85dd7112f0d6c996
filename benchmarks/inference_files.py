"""The files that inference.py's candidates load, made by the exporter's own functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from absl import logging

from benchmarks import inference_subject
from export import module as module_lib
from export import reduce, to_onnx, to_saved_model
from export import samples as samples_lib
from tfdam import config as config_lib

if TYPE_CHECKING:
  import onnx

# The exporter's default is 200; more images change no times and few labels.
_CALIBRATION_IMAGES = 32


class Files:
  """Makes files at their first use; those of a run's export are used if they exist.

  Attributes:
    paths: {"saved_model", or "onnx_" and one of contract.PRECISIONS: path}.
    calibration: the images on which int8 was calibrated, once it is made here.
  """

  def __init__(
    self,
    subject: inference_subject.Subject,
    network: tf.keras.Model,
    folder: str,
    ready: Mapping[str, str],
  ):
    """Makes no file yet.

    Args:
      subject: the network's config and contract.
      network: built.
      folder: where files are written.
      ready: {name: path} for files that exist already.
    """
    self.paths = dict(ready)
    self.calibration = "see its export"
    self._subject = subject
    self._folder = folder
    self._module = module_lib.Inference(
      network,
      subject.config.data,
      subject.contract.is_segmentation,
      subject.contract.dynamic_size,
    )

  def path(self, name: str) -> str:
    """Returns the path of a file, which is made if needed.

    Raises:
      config.UserError: it cannot be made; the message says what is missing.
    """
    if name not in self.paths:
      logging.info("inference: making %s.", name)
      path = os.path.join(self._folder, name)
      self._makers()[name](path)
      self.paths[name] = path
    return self.paths[name]

  def _makers(self) -> dict[str, Callable[[str], None]]:
    return {
      "saved_model": self._saved_model,
      "onnx_float32": lambda path: _save(self._converted(), path),
      "onnx_float16": lambda path: _save(reduce.to_float16(self.float32()), path),
      "onnx_int8": lambda path: _save(self._quantized("int8"), path),
      "onnx_int8_tensorrt": lambda path: _save(self._quantized("int8_tensorrt"), path),
    }

  def float32(self) -> onnx.ModelProto:
    """Returns the float32 ONNX file."""
    path = self.path("onnx_float32")
    import onnx

    return onnx.load(path)

  def _saved_model(self, path: str) -> None:
    to_saved_model.write(self._module, self._subject.contract, path)

  def _converted(self) -> onnx.ModelProto:
    contract = self._subject.contract
    batch = None if contract.dynamic_batch else 1
    return to_onnx.convert(module_lib.traced(self._module, contract, batch), contract)

  def _quantized(self, precision: str) -> onnx.ModelProto:
    subject = self._subject
    samples = inference_subject.samples_of(subject, "train")
    self.calibration = f"training images of {subject.config.data.target}"
    if samples is None:
      # Only a few: more noise would not improve the ranges.
      noise = inference_subject.random_images(subject.contract, 4, seed=1)
      samples = samples_lib.Samples(len(noise), lambda i: noise[i], None)
      self.calibration = inference_subject.RANDOM_IMAGES
    images = reduce.calibration(samples, _CALIBRATION_IMAGES)
    return reduce.to_int8(self.float32(), subject.contract, images, precision)[0]


def _save(model: onnx.ModelProto, path: str) -> None:
  with open(path, "wb") as file:
    file.write(model.SerializeToString())


def save_weights(network: tf.keras.Model, path: str) -> None:
  """Writes {"layer/variable": array} for peers/erfnet_forward_torch.py."""
  arrays: dict[str, Any] = {}
  for variable in network.variables:
    *_, layer, name = variable.name.split(":")[0].split("/")
    arrays[f"{layer}/{name}"] = variable.numpy()
  with open(path, "wb") as file:  # opened here, so that np.savez adds no ending
    np.savez(file, **arrays)


def check_yardstick(subject: inference_subject.Subject) -> None:
  """Raises config.UserError if peers/erfnet_forward_torch.py cannot run this network."""
  data, contract = subject.config.data, subject.contract
  if subject.config.model.name != "erfnet":
    raise config_lib.UserError(
      f"PyTorch's script has only ERFNet, not {subject.config.model.name}."
    )
  trained = (data.height, data.width, data.channels)
  if trained != (contract.height, contract.width, contract.channels):
    raise config_lib.UserError(f"PyTorch's script cannot resize images to {trained}.")
