"""Makes the tables of docs/results/speed.md and stacks.md from the files of benchmarks.

Each function takes the contents of files in benchmarks/results/, and returns lines of
Markdown.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Content = Mapping[str, Any]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
  lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
  return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _number(value: float | None, digits: int = 0) -> str:
  return "not run" if value is None else f"{value:,.{digits}f}"


def _percent(share: float) -> str:
  return f"{100 * share:.0f} %"


def lenet_step(avx512: Content, avx2: Content) -> list[str]:
  """An adaptation step of LeNet on two machines, beside PyTorch and the floor."""
  files = (avx512, avx2)
  rows = [
    ("tfdam, source activations kept", "median", "ours_ms", 2),
    ("tfdam, source network at every step", "median", "ours_source_each_step_ms", 2),
    ("tfdam, the whole loop with data, logging and checkpoints", "median", "loop_ms", 2),
    ("PyTorch, source network at every step", "median", "torch_ms", 2),
    ("TensorFlow's products alone, source activations kept", "median", "products_ms", 2),
    ("floor, source activations kept", "ratios", "floor_ms", 2),
    ("times as fast as PyTorch", "ratios", "times_as_fast_as_torch", 1),
    ("the same for equal work", "ratios", "times_as_fast_source_each_step", 1),
  ]
  cells = [
    [title, *(_number(file[part].get(name), digits) for file in files)]
    for title, part, name, digits in rows
  ]
  shares = [_percent(file["ratios"]["share_of_floor"]) for file in files]
  rates = [f"{file['median']['gemm_gflop_per_s']:.0f} GFLOP/s" for file in files]
  return _table(
    ["ms a step", rates[0], f"AVX2, {rates[1]}"], [*cells, ["share of the floor", *shares]]
  )


def erfnet_step(file: Content) -> list[str]:
  """Adaptation step and forward pass of the full ERFNet encoder."""
  rows = []
  for title, name in (("adaptation step, ms", "step"), ("forward pass, ms", "forward")):
    torch = "torch_step_ms" if name == "step" else "torch_forward_ms"
    rows.append(
      [
        title,
        _number(file["median"][f"{name}_ms"]),
        _number(file["median"][torch]),
        _number(file["ratios"][f"{name}_floor_ms"]),
        _number(file["ratios"][f"{name}_times_as_fast_as_torch"], 2),
        _percent(file["ratios"][f"{name}_share_of_floor"]),
      ]
    )
  columns = ["", "tfdam", "PyTorch", "floor", "times as fast", "share of the floor"]
  return _table(columns, rows)


def lite0_step(file: Content) -> list[str]:
  """Adaptation step of EfficientNet-Lite0 with its head."""
  median = file["median"]
  times = _number(file["ratios"]["times_as_fast_as_torch"], 2)
  row = [_number(median[name]) for name in ("step_ms", "torch_step_ms")]
  return _table(
    ["", "tfdam", "PyTorch", "times as fast"], [["adaptation step, ms", *row, times]]
  )


def curriculum(files: Sequence[Content]) -> list[str]:
  """The curriculum's simple models by penalty; means over the files' seeds."""
  by_penalty = zip(*(file["rows"] for file in files))
  rows = []
  for same in by_penalty:
    penalty = same[0]["l2"]
    cells = ["no model" if penalty is None else f"{penalty:g}"]
    for name in ("error_of_shares", "superpixels", "landmarks"):
      cells.append(f"{100 * statistics.fmean(row[name] for row in same):.1f}")
    rows.append(cells)
  columns = ["penalty", "shares' error", "superpixels right", "landmarks right"]
  return _table(columns, rows)


def gpu_steps(lenet: Content, erfnet: Content) -> list[str]:
  """Both steps on a GPU."""
  median, ratios = lenet["median"], lenet["ratios"]
  torch = _number(median["torch_ms"], 1)
  rows = [
    ["LeNet, source activations kept", _number(median["ours_ms"], 1), torch,
     _number(ratios["times_as_fast_as_torch"], 1)],
    ["LeNet, source network at every step", _number(median["ours_source_each_step_ms"], 1),
     torch, _number(ratios["times_as_fast_source_each_step"], 1)],
    ["LeNet, the whole loop", _number(median["loop_ms"], 1), "", ""],
  ]  # fmt: skip
  for title, name in (
    ("ERFNet, adaptation step at 128x256", "step"),
    ("ERFNet, forward pass at 512x1024", "forward"),
  ):
    rows.append(
      [
        title,
        *(_spread(erfnet, f"{start}{name}_ms") for start in ("", "torch_")),
        _number(erfnet["ratios"][f"{name}_times_as_fast_as_torch"], 2),
      ]
    )
  return _table(["ms", "tfdam", "PyTorch", "times as fast"], rows)


def _spread(file: Content, name: str) -> str:
  """A median, and the range over rounds."""
  rounds = file["rounds"][name]
  return f"{statistics.median(rounds):.1f} ({min(rounds):.1f} to {max(rounds):.1f})"


def input_pipeline(file: Content) -> list[str]:
  """Images a second of loaders, and of the step."""
  titles = {
    "streets": "default run",
    "streets_to_camvid": "streets to CamVid",
    "carla_to_camvid": "CARLA to CamVid",
  }
  names = ("from_files", "from_memory", "step")
  rows = [
    [title, *(_number(file["configs"][config][name]) for name in names)]
    for config, title in titles.items()
  ]
  return _table(
    ["images a second", "drawn or decoded anew", "kept in memory", "the step"], rows
  )


def matching_cost(by_hand: Content) -> list[str]:
  """Gaussian matching of a ResNet50 beside forward passes."""
  rows = []
  for row in by_hand["matching_cost"]["rows"]:
    cells = [f"{row['matching_s']} s"]
    for name in ("layer_by_layer", "compiled"):
      cells.append(f"{row[f'{name}_s']} s: {row[f'times_{name}']} times")
    rows.append([_number(row["images"]), str(row["rounds"]), *cells])
  return _table(
    [
      "images per domain",
      "rounds",
      "matching",
      "forward, layer by layer",
      "forward, compiled",
    ],
    rows,
  )


def inference(file: Content) -> list[str]:
  """Milliseconds an image of the exported network on a CPU."""
  rows = []
  for one in file["candidates"].values():
    version = next(iter(one["versions"].values())).split("-")[0].split("+")[0]
    rows.append(
      [
        f"{one['title']} ({version})",
        _number(one["latency_ms"]["host"]["p50"]),
        _share(file, one["title"]),
        _number(one["peak_resident_mb"]),
      ]
    )
  floor = file["floor"]
  rows.append([
    f"floor: {floor['gflop']:.1f} GFLOP at {floor['gemm_gflop_per_s']:.0f} GFLOP/s",
    _number(floor["ms"]), "", "",
  ])  # fmt: skip
  return _table(["", "ms", "share of the floor", "peak MB"], rows)


def gpu_inference(file: Content) -> list[str]:
  """The same on a GPU, with images in host memory and on the GPU."""
  rows = []
  for one in file["candidates"].values():
    version = next(iter(one["versions"].values())).split("+")[0]
    times = [_number(one["latency_ms"][at]["p50"], 1) for at in ("host", "resident")]
    rows.append([f"{one['title']} ({version})", *times, _share(file, one["title"])])
  floor = file["floor"]
  rate = floor["gemm_gflop_per_s"] / 1000
  rows.append([
    f"floor: {floor['gflop']:.1f} GFLOP at {rate:.1f} TFLOP/s", _number(floor["ms"], 2),
    "", "",
  ])  # fmt: skip
  return _table(["", "ms", "in buffers on the GPU, ms", "share of the floor"], rows)


def _share(file: Content, title: str) -> str:
  """The share of the floor; empty for other arithmetic than the floor's."""
  share = file["ratios"].get(f"share of floor, {title}")
  return "" if share is None else _percent(share)


