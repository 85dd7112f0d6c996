"""Prints the summary of an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rich.table

from tfdam import terminal


def print_parity(manifest: Mapping[str, Any], parity: Mapping[str, Any]) -> None:
  """Prints a row for each file: its size, and its difference from the Keras network.

  Args:
    manifest: what export.json holds.
    parity: the comparisons to show.
  """
  model = manifest["model"]
  title = f"{model['name']}, {model['stage']} at step {model['step']}, against Keras"
  table = rich.table.Table(title=title)
  table.add_column("", no_wrap=True)
  for name in ("MB", "largest logit difference", "equal labels, %", _metric(parity)):
    table.add_column(name, justify="right")
  reference = parity.get("keras", {})
  table.add_row("Keras", "", "", "", _percent(reference.get("metric")))
  for what, found in parity.items():
    if what != "keras":
      size = manifest["sizes"].get(what)
      table.add_row(
        what,
        "" if size is None else f"{size / 1e6:.2f}",
        f"{found['relative_logit_difference']:.1e}",
        f"{100 * found['label_agreement']:.3f}",
        _percent(found.get("metric")),
      )
  terminal.show(table)
  for precision, entry in manifest.get("onnx", {}).items():
    if "calibration" in entry and f"ONNX Runtime, {precision}" in parity:
      terminal.say(f"{precision}: {shown_calibration(entry['calibration'])}")
  if "metric" not in reference:
    terminal.say("Note: no labelled test images of the target here: nothing was scored.")


def shown_calibration(calibration: Mapping[str, Any]) -> str:
  """Says how the ranges of activations were clipped, and how that was chosen."""
  shares = ", ".join(
    f"{method} {100 * share:.2f}"
    for method, share in calibration["label_agreement"].items()
  )
  return (
    f"calibrated by {calibration['method']} on {calibration['images']} unlabelled images;"
    f" labels equal to float32's on {calibration['held_out']} others, %: {shares}."
  )


def _metric(parity: Mapping[str, Any]) -> str:
  metric = parity.get("keras", {}).get("metric")
  if not metric:
    return "metric, %"
  return f"{next(iter(metric))} on {metric['num_images']} images, %"


def _percent(metric: Mapping[str, Any] | None) -> str:
  return "-" if not metric else f"{100 * next(iter(metric.values())):.2f}"
