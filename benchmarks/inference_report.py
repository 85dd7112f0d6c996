"""Percentiles, ratios, the arithmetic floor and tables of inference.py's times."""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rich.table

from benchmarks import inference_candidates, inference_subject, timing
from tfdam import terminal

if TYPE_CHECKING:
  import onnx

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
NOT_MLPERF = (
  "These figures are no MLPerf result. They follow the form of its single-stream scenario"
  " (one query after another, at least 60 s and 1,024 queries, the 90th percentile), but"
  " its load generator, models, data sets, accuracy checks and review had no part in them."
)
# {title: (the slower one, the faster one)}.
_RATIOS = {
  "ONNX Runtime times as fast as Keras": ("keras", "onnx_float32"),
  "ONNX Runtime times as fast as SavedModel": ("saved_model", "onnx_float32"),
  "ONNX Runtime times as fast as PyTorch": ("torch", "onnx_float32"),
  "ONNX Runtime times as fast as OpenVINO": ("openvino", "onnx_float32"),
  "int8 times as fast as float32": ("onnx_float32", "onnx_int8"),
  "int8_tensorrt times as fast as float32": ("onnx_float32", "onnx_int8_tensorrt"),
  "ONNX Runtime int8 times as fast as OpenVINO int8": ("openvino_int8", "onnx_int8"),
  "float16 times as fast as float32": ("onnx_float32", "onnx_float16"),
}
_QUERIES_OF_P999 = 1_000
# Figures are called disturbed above this share of processor time for other programs.
_DISTURBED = 0.05
# Flags in /proc/cpuinfo that matter to float32, bfloat16 and int8.
_FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8")


def percentile(values: Sequence[float], percent: float) -> float:
  """Returns the smallest value that at least `percent` of all do not exceed (nearest rank).

  Args:
    values: sorted, at least one.
    percent: 0 to 100.
  """
  # Rounded first, so that 99.9 % of 1,000 is the 999th value and not the next one.
  rank = math.ceil(round(percent / 100 * len(values), 6))
  return values[max(rank, 1) - 1]


