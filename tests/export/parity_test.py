"""Gates: what passes, and what must not."""

import numpy as np
import pytest

from export import backends, parity
from export import contract as contract_lib

_PASSES = {
  "relative_logit_difference": 1e-6, "label_agreement": 1.0, "worst_image": "a",
  "metric": {"miou": 0.5, "num_images": 4},
}  # fmt: skip


def answer(*scores):
  scores = np.array([scores], np.float32)
  return backends.Answer(scores.argmax(-1), scores)


def test_the_largest_share_of_the_largest_logit_counts():
  reference = {"a": answer(1.0, 4.0), "b": answer(10.0, 0.0)}
  found = parity.compare(reference, {"a": answer(1.0, 3.0), "b": answer(8.0, 0.0)})
  assert found["logit_difference"] == 2.0
  assert found["relative_logit_difference"] == 0.25
  assert (found["worst_image"], found["label_agreement"]) == ("a", 1.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["a", "b"])
def test_a_number_that_is_none_passes_no_gate_wherever_it_stands(wrong, place):
  reference = {name: answer(1.0, 2.0) for name in "ab"}
  answers = {**reference, place: answer(wrong, 2.0)}
  found = parity.compare(reference, answers)
  for gates in (parity.FLOAT32, parity.reduced(0.5, has_metric=True)):
    with pytest.raises(parity.GateFailed, match="a logit differs"):
      parity.check("file", gates, found, None)


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"relative_logit_difference": 2e-4}, "a logit differs by 0.0002"),
    ({"label_agreement": 0.9998}, "99.980 % of the labels"),
    ({"metric": {"miou": 0.4998}}, "0.02 points"),
    ({"metric": {"miou": 0.5002}}, "-0.02 points"),
    ({"metric": {"miou": np.nan}}, "nan"),
  ],
)
def test_float32_must_be_the_same(changes, words):
  reference = {"miou": 0.5, "num_images": 4}
  parity.check("file", parity.FLOAT32, _PASSES, reference)
  with pytest.raises(parity.GateFailed, match=words):
    parity.check("file", parity.FLOAT32, {**_PASSES, **changes}, reference)


def test_outputs_beside_the_labels_belong_to_their_logits():
  scores = np.array([[0.0, 0.0]], np.float32)
  right = backends.Answer(scores.argmax(-1), scores, {"probabilities": scores + 0.5})
  found = parity.compare({"a": right}, {"a": right})
  assert found["extra_difference"] == 0.0
  for extra in (scores + 0.49, scores.T + 0.5, scores * np.nan):
    found = parity.compare({"a": right}, {"a": right._replace(extra={"logits": extra})})
    with pytest.raises(parity.GateFailed, match="logits or probabilities"):
      parity.check("file", parity.FLOAT32, {**_PASSES, **found}, None)


def test_fewer_bits_may_cost_what_the_flag_allows_and_may_gain():
  reference = {"miou": 0.5, "num_images": 4}
  gates = parity.reduced(0.01, has_metric=True)
  for miou in (0.491, 0.6):
    parity.check("file", gates, {**_PASSES, "metric": {"miou": miou}}, reference)
  with pytest.raises(parity.GateFailed, match="--max_metric_drop"):
    parity.check("file", gates, {**_PASSES, "metric": {"miou": 0.489}}, reference)


@pytest.mark.parametrize(
  ("precision", "count", "most"),
  [
    ("float32", 32, 0), ("float16", 32, 1), ("int8", 32, 1),
    ("float32", 10_000, 1), ("float16", 10_000, 10), ("int8", 10_000, 200),
    ("int8_tensorrt", 10_000, 200),
  ],
)  # fmt: skip
def test_a_written_file_may_differ_from_its_graph_as_much_as_the_client_lets_it(
  precision, count, most
):
  expected = np.zeros(count, np.int32)
  labels = expected.copy()
  labels[:most] = 1
  parity.check_golden("file", precision, labels, expected)
  labels[: most + 1] = 1
  with pytest.raises(parity.GateFailed, match="otherwise than the graph"):
    parity.check_golden("file", precision, labels, expected)


def test_images_without_contrast_are_no_test_where_norms_see_them_alone():
  contract = contract_lib.Contract(
    name="net", task="segmentation", network="erfnet", stage="adapted", step=1,
    config_sha256="0", classes=("a", "b"), height=8, width=8, channels=3,
  )  # fmt: skip
  assert {"all 0", "all 255"} <= set(parity.probes(contract, None, 0.7))
  assert set(parity.probes(contract, None, 1.0)) == {"random 0", "random 1"}
