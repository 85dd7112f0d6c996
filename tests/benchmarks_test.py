"""What the benchmarks print, apart from the times."""

import math

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import curriculum, erfnet_step, lenet_step, stacks, table
from tfdam.runs import lessons as lessons_lib


def test_the_floor_counts_every_matrix_product():
  """Worked out by hand from LeNet's layer table and the discriminators' widths."""
  lenet = 288_000 + 1_600_000 + 400_000 + 5_000
  target = 3 * lenet - 288_000
  fc3, fc4 = 500 * 500 + 500 * 500 + 500, 10 * 500 + 500 * 500 + 500
  # Forward and weights' gradients twice (both domains), hidden gradients without the first
  # layer twice, and once the whole way down for the target network.
  players = sum(5 * d + 2 * (500 * 500 + 500) for d in (fc3, fc4))
  assert lenet_step.floor_flops(keeps_source_taps=True) == 256 * (target + players)
  assert lenet_step.floor_flops(keeps_source_taps=False) == 256 * (target + players + lenet)


def test_the_products_alone_are_those_of_the_floor():
  with tf.Graph().as_default() as graph:
    for product in lenet_step.products():
      product()

  def convolution(kernel, outputs):
    return math.prod(kernel.shape) * math.prod(outputs.shape[:3])

  pairs = {
    # (m k)(k n)(m n) is the square of all three.
    "MatMul": lambda a, b, c: math.isqrt(math.prod([*a.shape, *b.shape, *c.shape])),
    "Conv2D": lambda _, kernel, outputs: convolution(kernel, outputs),
    "Conv2DBackpropFilter": lambda _, __, outputs, kernel: convolution(kernel, outputs),
    "Conv2DBackpropInput": lambda _, kernel, outputs, __: convolution(kernel, outputs),
  }
  counted = [
    pairs[op.type](*op.inputs, *op.outputs)
    for op in graph.get_operations()
    if op.type in pairs
  ]
  assert 2 * sum(counted) == lenet_step.floor_flops(keeps_source_taps=True)


def test_ratios_are_of_medians():
  rounds = {
    "ours_ms": [20.0, 10.0, 90.0], "ours_source_each_step_ms": [25.0],
    "loop_ms": [25.0], "torch_ms": [50.0, 60.0, 40.0], "products_ms": [16.0],
    "gemm_gflop_per_s": [300.0],
  }  # fmt: skip
  ratios = lenet_step.summary(rounds)["ratios"]
  assert ratios["times_as_fast_as_torch"] == 2.5
  assert ratios["loop_rate_over_bare_rate"] == 0.8
  assert ratios["products_share_of_step"] == 0.8
  assert ratios["products_alone_times_as_fast_as_torch"] == 3.125
  floor_ms = lenet_step.floor_flops(True) / 300e9 * 1e3
  assert abs(ratios["share_of_floor"] - floor_ms / 20.0) < 1e-12


def run(name, seed, **stages):
  pair, recipe, method = name.split("-")
  return {
    "name": name, "recipe": recipe, "method": method, "seed": seed,
    "stages": {
      stage: {split: {"accuracy": value} for split in ("test", "transductive")}
      for stage, value in stages.items()
    },
  }  # fmt: skip


def test_networks_with_trained_weights_have_rows_of_their_own():
  plain = run("streets_to_camvid-by_image-gam", 0, gaussian=0.2, adapted=0.3)
  runs = [plain, {**plain, "name": "streets_to_camvid-gam-lite0-by_image"}]
  runs[1]["stages"] = run("a-b-gam", 0, gaussian=0.4, adapted=0.5)["stages"]
  rows = table.markdown(runs)["streets to camvid"][2:]
  assert [row.split(" | ")[1] for row in rows] == 2 * ["by_image"] + 2 * ["lite0,by_image"]
  assert ["40.00" in row for row in rows] == [False, False, True, False]


