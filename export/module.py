"""The function that is exported, from uint8 images to labels."""

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
  """A network with its pre- and postprocessing; one call labels a batch of images.

  Images are scaled to [0, 1], converted to the network's channels and resized to its size,
  bilinearly as before training. Images that become smaller are averaged, except for the
  digit sets. For segmentation, the scores are resized to the images' size before the
  likeliest class is taken.

  Call arguments:
    image: uint8 [B, H, W, C], C 1 or 3.

  Returns:
    {"labels": int32 [B, H, W], or [B] for classification;
     "logits": float32 [B, H, W, K] or [B, K]; "probabilities": their softmax}.
  """

  def __init__(
    self,
    network: tf.keras.Model,
    data: config_lib.Data,
    is_segmentation: bool,
    keeps_size: bool = False,
  ):
    """Wraps a network.

    Args:
      network: built, with the weights to export.
      data: `height`, `width` and `channels` of the training images, and `target`.
      is_segmentation: whether the network labels pixels.
      keeps_size: whether images enter the network at their own size, without a resize.
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
    module: what to compile.
    contract: decides the images' shape.
    batch: images per call; None for any number.

  Returns:
    A tf.function with one signature, not jit-compiled, because TF Serving does not run
    jit-compiled functions.
  """
  shape = contract.image_shape(batch)
  spec = tf.TensorSpec(shape, tf.uint8, name=contract_lib.INPUT)

  # Networks branch on Python values alone. AutoGraph would rewrite their source for
  # nothing, which takes longer than tracing them.
  @tf.function(input_signature=[spec], autograph=False)
  def infer(image):
    with _inlined():
      return module(image)

  return infer


@contextlib.contextmanager
def _inlined() -> Iterator[None]:
  """Traces calls of other compiled functions inline.

  Keras compiles grouped convolutions with XLA, which neither TF Serving nor ONNX takes.
  """
  before = tf.config.functions_run_eagerly()
  tf.config.run_functions_eagerly(True)
  try:
    yield
  finally:
    tf.config.run_functions_eagerly(before)


def frozen(function) -> tf.types.experimental.ConcreteFunction:
  """Returns the same computation with its weights as constants, which runtimes can fold.

  Args:
    function: what `traced` returned.

  Returns:
    A function from an image to its output tensors, sorted by name.
  """
  # Documented as public despite its path; TensorFlow Lite and tf2onnx use it.
  return convert_to_constants.convert_variables_to_constants_v2(
    function.get_concrete_function(), lower_control_flow=False
  )
