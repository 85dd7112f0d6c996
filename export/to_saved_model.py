"""Writes the exported function as a SavedModel in TF Serving's layout.

saved_model/<name>/<version>/   saved_model.pb, variables/, assets.extra/ (warm-up)
saved_model/models.config       see serving_files.py
"""

from __future__ import annotations

import os

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2

from . import contract as contract_lib
from . import module as module_lib
from . import orientation, serving_files

_FILE = "saved_model.pb"
_NO_WEBP = "The image is a WebP file; expected PNG or JPEG."


def write(
  module: module_lib.Inference, contract: contract_lib.Contract, folder: str
) -> None:
  """Writes one version: the SavedModel and its warm-up requests.

  Args:
    module: the network.
    contract: its inputs and outputs.
    folder: of the version; must not exist.
  """
  served = _Served(module, contract)
  # A served network is not trained, and the gradient of a swish could not be saved.
  options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
  tf.saved_model.save(served, folder, signatures=served.signatures(), options=options)
  warm_up = os.path.join(folder, "assets.extra", serving_files.WARM_UP)
  serving_files.write_warm_up(contract, warm_up)


def next_version(folder: str) -> int:
  """Returns the version after the newest in a model's folder, 1 for the first."""
  names = os.listdir(folder) if os.path.isdir(folder) else []
  return max((int(name) for name in names if name.isdecimal()), default=0) + 1


def served_names(folder: str) -> list[str]:
  """Returns the names of the models that have a version below `folder`."""
  names = os.listdir(folder) if os.path.isdir(folder) else []
  return [name for name in sorted(names) if next_version(os.path.join(folder, name)) > 1]


def takes_any_size(folder: str) -> bool:
  """Whether a model's newest version takes images of any height or width.

  True also for a model that cannot be read.
  """
  saved = saved_model_pb2.SavedModel()
  try:
    with open(os.path.join(folder, str(next_version(folder) - 1), _FILE), "rb") as file:
      saved.ParseFromString(file.read())
  except (OSError, message.DecodeError):
    return True
  if not saved.meta_graphs:  # an empty file is a valid message
    return True
  signatures = saved.meta_graphs[0].signature_def
  image = signatures[contract_lib.SERVING_DEFAULT].inputs[contract_lib.INPUT]
  return any(dimension.size < 0 for dimension in image.tensor_shape.dim[1:])


class _Served(tf.Module):
  """The signatures around one copy of the frozen network."""

  def __init__(self, module: module_lib.Inference, contract: contract_lib.Contract):
    super().__init__(name="served")
    self.contract = contract
    self._averages = module.averages
    traced = module_lib.traced(module, contract, None)
    self._names = sorted(traced.get_concrete_function().structured_outputs)
    # All signatures call this function, so that the file holds its constants once.
    self._infer = module_lib.frozen(traced)

  def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Returns {signature: function}."""
    image = tf.TensorSpec(
      self.contract.image_shape(None), tf.uint8, name=contract_lib.INPUT
    )
    encoded = tf.TensorSpec([None], tf.string, name=contract_lib.BYTES)

    @tf.function(input_signature=[image], autograph=False)
    def serving_default(image):
      return self._served(self._run(image))

    @tf.function(input_signature=[encoded], autograph=False)
    def predict_bytes(image_bytes):
      return self._served(self._run(self._decode(image_bytes)))

    @tf.function(input_signature=[image], autograph=False)
    def scores(image):
      outputs = self._run(image)
      return {name: outputs[name] for name in (contract_lib.LABELS, "logits")}

    functions = {
      contract_lib.SERVING_DEFAULT: serving_default,
      contract_lib.PREDICT_BYTES: predict_bytes,
      contract_lib.SCORES: scores,
    }
    return {name: f.get_concrete_function() for name, f in functions.items()}

  def _run(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
    return dict(zip(self._names, self._infer(image)))

  def _served(self, outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    chosen = (contract_lib.LABELS, *self.contract.extra_outputs)
    return {name: outputs[name] for name in chosen}

  def _decode(self, image_bytes: tf.Tensor) -> tf.Tensor:
    """Decodes PNG or JPEG files of any size to images of the served size.

    Returns:
      uint8 [B, H, W, C]. For a model of any size, the files of a request have one size.
    """
    contract = self.contract
    size = None if contract.dynamic_size else (contract.height, contract.width)

    def decode(encoded):
      image = _pixels(encoded, contract.channels)
      if size is None:
        return image
      # As before training: shrinking averages pixels, except for the digit sets.
      resized = tf.image.resize(image, size, antialias=self._averages)
      return tf.saturate_cast(tf.round(resized), tf.uint8)

    shape = [*(size or (None, None)), contract.channels]
    return tf.map_fn(
      decode, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.uint8)
    )


def _pixels(encoded: tf.Tensor, channels: int) -> tf.Tensor:
  """Decodes a PNG or JPEG file bit for bit as Pillow does before training.

  Returns:
    uint8 [H, W, channels], upright.
  """
  # Newer TensorFlow would decode a WebP, but its orientation would be ignored.
  begins = tf.strings.substr(encoded, 0, 12)
  is_webp = tf.strings.regex_full_match(begins, r"RIFF\C{4}WEBP")
  with tf.control_dependencies([tf.debugging.Assert(~is_webp, [_NO_WEBP])]):
    encoded = tf.identity(encoded)
  image = tf.cond(
    tf.io.is_jpeg(encoded),
    # The default is libjpeg's fast transform, whose pixels differ by several steps.
    lambda: tf.io.decode_jpeg(encoded, 3, dct_method="INTEGER_ACCURATE"),
    lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
  )
  if channels == 1:
    # Pillow's grey: ITU-R BT.601 in units of 1 / 65536. Grey files keep their values.
    luma = tf.constant([19595, 38470, 7471])
    total = tf.reduce_sum(tf.cast(image, tf.int32) * luma, axis=-1, keepdims=True)
    image = tf.cast((total + 32768) // 65536, tf.uint8)
  image = orientation.upright(image, encoded)
  image.set_shape([None, None, channels])
  return image