def precision_times(first: Content, again: Content) -> list[str]:
  """Precisions of one network on a CPU with VNNI, measured twice."""
  rows = []
  for name in first["median"]:
    ratio = f"{name} times as fast as float32"
    ratios = [
      f"{file['ratios'][ratio]:.2f}" for file in (first, again) if ratio in file["ratios"]
    ]
    labels = first["equal_labels"].get(name)
    rows.append([
      name, _number(first["median"][name]), _number(again["median"][name]),
      ", ".join(ratios), "" if labels is None else f"{100 * labels:.1f}",
    ])  # fmt: skip
  return _table(["", "ms", "again", "times as fast as float32", "labels equal, %"], rows)


def streets_precisions(file: Content, by_hand: Content) -> list[str]:
  """MIoU of the default run's exports."""
  measured = {
    name.rpartition(", ")[2]: 100 * parity["metric"]["miou"]
    for name, parity in file["parity"].items()
    if "metric" in parity
  }
  hand = by_hand["streets_int8"]
  rows = [
    ["float32", f"{measured['ONNX Runtime']:.2f}", ""],
    ["int8", f"{measured['int8']:.2f}", f"{hand['equal_labels']['int8']}"],
  ]
  for title, name in (
    ("the same file under OpenVINO", "int8_openvino"),
    ("int8 without corrected biases", "int8_uncorrected"),
  ):
    rows.append([title, f"{hand['miou'][name]:.2f}", f"{hand['equal_labels'][name]}"])
  rows.append(["int8_tensorrt", f"{measured['int8_tensorrt']:.2f}", ""])
  return _table(["", "mIoU, %", "labels equal to float32's, %"], rows)