def test_the_table_has_a_row_a_method_and_all_its_seeds():
  results = [
    run("usps_to_mnist-release-gam", 1, source_only=0.6, gaussian=0.7, adapted=0.9),
    run("usps_to_mnist-release-gam", 0, source_only=0.7, gaussian=0.7, adapted=0.8),
    run("usps_to_mnist-release-supervised", 0, source_only=0.99),
    {
      **run("usps_to_mnist-best-gam", 0, source_only=0.8, gaussian=0.8, adapted=0.985),
      "last_step": {split: {"accuracy": 0.98} for split in ("test", "transductive")},
    },
    run("usps_to_mnist-release-adda", 0, source_only=0.7, gaussian=0.7, adapted=0.85),
  ]
  assert table.markdown(results)["usps to mnist"][2:] == [
    "| source_only | release |  | 0, 1 | 65.00 (60.00 to 70.00) | 65.00 (60.00 to 70.00)"
    " | 70.7 |",
    "| supervised | release |  | 0 | 99.00 | 99.00 | 99.9 |",
    "| gaussian | release |  | 0, 1 | 70.00 (70.00 to 70.00) | 70.00 (70.00 to 70.00) |  |",
    "| adda | release | last step | 0 | 85.00 | 85.00 | 97.2 ± 0.4 |",
    "| gam | release | last step | 0, 1 | 85.00 (80.00 to 90.00) | 85.00 (80.00 to 90.00) |"
    " 98.0 ± 0.5 |",
    "| source_only | best |  | 0 | 80.00 | 80.00 |  |",
    "| gaussian | best |  | 0 | 80.00 | 80.00 |  |",
    "| gam | best | last step | 0 | 98.00 | 98.00 |  |",
    "| gam | best | average | 0 | 98.50 | 98.50 |  |",
  ]


def test_the_table_leaves_out_what_is_no_result_and_says_so(capsys):
  whole = run("usps_to_mnist-release-gam", 0, source_only=0.6, gaussian=0.7, adapted=0.9)
  unlabelled = run("usps_to_mnist-release-adda", 0, source_only=0.6, adapted=0.9)
  unlabelled["stages"]["adapted"] = {}
  results = [
    whole,
    whole,  # named twice
    run("usps_to_mnist-release-gam", 1, source_only=0.5, gaussian=0.6),  # killed
    run("usps_to_mnist-release-gam", 0, source_only=0.6, gaussian=0.7, adapted=0.8),
    unlabelled,
  ]
  rows = table.markdown(results)["usps to mnist"][2:]
  assert rows[-1].startswith("| gam | release | last step | 0 | 90.00 |")
  assert len(rows) == 3
  assert capsys.readouterr().err.splitlines() == [
    "usps_to_mnist-release-gam, seed 1: left out: it has not finished adapted.",
    "usps_to_mnist-release-gam, seed 0: its gam is left out: another run of this seed has"
    " other scores.",
    "usps_to_mnist-release-adda, seed 0: left out: its target has no labelled test split.",
  ]


def test_a_score_that_is_null_counts_in_no_mean():
  runs = [run("own-release-gaussian", i, source_only=0.6, gaussian=0.7) for i in range(2)]
  runs[0]["stages"]["gaussian"]["test"]["accuracy"] = None
  [line] = table.markdown(runs)["own"][2:]
  assert line == "| gaussian | release |  | 0, 1 | 70.00 | 70.00 (70.00 to 70.00) |  |"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"name": "streets"}'])
def test_the_table_names_a_file_that_is_no_result(tmp_path, content):
  path = tmp_path / "results.json"
  if content is not None:
    path.write_text(content)
  with pytest.raises(SystemExit, match=str(path)):
    table.main([str(path)])


