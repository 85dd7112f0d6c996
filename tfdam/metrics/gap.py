"""The gap between two domains, layer by layer: which differ, by how much, which to adapt.

Imports no TensorFlow, and knows no network: activations come in, rows go out.
"""

# No `from __future__ import annotations`: Python 3.9 evaluates what stands here.
import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Optional, TypedDict

import msgspec
import numpy as np

from tfdam import config as config_lib
from tfdam import files, stored
from tfdam.metrics import closed_gap, gap_table, source_or_not


@dataclasses.dataclass(frozen=True)
class LayerGap:
  """How one layer's activations differ between source and target.

  Attributes:
    layer: its name, as taps have it.
    depth: its place among the network's layers, from 0.
    shape: of its activations without the batch; None where it depends on the image.
    channels: how many.
    divergence_bits: mean over channels of the Jensen-Shannon divergence, 0 to 1; nan where
      there was nothing to compare.
    auc: of Source-or-Not, mean over units: 0.5 is guessing, 1 always told.
    best_channel: the one that tells the domains best.
    best_auc: its AUC.
  """

  layer: str
  depth: int
  shape: tuple[Optional[int], ...]
  channels: int
  divergence_bits: float
  auc: float
  best_channel: int
  best_auc: float

  @classmethod
  def measured(
    cls,
    layer: str,
    depth: int,
    shape: Sequence[Optional[int]],
    source: np.ndarray,
    target: np.ndarray,
    seed: int = 0,
  ) -> "LayerGap":
    """Compares activations; arguments and errors are those of `source_or_not.compare`."""
    found = source_or_not.compare(source, target, seed)
    return cls(
      layer,
      depth,
      tuple(shape),
      len(found.divergences),
      found.divergence_bits,
      found.auc,
      found.best_channel,
      found.best_auc,
    )


# Bits of one channel, or an AUC; null for nan.
_Fraction = Optional[Annotated[float, msgspec.Meta(ge=0, le=1)]]


class Row(TypedDict):
  """A layer in JSON; names are those of `LayerGap`."""

  layer: str
  depth: stored.Count
  shape: list[Optional[stored.Count]]
  channels: stored.Count
  divergence_bits: _Fraction
  auc: _Fraction
  best_channel: stored.Count
  best_auc: _Fraction


class File(TypedDict):
  """What gap.json holds, layers in network order."""

  layers: list[Row]


@dataclasses.dataclass(frozen=True)
class Gap:
  """What differs between two domains, by layer.

  Attributes:
    rows: in network order, no layer twice.
  """

  rows: tuple[LayerGap, ...]

  @property
  def table(self) -> list[Row]:
    """A dict a layer, in network order, None where there is no number.

    Its keys are "layer", "depth", "shape", "channels", "divergence_bits" (mean over
    channels, 0 to 1), "auc" (mean over channels, 0.5 is chance), "best_channel" and
    "best_auc".
    """
    return [
      Row(
        layer=row.layer,
        depth=int(row.depth),
        shape=[None if size is None else int(size) for size in row.shape],
        channels=int(row.channels),
        divergence_bits=gap_table.plain(row.divergence_bits),
        auc=gap_table.plain(row.auc),
        best_channel=int(row.best_channel),
        best_auc=gap_table.plain(row.best_auc),
      )
      for row in self.rows
    ]

  def ranked(self) -> list[LayerGap]:
    """Largest divergence first; of equals the earlier layer, those without one last."""
    return sorted(self.rows, key=lambda row: _or(row.divergence_bits, -1.0), reverse=True)

  def suggest(self, n: int) -> list[str]:
    """Names n layers to adapt, in network order: spread over depth, each of a large gap.

    The paper spreads its discriminators evenly over depth. So the layers are cut into n
    runs of as many layers, and of each the one of the largest divergence is taken: of
    equals the later, which sees what earlier ones left.

    Raises:
      config.UserError: there are not so many layers, or n is below 1.
    """
    if not (isinstance(n, (int, np.integer)) and 1 <= n <= len(self.rows)):
      raise config_lib.UserError(
        f"suggest(n) was asked for {n!r} layers; expected 1 to {len(self.rows)}, which is"
        " how many were measured. Ask for fewer, or measure more."
      )
    chosen = []
    for part in np.array_split(np.arange(len(self.rows)), n):
      bits = [_or(self.rows[i].divergence_bits, 0.0) for i in part]
      # From behind: argmax takes the first of equals.
      chosen.append(self.rows[part[::-1][np.argmax(bits[::-1])]].layer)
    return chosen

  def closed(self, before: "Gap") -> closed_gap.Closed:
    """What became of an earlier gap of the same layers: this one is what is left.

    Raises:
      config.UserError: they are not the same layers.
    """
    earlier = {row.layer: row for row in before.rows}
    layers = [row.layer for row in self.rows]
    odd = [name for name in layers if name not in earlier]
    odd += [name for name in earlier if name not in layers]
    if odd:
      raise config_lib.UserError(
        f"Layer '{files.shown(odd[0])}' is in one of the two gaps alone (of"
        f" {len(before.rows)} layers before, {len(layers)} now); expected the same layers."
        " Measure both gaps on the same ones."
      )
    return closed_gap.Closed(
      tuple(
        closed_gap.Change(
          row.layer, earlier[row.layer].divergence_bits, row.divergence_bits
        )
        for row in self.rows
      )
    )

  def to_text(self, most: Optional[int] = 20) -> str:
    """A table, the largest gap first, of at most so many layers; None: of all."""
    return gap_table.draw(
      "Gap between source and target",
      # In two lines, for 80 columns.
      (
        "",
        "layer",
        "depth",
        "shape",
        "divergence,\nbits",
        "AUC",
        "best\nchannel",
        "its AUC",
      ),
      [
        (
          str(rank),
          row.layer,
          str(row.depth),
          " x ".join("?" if size is None else str(size) for size in row.shape),
          gap_table.number(row.divergence_bits),
          gap_table.number(row.auc),
          str(row.best_channel),
          gap_table.number(row.best_auc),
        )
        for rank, row in enumerate(self.ranked(), 1)
      ],
      most,
    )

  def __str__(self) -> str:
    return self.to_text()

  def to_json(self) -> File:
    """What `save` writes."""
    return {"layers": self.table}

  @classmethod
  def from_json(cls, content: Mapping[str, Any]) -> "Gap":
    """The gap of what `to_json` gave."""
    nan = float("nan")
    return cls(
      tuple(
        LayerGap(
          row["layer"],
          row["depth"],
          tuple(row["shape"]),
          row["channels"],
          _or(row["divergence_bits"], nan),
          _or(row["auc"], nan),
          row["best_channel"],
          _or(row["best_auc"], nan),
        )
        for row in content["layers"]
      )
    )

  def save(self, path: str) -> None:
    """Writes JSON, whole or not at all; makes its folder."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    stored.write_text(path, json.dumps(self.to_json(), indent=2) + "\n")

  @classmethod
  def load(cls, path: str) -> "Gap":
    """Reads what `save` wrote.

    Raises:
      config.UserError: there is no such file, or it is damaged.
    """
    remedy = "Measure the gap again."
    content = stored.read(path, File, remedy)
    if content is None:
      raise config_lib.UserError(
        f"There is no {files.shown(path)}; expected a saved gap. {remedy}"
      )
    return cls.from_json(content)


def _or(number: Optional[float], otherwise: float) -> float:
  """A number; something else where there is none."""
  return otherwise if number is None or not math.isfinite(number) else float(number)
