"""Ranges for int8: what is seen of activations, and how its ends are cut."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export import calibrate

_IMAGES = [np.random.RandomState(i).randint(0, 256, (1, 3, 5, 7), np.uint8) for i in (1, 2)]


def seen(values):
  values = np.asarray(values, np.float32)
  return calibrate.Seen(values.min(), values.max(), values, None)


def observed(count):
  """What `observe` sees of (image - 100) with about `count` values of both images."""
  graph = helper.make_graph(
    [
      helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
      helper.make_node("Sub", ["floats", "hundred"], ["activation"]),
      helper.make_node("Relu", ["activation"], ["labels"]),
    ],
    "toy",
    [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 3, 5, 7])],
    [helper.make_tensor_value_info("labels", TensorProto.FLOAT, [1, 3, 5, 7])],
    [onnx.numpy_helper.from_array(np.float32(100), "hundred")],
  )
  opsets = [helper.make_opsetid("", 17)]
  model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(calibrate, "_VALUES", count)
    return calibrate.observe(model, ["activation", "labels"], {"labels"}, _IMAGES)


def test_extremes_and_means_are_those_of_all_values():
  found = observed(200)
  values = np.concatenate(_IMAGES).astype(np.float32) - 100
  assert (found["activation"].low, found["activation"].high) == (
    values.min(),
    values.max(),
  )
  assert found["activation"].means is None
  expected = np.maximum(values, 0).mean(axis=(0, 2, 3))
  np.testing.assert_allclose(found["labels"].means, expected, rtol=1e-5)


def test_of_many_values_some_are_kept_from_every_place():
  found = observed(1)["activation"].values  # one, but never fewer than 100 of an image
  every = np.concatenate(_IMAGES).astype(np.float32).ravel() - 100
  assert 105 <= found.size <= 210
  assert set(found) <= set(every)


def test_a_percentile_cuts_what_few_values_reach():
  low, high = calibrate.range_of(
    seen([*np.linspace(-1, 1, 100_000), 50.0, -70.0]), "percentile", is_symmetric=False
  )
  assert -1.01 < low < -0.99
  assert 0.99 < high < 1.01


def test_min_max_cuts_nothing():
  values = seen([-3.0, 0.5, 9.0])
  assert calibrate.range_of(values, "min-max", is_symmetric=False) == (-3.0, 9.0)


@pytest.mark.parametrize("is_symmetric", [False, True])
def test_entropy_cuts_a_far_tail_and_leaves_an_even_spread(is_symmetric):
  random = np.random.RandomState(0)
  tailed = seen([*np.abs(random.normal(size=100_000)), 100.0])
  low, high = calibrate.range_of(tailed, "entropy", is_symmetric)
  assert (low, 3 < high < 15) == (tailed.low, True)
  even = seen(random.uniform(0, 1, 100_000))
  assert calibrate.range_of(even, "entropy", is_symmetric)[1] > 0.9


@pytest.mark.parametrize("method", calibrate.METHODS)
def test_an_activation_that_never_changes_has_a_range(method):
  for value in (0.0, 2.5, -2.5):
    low, high = calibrate.range_of(seen([value] * 1_000), method, is_symmetric=False)
    assert np.isfinite([low, high]).all()
    assert low <= high
