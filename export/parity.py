"""Compares exported files with the Keras network.

Every export is checked here. If a gate fails, no file gets its final name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfdam import config as config_lib
from tfdam import progress
from tfdam.metrics import confusion
from tfdam.vocabulary import Task

from . import backends
from . import contract as contract_lib
from . import samples as samples_lib

# ONNX's reference evaluator uses NumPy and is slow: only for images of so many pixels.
_REFERENCE_PIXELS = 4_096
# {task: number of random images, of real ones}. Classification gives one label per image,
# so it compares more images.
_NUM_PROBES: dict[str, tuple[int, int]] = {
  Task.SEGMENTATION: (2, 4),
  Task.CLASSIFICATION: (16, 32),
}
# If norms take a larger share of an image's own moments, images without contrast are no
# test: such norms amplify mere rounding errors.
_MAX_FLAT_SHARE = 0.9


class GateFailed(config_lib.UserError):
  """An exported file does not compute what the network computes."""

  exit_status = 3


@dataclasses.dataclass(frozen=True)
class Gates:
  """The limits that an export must keep.

  Attributes:
    logit_difference: the largest difference of a logit, as a share of the largest logit.
    label_agreement: the share of labels that must be equal.
    extra_difference: the largest difference between other outputs and the same values
      computed from the file's own logits, as a share of the largest value; an absolute
      difference if that value is below 1.
    metric_drop: by how much the task's metric may fall, a fraction; None if it is not
      checked.
  """

  logit_difference: float
  label_agreement: float
  extra_difference: float
  metric_drop: float | None


# Sums in another order differ by about 1e-6. The metric may differ by 0.01 points either
# way.
FLOAT32 = Gates(1e-4, 0.9999, 1e-5, 1e-4)
# For networks that amplify rounding errors. If the graph resizes images, runtimes compute
# the sample positions in float32, which changes noise images by up to 1e-4. And batch norms
# that use each image's own moments divide the rounding errors of an image without contrast
# by its small deviation: up to 4e-4 with a share of 0.7 (DRN, an all-white image).
ENLARGED = Gates(1e-3, 0.9999, 1e-5, 1e-4)


def reduced(max_metric_drop: float, has_metric: bool) -> Gates:
  """Returns the gates of a file with fewer bits.

  Args:
    max_metric_drop: by how much the metric may fall, a fraction.
    has_metric: whether it can be measured; if not, nine labels of ten must be equal.
  """
  # float16 resolves 1e-3, and a softmax in float16 errs by ten times as much.
  return Gates(np.inf, 0.0 if has_metric else 0.9, 1e-2, max_metric_drop)


def probes(
  contract: contract_lib.Contract,
  real: samples_lib.Samples | None,
  image_share: float = 0.0,
) -> dict[str, np.ndarray]:
  """Returns the images for comparisons, {name: uint8 [H, W, C]}.

  Args:
    contract: decides the images' shape.
    real: images of the target, if there are any.
    image_share: the share of an image's own moments in the network's norms, 0 to 1.
  """
  random = np.random.RandomState(0)
  num_random, num_real = _NUM_PROBES[contract.task]
  shape = (contract.height, contract.width, contract.channels)
  found = {
    f"random {i}": random.randint(0, 256, shape, dtype=np.uint8) for i in range(num_random)
  }
  if image_share <= _MAX_FLAT_SHARE:
    found["all 0"] = np.zeros(shape, np.uint8)
    found["all 255"] = np.full(shape, 255, np.uint8)
  if real:
    for i in real.spread(num_real):
      found[f"real {i}"] = real.read_image(i)
  if contract.dynamic_size:
    # Sides that no stride divides; one is about half as long.
    other = (contract.height // 2 + 5, contract.width + 3, contract.channels)
    found["another size"] = random.randint(0, 256, other, dtype=np.uint8)
  return found


def golden(
  contract: contract_lib.Contract, probes: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
  """Returns the probes that the client labels again: real ones, if there are any."""
  for kind in ("real", "random"):
    found = [image for name, image in probes.items() if name.startswith(kind)]
    if found:
      break
  return found[:1] if contract.is_segmentation else found


def check_golden(
  what: str, precision: str, labels: np.ndarray, expected: np.ndarray
) -> None:
  """Raises GateFailed if the written file gives other labels than the graph in memory.

  Args:
    what: the file, for the message.
    precision: in contract.PRECISIONS.
    labels: [N, ...], from the file.
    expected: the same, from the graph.
  """
  from . import client_onnx  # imported here because it imports ONNX Runtime

  differing = np.mean(labels != expected)
  allowed = client_onnx.allowed_to_differ("cpu", precision, labels.size)
  if differing > allowed:
    raise GateFailed(
      f"{what}: the written file gives {100 * differing:.3g} % of its golden images' labels"
      f" otherwise than the graph that was compared; at most {100 * allowed:.3g} % may be."
      " Nothing was exported. "
      + (
        "Report it with export's log."
        if precision == "float32"
        else "Set another --precision, and report it with export's log."
      )
    )


def has_reference(contract: contract_lib.Contract, operators: Mapping[str, int]) -> bool:
  """Whether ONNX's reference evaluator can check a file in reasonable time.

  Args:
    contract: decides the images' size.
    operators: {operator: count} of the file. A Resize excludes it: that of onnx 1.18 fails
      on the empty region of interest that converters write.
  """
  pixels = contract.height * contract.width
  return pixels <= _REFERENCE_PIXELS and not operators.get("Resize")


def compare(
  reference: Mapping[str, backends.Answer], answers: Mapping[str, backends.Answer]
) -> dict[str, Any]:
  """Compares two backends over all images.

  Args:
    reference: {image: the Keras network's answer}.
    answers: {image: the backend's answer}.

  Returns:
    "logit_difference": the largest absolute difference; "relative_logit_difference": the
    largest one as a share of the largest logit of the same image; "label_agreement": the
    share of equal labels; "worst_image": the one with the largest relative difference;
    "num_images"; "extra_difference": the largest of other outputs, if there are any.
  """
  largest, worst, worst_image = 0.0, 0.0, ""
  equal = total = 0
  for name, expected in reference.items():
    found = answers[name]
    difference = float(np.max(np.abs(found.scores - expected.scores)))
    scale = max(float(np.max(np.abs(expected.scores))), 1e-30)
    share = difference / scale
    # A nan is worse than any number, and stays the worst.
    if not worst_image or (worst == worst and not share <= worst):
      worst, worst_image = share, name
    largest = float(np.maximum(largest, difference))  # keeps a nan
    equal += int(np.sum(found.labels == expected.labels))
    total += expected.labels.size
  extra = [_extra_difference(answer) for answer in answers.values() if answer.extra]
  return {
    "logit_difference": largest, "relative_logit_difference": worst,
    "label_agreement": equal / total, "worst_image": worst_image,
    "num_images": len(reference), **({"extra_difference": max(extra)} if extra else {}),
  }  # fmt: skip


def _extra_difference(answer: backends.Answer) -> float:
  """Compares other outputs with the logits' own; infinite if shapes differ."""
  shifted = np.exp(answer.scores - answer.scores.max(axis=-1, keepdims=True))
  expected = {
    "logits": answer.scores,
    "probabilities": shifted / shifted.sum(axis=-1, keepdims=True),
  }
  worst = 0.0
  for name, value in answer.extra.items():
    if value.shape != expected[name].shape or not np.all(np.isfinite(value)):
      return np.inf
    scale = max(1.0, float(np.max(np.abs(expected[name]))))
    worst = max(worst, float(np.max(np.abs(value - expected[name]))) / scale)
  return worst


def metric(
  backend: backends.Backend,
  samples: samples_lib.Samples,
  indices: Sequence[int],
  contract: contract_lib.Contract,
  title: str,
) -> dict[str, Any]:
  """Measures the task's metric of a backend on labelled images of the contract's size.

  Returns:
    {"accuracy" or "miou": a fraction, "num_images"}.

  Raises:
    config.UserError: none of the images has a label that counts.
  """
  assert samples.read_label is not None
  matrix = confusion.Confusion(len(contract.classes))
  ignored = 255 if contract.is_segmentation else None
  with progress.bar(title, 0, len(indices), "images") as shown:
    for done, i in enumerate(indices, 1):
      labels = np.atleast_1d(samples.read_label(i))
      predicted = np.atleast_1d(backend(samples.read_image(i)).labels)
      matrix.add(labels, predicted.astype(np.int64), ignored)
      shown.update(done, {})
  if not matrix.counts.any():
    raise config_lib.UserError(
      f"None of the {len(indices)} images to score on has a labelled pixel. Set"
      " --metric_images=0 to take all, or --data_root to a folder without labels."
    )
  value = matrix.scores()["miou"] if contract.is_segmentation else matrix.accuracy()
  return {Task(contract.task).headline: value, "num_images": len(indices)}


def check(
  what: str, gates: Gates, found: Mapping[str, Any], reference: Mapping[str, Any] | None
) -> None:
  """Raises GateFailed if a comparison or a metric does not pass.

  Args:
    what: the file, for the message.
    gates: the limits.
    found: what `compare` returned, with `metric`'s result under "metric", if measured.
    reference: the Keras network's metric, if measured.
  """
  difference = found["relative_logit_difference"]
  if not (np.isfinite(difference) and difference <= gates.logit_difference):
    raise GateFailed(
      f"{what}: a logit differs by {difference:.3g} of the largest one on"
      f" '{found['worst_image']}'; expected at most {gates.logit_difference:g}. Nothing was"
      " exported. Report it with export's log."
    )
  is_exact = gates.logit_difference < np.inf
  if found["label_agreement"] < gates.label_agreement:
    raise GateFailed(
      f"{what}: {100 * found['label_agreement']:.3f} % of the labels are the Keras"
      f" network's; expected at least {100 * gates.label_agreement:g} %. Nothing was"
      " exported. "
      + ("Report it with export's log." if is_exact else "Set another --precision.")
    )
  extra = found.get("extra_difference", 0.0)
  if not extra <= gates.extra_difference:
    raise GateFailed(
      f"{what}: logits or probabilities are {extra:.3g} from what its labels are taken of;"
      f" expected at most {gates.extra_difference:g}. Nothing was exported. Leave them out"
      " of --outputs, and report it with export's log."
    )
  if reference is None or gates.metric_drop is None:
    return
  name = next(iter(reference))
  drop = reference[name] - found["metric"][name]
  if not (abs(drop) if is_exact else drop) <= gates.metric_drop:  # also true for a nan
    raise GateFailed(
      f"{what}: {name} is {100 * found['metric'][name]:.2f} %, {100 * drop:.2f} points"
      f" below the Keras network's {100 * reference[name]:.2f} %; expected at most"
      f" {100 * gates.metric_drop:g}. Nothing was exported."
      + (
        " Report it with export's log."
        if is_exact
        else " Set --max_metric_drop, or another --precision."
      )
    )
