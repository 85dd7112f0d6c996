"""What is corrected after rounding to int8, and what is not told."""

import logging

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import calibrate, reduce

CHANNELS, GROUPS = 4, 2
_SHAPE = (6, CHANNELS // GROUPS, 3, 3)  # three filters a group
RANDOM = np.random.RandomState(0)
KERNEL = RANDOM.normal(size=_SHAPE).astype(np.float32)
BIAS = RANDOM.normal(size=6).astype(np.float32)
MEANS = RANDOM.uniform(1.0, 2.0, CHANNELS)
SCALE = np.full(6, 0.05, np.float32)
STEPS = np.rint(KERNEL / 0.05).astype(np.int8)


def graph(nodes, tensors):
  made = helper.make_graph(
    nodes, "grouped",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, 8, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    [numpy_helper.from_array(array, name) for name, array in tensors.items()],
  )  # fmt: skip
  return helper.make_model(made)


def conv(*inputs):
  return helper.make_node("Conv", list(inputs), ["y"], "conv", group=GROUPS)


def test_biases_of_grouped_convolutions_are_corrected_group_by_group():
  model = graph([conv("x", "kernel", "bias")], {"kernel": KERNEL, "bias": BIAS})
  rounded = graph(
    [
      helper.make_node("DequantizeLinear", ["steps", "scale"], ["near"], axis=0),
      conv("x", "near", "bias"),
    ],
    {"steps": STEPS, "scale": SCALE, "bias": BIAS},
  )
  seen = {"x": calibrate.Seen(np.float32(0), np.float32(0), np.zeros(0), MEANS)}
  reduce._correct_biases(rounded, model, seen)
  (corrected,) = (
    numpy_helper.to_array(t) for t in rounded.graph.initializer if t.name == "bias"
  )
  lost = KERNEL - 0.05 * STEPS.astype(np.float32)
  for i in range(6):
    # Filters 0 to 2 take channels 0 and 1; 3 to 5 take 2 and 3.
    means = MEANS[:2] if i < 3 else MEANS[2:]
    wanted = BIAS[i] + sum(lost[i, j].sum() * means[j] for j in range(2))
    np.testing.assert_allclose(corrected[i], wanted, rtol=1e-5)


@pytest.mark.parametrize(
  ("bounds", "stays_float"),
  [
    ((0, 6), False), ((-1, 1), False), ((None, 6), False), ((0, None), False),
    ((1, 6), True), ((-6, -1), True), ((None, -1), True),
  ],
)  # fmt: skip
def test_clips_become_ends_of_ranges_only_if_those_may_contain_zero(bounds, stays_float):
  names = ["" if bound is None else f"bound{bound}" for bound in bounds]
  node = helper.make_node("Clip", ["x", *names], ["y"], "clip")
  tensors = {f"bound{b}": np.float32(b) for b in bounds if b is not None}
  assert reduce._one_sided(graph([node], tensors)) == ["clip"] * stays_float


def test_single_channels_are_not_told_and_warnings_are(caplog):
  root = logging.getLogger()
  with caplog.at_level(logging.INFO):
    root.handlers.append(caplog.handler)
    try:
      with reduce._without_details():
        for level in (logging.INFO, logging.WARNING):
          record = logging.LogRecord("", level, "/qdq_quantizer.py", 1, "told", (), None)
          root.handle(record)
    finally:
      root.handlers.remove(caplog.handler)
  assert {record.levelno for record in caplog.records} == {logging.WARNING}