def calibrations(file: Content) -> list[str]:
  """Labels equal to float32's by how ranges of activations are cut."""
  methods = ("min-max", "percentile", "entropy")
  rows = [
    [name, *(f"{100 * found['label_agreement'][method]:.1f}" for method in methods),
     found["method"]]
    for name, found in file["calibration"].items()
  ]  # fmt: skip
  return _table(["labels equal, %", *methods, "chosen"], rows)


def openvino(by_hand: Content) -> list[str]:
  """The int8 file under OpenVINO."""
  found = by_hand["openvino"]
  return _table(["", "ms"], [[n, f"{found[f'{n}_ms']}"] for n in ("float32", "int8")])


def stacks_accuracy(runs: Mapping[str, Sequence[Content]]) -> list[str]:
  """Accuracy of one recipe on both stacks.

  Args:
    runs: {stack: results.json of each seed}.
  """
  rows = []
  for title, stage, split in (
    ("source only", "source_only", "test"),
    ("Gaussian", "gaussian", "test"),
    ("adapted", "adapted", "test"),
    ("adapted", "adapted", "transductive"),
  ):
    cells = []
    for results in runs.values():
      found = [100 * run["stages"][stage][split]["accuracy"] for run in results]
      cells.append(f"{statistics.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})")
    rows.append([title, split, *cells])
  return _table(["stage", "split", *(f"`{stack}`" for stack in runs)], rows)


def run_table(run: Content, score: str, title: str) -> list[str]:
  """The table that a run ends with, on its test split.

  Args:
    run: its results.json.
    score: the score's name there, a fraction.
    title: what the table calls it.
  """
  names = {"source_only": "source only", "gaussian": "Gaussian", "adapted": "adapted"}
  rows = [
    [names[stage], f"{100 * splits['test'][score]:.2f}"]
    for stage, splits in run["stages"].items()
  ]
  return _table(["", title], rows)


def stacks_streets(runs: Mapping[str, Content]) -> list[str]:
  """MIoU of the default run on both stacks."""
  rows = [
    [title, *(f"{100 * run['stages'][stage]['test']['miou']:.2f}" for run in runs.values())]
    for title, stage in (
      ("source only", "source_only"), ("Gaussian", "gaussian"), ("adapted", "adapted"),
    )
  ]  # fmt: skip
  return _table(["mIoU, test", *(f"`{stack}`" for stack in runs)], rows)


def exports(file: Content) -> list[str]:
  """Scores of every built-in network's exports."""
  rows = []
  shapes = dict.fromkeys(name.rpartition(", ")[0] for name in file)
  for shape in shapes:
    network, _, form = shape.partition(", ")
    found = {
      precision: file[f"{shape}, {precision}"]["parity"]
      for precision in ("float16", "int8")
    }
    cells = [
      _score(found["float16"]["keras"]),
      _score(found["float16"]["ONNX Runtime"]),
      _score(found["float16"]["ONNX Runtime, float16"]),
      _score(found["int8"]["ONNX Runtime, int8"]),
    ]
    rows.append([network, form, *cells])
  return _table(["network", "shape", "Keras", "float32", "float16", "int8"], rows)


def _score(parity: Content) -> str:
  metric = parity["metric"]
  return f"{100 * metric.get('miou', metric.get('accuracy')):.2f}"


def stacks_speed(file: Content) -> list[str]:
  """Steps on both stacks, in turn."""
  rows = []
  for title, name in (
    ("LeNet, adaptation step, ms", "lenet_step_ms"),
    ("ERFNet's encoder at 128x256, adaptation step, ms", "erfnet_step_ms"),
    ("ERFNet's encoder at 512x1024, forward pass, ms", "erfnet_forward_ms"),
    ("matrix product of 2048x2048, GFLOP/s", "gemm_gflop_per_s"),
  ):
    digits = 1 if name.startswith("lenet") else 0
    cells = [
      _number(file["median"][f"{stack}/{name}"], digits) for stack in ("tf215", "tf221")
    ]
    rows.append([title, *cells, _number(file["ratios"][f"{name}, tf221 by tf215"], 2)])
  return _table(["", "`tf215`", "`tf221`", "`tf221` by `tf215`"], rows)
