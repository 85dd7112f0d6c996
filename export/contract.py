"""An exported network's inputs and outputs, and the run that it came from.

TensorFlow is not imported, so that wrong flags are reported before it starts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import re
from collections.abc import Sequence
from typing import Any

from tfdam import config as config_lib
from tfdam.metrics import palette
from tfdam.runs import run_folder
from tfdam.vocabulary import Stage, Task

INPUT, LABELS = "image", "labels"
# The signatures of a SavedModel: for images; for encoded files, which REST takes as base64
# because the input's name ends with "_bytes"; and labels with logits, to compare.
SERVING_DEFAULT, PREDICT_BYTES, SCORES = "serving_default", "predict_bytes", "scores"
BYTES = "image_bytes"
# The outputs that the graph can have besides the labels.
EXTRA_OUTPUTS = ("logits", "probabilities")
LAYOUTS = ("nhwc", "nchw")
LABEL_DTYPES = ("int32", "uint8")
PRECISIONS = ("float32", "float16", "int8", "int8_tensorrt")
# {format: (module that writes it, its package, what to do without it)}.
WRITERS = {
  "saved_model": (
    "tensorflow_serving", "tensorflow-serving-api",
    "pip install 'tfdam[serving]', or set --formats=onnx",
  ),
  "onnx": (
    "tf2onnx", "tf2onnx",
    "its release for this TensorFlow wants Python 3.10 or later, which TFDAM_PYTHON may"
    " name; or set --formats=saved_model",
  ),
}  # fmt: skip
STAGES = tuple(Stage)
# The label of pixels without a class, for readers of the manifest; never a network's
# output.
_IGNORED = 255


@dataclasses.dataclass(frozen=True)
class Contract:
  """An exported network's inputs, outputs and origin.

  Attributes:
    name: of the served model.
    task: a Task.
    network: name in tfdam.models.MODELS, or "keras".
    stage: the stage whose network it is.
    step: of that stage.
    config_sha256: of the run's config.json.
    classes: names, in the order of the labels.
    height: of the images, in pixels. The graph resizes them if the network needs another
      size; labels have the images' size.
    width: the same.
    channels: 1 (grey) or 3 (RGB).
    layout: of images and of extra outputs in ONNX, "nhwc" or "nchw". SavedModels: "nhwc".
    label_dtype: "int32" or "uint8", in the ONNX file. SavedModels: "int32".
    extra_outputs: some of EXTRA_OUTPUTS.
    dynamic_batch: whether ONNX takes any number of images, as SavedModels do.
    dynamic_size: whether it takes images of any size.
    weights_sha256: of the network's weights, from pipeline.weights_digest.
  """

  name: str
  task: str
  network: str
  stage: str
  step: int
  config_sha256: str
  classes: tuple[str, ...]
  height: int
  width: int
  channels: int
  layout: str = "nhwc"
  label_dtype: str = "int32"
  extra_outputs: tuple[str, ...] = ()
  dynamic_batch: bool = False
  dynamic_size: bool = False
  weights_sha256: str = ""

  @property
  def is_segmentation(self) -> bool:
    return self.task == Task.SEGMENTATION

  @property
  def size(self) -> tuple[int | None, int | None]:
    """Height and width of images, in pixels; None for any."""
    return (None, None) if self.dynamic_size else (self.height, self.width)

  def image_shape(self, batch: int | None, layout: str = "nhwc") -> list[int | None]:
    """Returns [B, H, W, C] or [B, C, H, W], None for axes that may vary."""
    return _arranged(batch, self.size, self.channels, layout)

  def output_shapes(self, batch: int | None, layout: str = "nhwc") -> dict[str, list]:
    """Returns {output: shape}, None for axes that may vary."""
    size = self.size if self.is_segmentation else ()
    shapes: dict[str, list] = {LABELS: [batch, *size]}
    for name in self.extra_outputs:
      shapes[name] = (
        _arranged(batch, size, len(self.classes), layout)
        if size
        else [batch, len(self.classes)]
      )
    return shapes

  def describe(self) -> dict[str, Any]:
    """Returns the manifest's "model", and the "input" and "outputs" of its ONNX files."""
    batch = None if self.dynamic_batch else 1
    return {
      "model": {
        "name": self.name, "task": self.task, "network": self.network,
        "stage": self.stage, "step": self.step, "config_sha256": self.config_sha256,
        "weights_sha256": self.weights_sha256, "classes": list(self.classes),
        "palette": palette.colours(self.classes).tolist(), "ignored": _IGNORED,
      },
      **self._ends(batch, self.layout, self.label_dtype),
    }  # fmt: skip

  def describe_saved_model(self) -> dict[str, Any]:
    """Returns the same "input" and "outputs" for SavedModels."""
    return self._ends(None, "nhwc", "int32")

  def _ends(self, batch: int | None, layout: str, label_dtype: str) -> dict[str, Any]:
    shapes = self.output_shapes(batch, layout)
    return {
      "input": {
        "name": INPUT, "dtype": "uint8", "layout": layout,
        "shape": self.image_shape(batch, layout), "channels": self.channels,
        "colour": "RGB" if self.channels == 3 else "grey",
      },
      "outputs": {
        name: {
          "dtype": label_dtype if name == LABELS else "float32",
          "shape": shapes[name],
        }
        for name in shapes
      },
    }  # fmt: skip


def _arranged(batch, size: Sequence[int | None], channels: int, layout: str) -> list:
  return [batch, *size, channels] if layout == "nhwc" else [batch, channels, *size]


def check_writer(name: str) -> None:
  """Raises config.UserError if the package that writes a format is not installed.

  Args:
    name: in WRITERS.
  """
  module, package, remedy = WRITERS[name]
  if importlib.util.find_spec(module) is None:
    raise config_lib.UserError(
      f"The format {name} needs {package}, which is not installed: {remedy}."
    )


def served_name(name: str) -> str:
  """Returns a run's name in a form that is valid as a folder and in a URL."""
  return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._")[:100] or "tfdam"


def config_digest(folder: run_folder.RunFolder) -> str:
  """Returns the SHA-256 of the run's config.json."""
  with open(folder.join("config.json"), "rb") as file:
    return hashlib.sha256(file.read()).hexdigest()


def parse_extra_outputs(words: Sequence[str]) -> tuple[str, ...]:
  """Returns the outputs besides the labels, each once, in the order of EXTRA_OUTPUTS.

  Raises:
    config.UserError: a word is no output.
  """
  for word in words:
    if word not in (LABELS, *EXTRA_OUTPUTS):
      every = (LABELS, *EXTRA_OUTPUTS)
      raise config_lib.UserError(
        f"'{word}' is no output ({', '.join(every)}).{config_lib.nearest(word, every)} Set"
        " --outputs."
      )
  return tuple(name for name in EXTRA_OUTPUTS if name in words)