def summary(rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
  """Summarises one candidate's times in one way.

  Args:
    rounds: milliseconds of queries, by round.

  Returns:
    {"p50" and so on, "mean", "max", "least_p50" of all rounds, in ms; "queries",
     "queries_per_s", "p50_by_round"}.
  """
  every = sorted(ms for part in rounds for ms in part)
  mean = math.fsum(every) / len(every)
  by_round = [percentile(sorted(part), 50.0) for part in rounds]
  return {
    **{name: percentile(every, percent) for name, percent in PERCENTILES.items()},
    "mean": mean, "max": every[-1], "queries": len(every), "queries_per_s": 1e3 / mean,
    "p50_by_round": by_round, "least_p50": min(by_round),
  }  # fmt: skip


def macs_by_operator(model: onnx.ModelProto, shape: Sequence[int]) -> dict[str, int]:
  """Returns the multiply-add operations of an image's matrix products.

  Args:
    model: an exported file.
    shape: of the image, which may be free in the file.

  Returns:
    {operator: multiply-adds}; empty if inner shapes are known only at run time.
  """
  import onnx

  fixed = onnx.ModelProto()
  fixed.CopyFrom(model)
  for dimension, size in zip(fixed.graph.input[0].type.tensor_type.shape.dim, shape):
    dimension.dim_value = size
  graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
  shapes = {
    value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
    for value in (*graph.value_info, *graph.output, *graph.input)
  }
  shapes.update({weights.name: list(weights.dims) for weights in graph.initializer})
  macs: collections.Counter[str] = collections.Counter()
  for node in graph.node:
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
      continue
    kernel = shapes[node.input[1]]
    # Each value of the output (of the input, if transposed) meets all of its weights.
    side = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
    is_transposed = any(a.name == "transB" and a.i for a in node.attribute)
    each = math.prod(kernel[1:]) if "Conv" in node.op_type or is_transposed else kernel[-2]
    macs[node.op_type] += math.prod(shapes.get(side, [0])) * each
  return dict(macs) if all(macs.values()) else {}


def floor(macs: Mapping[str, int], gflop_per_s: Sequence[float]) -> dict[str, Any]:
  """Returns the least time of an ordinary float32 implementation; empty if unknown.

  Args:
    macs: {operator: multiply-adds}.
    gflop_per_s: of a large matrix product, by round.
  """
  if not macs or not gflop_per_s:
    return {}
  rate = timing.medians({"rate": list(gflop_per_s)})["rate"]
  flops = 2 * sum(macs.values())
  return {
    "gflop": flops / 1e9, "ms": flops / rate / 1e6, "gemm_gflop_per_s": rate,
    "gemm_by_round": list(gflop_per_s), "macs_by_operator": dict(macs),
  }  # fmt: skip


def ratios(
  candidates: Mapping[str, Any], floor_ms: float, headline: str
) -> dict[str, float]:
  """Returns ratios of times with host copies, and float32 candidates' shares of the floor.

  Args:
    candidates: {name: {"latency_ms": {way: summary}}}, without it if missing.
    floor_ms: from `floor`; 0 if unknown.
    headline: the percentile that is compared.
  """
  times = {
    name: found["latency_ms"]["host"][headline]
    for name, found in candidates.items()
    if "latency_ms" in found
  }
  shown = {
    title: times[slow] / times[fast]
    for title, (slow, fast) in _RATIOS.items()
    if slow in times and fast in times
  }
  for name, ms in times.items():
    kind = inference_candidates.KINDS[name]
    if kind.is_exact and floor_ms:
      shown[f"share of floor, {kind.title}"] = floor_ms / ms
  return shown


def show(figures: Mapping[str, Any]) -> None:
  """Prints the tables."""
  terminal.show(_latency_table(figures))
  for found in figures["candidates"].values():
    if "profile" in found:
      nodes = found["profile"]["nodes"]
      placed = ", ".join(f"{count} nodes on {name}" for name, count in nodes.items())
      print(f"{found['title']}, {placed}; where the time goes:")
      terminal.show(_operator_table(found["profile"]))
  for title, value in figures["ratios"].items():
    print(f"{title:44} {value:6.2f}")
  if figures["floor"]:
    gflop, rate, ms = (figures["floor"][key] for key in ("gflop", "gemm_gflop_per_s", "ms"))
    print(f"floor: {gflop:.3g} GFLOP at {rate:.0f} GFLOP/s, {ms:.3g} ms")
  for note in figures["notes"]:
    print(f"Note: {note}")


def _latency_table(figures: Mapping[str, Any]) -> rich.table.Table:
  subject, headline = figures["subject"], figures["headline"]
  title = (
    f"{subject['network']}, one image of {subject['height']}x{subject['width']},"
    f" {figures['provider']}, ms (headline {headline})"
  )
  table = rich.table.Table(title=title)
  table.add_column("", no_wrap=True)
  for name in ("least", *PERCENTILES, "mean", "per s", "queries", "MiB", "equal, %"):
    table.add_column(name, justify="right")
  for found in figures["candidates"].values():
    if "latency_ms" not in found:
      table.add_row(found["title"], "missing")
      continue
    about = (f"{found['peak_resident_mb']:.0f}", f"{100 * found['equal_labels']:.3f}")
    for way, values in found["latency_ms"].items():
      is_first = way == "host"
      table.add_row(
        found["title"] if is_first else "  without copies",
        *(_shown_ms(values[name]) for name in ("least_p50", *PERCENTILES, "mean")),
        f"{values['queries_per_s']:.1f}",
        f"{values['queries']:,}",
        *(about if is_first else ("", "")),
      )
  table.caption = (
    "least: p50 of the quietest round; MiB: most memory; equal: labels that Keras gives"
  )
  return table


def _shown_ms(value: float) -> str:
  return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def _operator_table(profile: Mapping[str, Any]) -> rich.table.Table:
  table = rich.table.Table()
  for name in ("operator", "nodes", "ms", "share, %"):
    table.add_column(name, justify="left" if name == "operator" else "right")
  for name, values in list(profile["operators"].items())[:6]:
    share = f"{100 * values['share']:.1f}"
    table.add_row(name, str(values["nodes"]), f"{values['ms']:.2f}", share)
  return table


def notes(figures: Mapping[str, Any]) -> list[str]:
  """Returns what a reader of the figures has to know."""
  found = []
  if figures["subject"]["weights"] == "random":
    found.append(
      "the weights are random: times are those of a trained network, shares of equal"
      " labels are not."
    )
  if figures["subject"]["int8_calibrated_on"] == inference_subject.RANDOM_IMAGES:
    found.append(
      "int8 was calibrated on random images: its time is right, its labels are not."
    )
  for about in figures["candidates"].values():
    if "missing" in about:
      found.append(f"{about['title']} is missing: {about['missing']}")
  timed = [
    v for c in figures["candidates"].values() for v in c.get("latency_ms", {}).values()
  ]
  if any(values["queries"] < _QUERIES_OF_P999 for values in timed):
    found.append(
      "the p99.9 of fewer than 1,000 queries, or p99 of 100, is the slowest one."
    )
  share = figures["others_cpu_share"]
  if share is None or share > _DISTURBED:
    shown = "an unknown share" if share is None else f"{100 * share:.0f} %"
    found.append(
      f"{shown} of the processor time went to other programs: percentiles and ratios are"
      " disturbed and should be measured again. The least times are the most reliable."
    )
  if figures["mlperf_like"]:
    found.append(NOT_MLPERF)
  return found


def machine() -> dict[str, Any]:
  """Returns the processor and those of its vector instructions that matter here."""
  about: dict[str, Any] = {"machine": timing.machine(), "cpu": "", "instructions": []}
  try:
    with open("/proc/cpuinfo") as file:
      lines = (line.partition(":") for line in file)
      values = {key.strip(): value.strip() for key, _, value in lines}
  except OSError:  # not Linux
    return about
  about["cpu"] = values.get("model name", "")
  has = values.get("flags", "").split()
  about["instructions"] = [flag for flag in _FLAGS if flag in has]
  return about
