"""Ways to run an exported network, each as a function from image to Answer."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import contract as contract_lib

if TYPE_CHECKING:
  import onnx


class Answer(NamedTuple):
  """A network's outputs for one image.

  Attributes:
    labels: integers [H, W], or [] for classification.
    scores: float32 [H, W, classes], or [classes]: the logits.
    extra: {output: values of the scores' shape}, for the outputs besides the labels.
  """

  labels: np.ndarray
  scores: np.ndarray
  extra: Mapping[str, np.ndarray] = {}


# uint8 [H, W, C] -> Answer.
Backend = Callable[[np.ndarray], Answer]

# Runs a SavedModel in a process that cannot import tfdam, as for users with only
# TensorFlow.
_STRANGER = """
import sys
for name in ("tfdam", "export", "configs", "keras"):
  sys.modules[name] = None
import numpy as np
import tensorflow as tf
model, images, answers, key, served, scores = sys.argv[1:]
signatures = tf.saved_model.load(model).signatures
found = {}
for name, image in np.load(images).items():
  batch = {key: tf.constant(image[np.newaxis])}
  outputs = {**signatures[scores](**batch), **signatures[served](**batch)}
  for output, value in outputs.items():
    found[name + "/" + output] = value.numpy()[0]
np.savez(answers, **found)
"""


def of_function(function) -> Backend:
  """Returns the traced Keras network itself, with which all others are compared."""
  import tensorflow as tf

  def run(image: np.ndarray) -> Answer:
    outputs = function(tf.constant(image[np.newaxis]))
    return Answer(outputs[contract_lib.LABELS][0].numpy(), outputs["logits"][0].numpy())

  return run


def of_session(folder: str, extra_outputs: Sequence[str] = ()) -> Backend:
  """Returns a SavedModel, loaded into a session as TF Serving loads it.

  Args:
    folder: of one version.
    extra_outputs: the outputs that it serves besides the labels.
  """
  served = (contract_lib.SERVING_DEFAULT, contract_lib.INPUT)
  ask = _session(folder, *served, extra_outputs)
  return lambda image: ask(image[np.newaxis], image)


def of_files(folder: str) -> Callable[[bytes, np.ndarray], Answer]:
  """Returns the same SavedModel as a function from an encoded file and its image to Answer.

  The labels are computed from the file, the scores from the image.
  """
  ask = _session(folder, contract_lib.PREDICT_BYTES, contract_lib.BYTES)
  return lambda file, image: ask([file], image)


def _session(folder: str, signature: str, key: str, extra_outputs: Sequence[str] = ()):
  """Returns a function from a signature's input, named `key`, and the image to Answer."""
  import tensorflow as tf

  graph = tf.Graph()
  session = tf.compat.v1.Session(graph=graph)
  with graph.as_default():
    loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
  # Labels from the served signature, logits from the one for comparisons.
  served = loaded.signature_def[signature]
  scores = loaded.signature_def[contract_lib.SCORES]
  fetches = {
    "labels": served.outputs[contract_lib.LABELS].name,
    "scores": scores.outputs["logits"].name,
    "extra": {name: served.outputs[name].name for name in extra_outputs},
  }
  asked, scored = served.inputs[key].name, scores.inputs[contract_lib.INPUT].name

  def ask(sent, image: np.ndarray) -> Answer:
    found = session.run(fetches, {asked: sent, scored: image[np.newaxis]})
    extra = {name: value[0] for name, value in found["extra"].items()}
    return Answer(found["labels"][0], found["scores"][0], extra)

  return ask


def by_a_stranger(folder: str, images: Sequence[np.ndarray]) -> list[Answer]:
  """Runs a SavedModel in a separate process that cannot import tfdam.

  Args:
    folder: of one version.
    images: uint8 [H, W, C] each.

  Raises:
    RuntimeError: the process failed.
  """
  with tempfile.TemporaryDirectory() as place:
    asked, answered = (os.path.join(place, f"{name}.npz") for name in ("in", "out"))
    arrays: Any = {str(i): image for i, image in enumerate(images)}
    np.savez(asked, **arrays)
    arguments = (
      folder, asked, answered, contract_lib.INPUT, contract_lib.SERVING_DEFAULT,
      contract_lib.SCORES,
    )  # fmt: skip
    done = subprocess.run(
      [sys.executable, "-c", _STRANGER, *arguments],
      capture_output=True, text=True, cwd=place, check=False,
    )  # fmt: skip
    if done.returncode:
      raise RuntimeError(
        f"{folder} cannot be loaded without tfdam: {done.stderr.strip()[-1000:]}"
      )
    with np.load(answered) as found:
      return [
        Answer(found[f"{i}/{contract_lib.LABELS}"], found[f"{i}/logits"])
        for i in range(len(images))
      ]


def of_onnx(model: onnx.ModelProto, contract: contract_lib.Contract) -> Backend:
  """Returns an ONNX model in ONNX Runtime on the CPU."""
  import onnxruntime

  from . import to_onnx

  seen, scores, axis = to_onnx.with_scores(model)
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  session = onnxruntime.InferenceSession(
    seen.SerializeToString(), options, providers=["CPUExecutionProvider"]
  )
  return _onnx_backend(session.run, contract, scores, axis)


def answers_of_file(path: str, images: np.ndarray) -> np.ndarray:
  """Labels images with an ONNX file from the disk, in ONNX Runtime on the CPU.

  Args:
    path: of the file.
    images: uint8 [N, ...], in the file's own layout; labelled one at a time.

  Returns:
    Labels [N, ...].
  """
  import onnxruntime

  session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
  wanted, batches = [contract_lib.LABELS], np.split(images, len(images))
  return np.concatenate(
    [session.run(wanted, {contract_lib.INPUT: batch})[0] for batch in batches]
  )


def of_reference(model: onnx.ModelProto, contract: contract_lib.Contract) -> Backend:
  """Returns an ONNX model in ONNX's reference evaluator, which is slow and uses NumPy."""
  from onnx import reference

  from . import to_onnx

  seen, scores, axis = to_onnx.with_scores(model)
  return _onnx_backend(reference.ReferenceEvaluator(seen).run, contract, scores, axis)


def _onnx_backend(
  run_graph, contract: contract_lib.Contract, scores: str, axis: int
) -> Backend:
  # Each once: the scores may be one of the outputs.
  wanted = list(dict.fromkeys((contract_lib.LABELS, scores, *contract.extra_outputs)))

  def run(image: np.ndarray) -> Answer:
    fed = arranged(image[np.newaxis], contract.layout)
    answers = run_graph(wanted, {contract_lib.INPUT: fed})
    found = dict(zip(wanted, answers))
    extra = {name: found[name][0] for name in contract.extra_outputs}
    if contract.layout == "nchw" and contract.is_segmentation:
      extra = {name: np.moveaxis(value, 0, -1) for name, value in extra.items()}
    last = np.moveaxis(found[scores], axis, -1)[0].astype(np.float32)
    return Answer(found[contract_lib.LABELS][0], last, extra)

  return run


def arranged(images: np.ndarray, layout: str) -> np.ndarray:
  """Returns images [B, H, W, C] in a file's layout, "nhwc" or "nchw"."""
  return images if layout == "nhwc" else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