def test_scenes_have_a_table_of_their_own():
  scores = {"miou": 0.25, "pixel_accuracy": 0.7, "class_accuracy": 0.4}
  stages = {
    stage: {"test": {**scores, "miou": miou}, "transductive": {"miou": 0.3}}
    for stage, miou in (("source_only", 0.1), ("gaussian", 0.2), ("adapted", 0.25))
  }
  results = [
    {
      "name": f"streets-{method}", "recipe": recipe, "method": method, "seed": 3,
      "stages": stages,
    }
    for recipe, method in (
      ("by_image", "gam"), ("segmentation", "best"), ("segmentation", "gam"),
      ("mine", "adda"),
    )
  ]  # fmt: skip
  assert table.markdown(results)["streets"][2:] == [
    "| source_only | segmentation | 3 | 10.00 | 70.00 | 40.00 | 30.00 |",
    "| gaussian | segmentation | 3 | 20.00 | 70.00 | 40.00 | 30.00 |",
    "| gam | segmentation | 3 | 25.00 | 70.00 | 40.00 | 30.00 |",
    "| best | segmentation | 3 | 25.00 | 70.00 | 40.00 | 30.00 |",
    "| source_only | by_image | 3 | 10.00 | 70.00 | 40.00 | 30.00 |",
    "| gaussian | by_image | 3 | 20.00 | 70.00 | 40.00 | 30.00 |",
    "| gam | by_image | 3 | 25.00 | 70.00 | 40.00 | 30.00 |",
    "| adda | mine | 3 | 25.00 | 70.00 | 40.00 | 30.00 |",
  ]


def test_erfnets_floor_counts_products_by_hand():
  """One image of 8x8: 4, 2 and 1 pixels a side after the downsamplers."""
  forward = 4 * 4 * 27 * 13 + 2 * 2 * 144 * 48 + 2 * 2 * 20 * 3 * 64**2
  forward += 576 * 64 + 32 * 3 * 128**2 + 128 * 19
  assert erfnet_step.forward_flops(8, 8, 3) == 3 * 2 * forward
  players = 0
  for channels, locations in ((64, 4), (128, 1), (128, 1), (19, 1)):
    first, later = channels * 128, 128 * 64 + 64
    # Both domains forward, both for the kernels' gradients, both through the later layers,
    # and the target's way back to its tap.
    players += locations * (4 * (first + later) + 2 * later + first + later)
  # Twice forward, gradients of kernels, and of inputs but the image's.
  networks = 4 * forward - 4 * 4 * 27 * 13
  assert erfnet_step.step_flops(8, 8, 3) == 3 * 2 * (networks + players)


def test_erfnets_shares_of_the_floor_are_of_medians():
  rounds = {
    "step_ms": [300.0], "torch_step_ms": [600.0], "forward_ms": [200.0, 100.0, 400.0],
    "torch_forward_ms": [300.0], "gemm_gflop_per_s": [200.0],
  }  # fmt: skip
  ratios = erfnet_step.summary(rounds)["ratios"]
  assert ratios["step_times_as_fast_as_torch"] == 2.0
  assert ratios["forward_times_as_fast_as_torch"] == 1.5
  floor_ms = erfnet_step.step_flops(128, 256, 4) / 200e9 * 1e3
  assert abs(ratios["step_share_of_floor"] - floor_ms / 300.0) < 1e-12


def test_stacks_are_compared_by_their_medians():
  rounds = {"tf215/a_ms": [10.0, 20.0, 90.0], "tf221/a_ms": [30.0, 10.0, 30.0]}
  figures = stacks.summary(rounds, ["tf215", "tf221"])
  assert figures["ratios"] == {"a_ms, tf221 by tf215": 1.5}


def test_the_curriculums_models_are_scored_beside_guesses():
  """Superpixels whose features are their class; images with much of class 0, or little."""
  classes = [np.array([0, 0, 0, 1]), np.array([0, 1, 1, -1])]
  features = [np.eye(2)[each] for each in classes]  # class -1 looks like the last one
  shares = np.array([[0.75, 0.25], [0.25, 0.75]])
  known = np.concatenate(classes)
  lessons = lessons_lib.Lessons(
    of_images=shares, shares=shares,
    of_superpixels=np.concatenate(features)[known >= 0], classes=known[known >= 0],
  )  # fmt: skip
  target = curriculum.Target(shares, shares, features, classes)
  guesses, models = curriculum.scores(lessons, target, 2, 0.5, [1e-3])
  assert guesses["l2"] is None
  assert math.isclose(guesses["error_of_shares"], 0.5)
  assert math.isclose(guesses["superpixels"], 4 / 7)  # the three that are of class 1 miss
  assert models["superpixels"] == models["landmarks"] == 1.0
  assert models["error_of_shares"] < 0.05
