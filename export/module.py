"""The function that is exported: uint8 images in, labels out, all else inside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from tfdam import config as config_lib
from tfdam.data import transforms

from . import contract as contract_lib
from . import samples as samples_lib
from . import shrink


class Inference(tf.Module):
  """A network with what stands before and after it; one call labels a batch of images.

  Images are scaled to [0, 1], converted to the network's channels and resized to its size
  if they have another one, as before training: bilinearly, and what becomes smaller is
  averaged, but for the digit sets. A segmentation's scores are brought back to the images'
  size before the likeliest class is taken.

  Call arguments:
    image: uint8 [B, H, W, C], C 1 or 3.

  Returns:
    {"labels": int32 [B, H, W], or [B] of a classification;
     "logits": float32 [B, H, W, K] or [B, K]; "probabilities": the same, softmax of them}.
  """

  def __init__(
    self,
    network: tf.keras.Model,
    data: config_lib.Data,
    is_segmentation: bool,
    keeps_size: bool = False,
  ):
    """Takes a network, and what its images were trained as.

    Args:
      network: built, with the weights to export.
      data: `height`, `width` and `channels` of what the network was trained on, and
        `target`.
      is_segmentation: whether it labels pixels.
      keeps_size: whether images enter the network at their own size instead.
    """
    super().__init__(name="inference")
    self.network = network
    self.data = data
    self.is_segmentation = is_segmentation
    self.keeps_size = keeps_size
    self.averages = samples_lib.averages(data.target, is_segmentation)

  def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
    height, width, channels = self.data.height, self.data.width, self.data.channels
    if self.keeps_size:
      images = transforms.to_network(image, None, None, channels)
    elif self.averages and (height < image.shape[1] or width < image.shape[2]):
      images = transforms.to_network(image, None, None, channels)
      images = shrink.shrink(images, height, width)
    else:
      images = transforms.to_network(image, height, width, channels)
    logits = self.network(images, training=False)["logits"]
    if self.is_segmentation and logits.shape[1:3] != image.shape[1:3]:
      logits = tf.image.resize(logits, tf.shape(image)[1:3])
    return {
      contract_lib.LABELS: tf.argmax(logits, axis=-1, output_type=tf.int32),
      "logits": logits,
      "probabilities": tf.nn.softmax(logits),
    }


def traced(module: Inference, contract: contract_lib.Contract, batch: int | None):
  """Compiles the module for the contract's images.

  Args:
    batch: images a call; None: any number.

  Returns:
    A tf.function with one signature, un-jitted: TF Serving runs no jit-compiled one.
  """
  shape = contract.image_shape(batch)
  spec = tf.TensorSpec(shape, tf.uint8, name=contract_lib.INPUT)

  # Networks branch on nothing but Python's values: AutoGraph would rewrite their source
  # for nothing, which takes longer than tracing them.
  @tf.function(input_signature=[spec], autograph=False)
  def infer(image):
    with _inlined():
      return module(image)

  return infer


@contextlib.contextmanager
def _inlined() -> Iterator[None]:
  """Traces calls of other compiled functions as what they compute.

  Keras has XLA compile grouped convolutions, which neither TF Serving nor ONNX takes.
  """
  before = tf.config.functions_run_eagerly()
  tf.config.run_functions_eagerly(True)
  try:
    yield
  finally:
    tf.config.run_functions_eagerly(before)


def frozen(function) -> tf.types.experimental.ConcreteFunction:
  """The same computation with its weights as constants, for whoever loads it to fold.

  Args:
    function: what `traced` returned.

  Returns:
    image -> [tensors in the sorted order of their names].
  """
  # Public by its documentation, though not by its path; TensorFlow Lite and tf2onnx use it.
  return convert_to_constants.convert_variables_to_constants_v2(
    function.get_concrete_function(), lower_control_flow=False
  )
