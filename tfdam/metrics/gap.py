"""The gap between two domains: which layers differ, by how much, and which to adapt.

This module works on activations alone and imports no TensorFlow.
"""

# No `from __future__ import annotations`: msgspec on Python 3.9 evaluates annotations.
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
    layer: its name, as in `taps`.
    depth: its position among the network's layers, from 0.
    shape: of its activations without the batch; None for sizes that depend on the image.
    channels: number of channels.
    divergence_bits: mean over channels of the Jensen-Shannon divergence, 0 to 1; nan if
      there was nothing to compare.
    auc: the AUC of Source-or-Not, mean over units: 0.5 for guessing, 1 for always right.
    best_channel: the channel that tells the domains apart best.
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
    """Compares a layer's activations in both domains.

    Args:
      layer: see the attributes.
      depth: the same.
      shape: the same.
      source: floats [images, locations, channels], two or more images, all finite.
      target: the same.
      seed: of the choice of units, images and locations.

    Raises:
      ValueError: see `source_or_not.compare`.
    """
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
  """A layer in JSON, with the names of `LayerGap`."""

  layer: str
  depth: stored.Count
  shape: list[Optional[stored.Count]]
  channels: stored.Count
  divergence_bits: _Fraction
  auc: _Fraction
  best_channel: stored.Count
  best_auc: _Fraction


class File(TypedDict):
  """The content of gap.json, layers in network order."""

  layers: list[Row]


@dataclasses.dataclass(frozen=True)
class Gap:
  """The gap between two domains, layer by layer.

  Attributes:
    rows: a LayerGap for each layer, in network order.
  """

  rows: tuple[LayerGap, ...]

  @property
  def table(self) -> list[Row]:
    """One dict per layer, in network order, with None instead of nan.

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
    """Returns rows by divergence, largest first and nan last; ties keep their order."""
    return sorted(self.rows, key=lambda row: _or(row.divergence_bits, -1.0), reverse=True)

  def suggest(self, n: int) -> list[str]:
    """Suggests n layers to adapt, spread over depth and each with a large gap.

    The paper spreads its discriminators evenly over depth. So the layers are split into n
    parts of equally many successive layers. From each part, the layer with the largest
    divergence is taken, or of equal ones the later one, which receives what earlier layers
    have left.

    Returns:
      The layers' names, in network order.

    Raises:
      config.UserError: n is below 1, or above the number of layers.
    """
    if not (isinstance(n, (int, np.integer)) and 1 <= n <= len(self.rows)):
      raise config_lib.UserError(
        f"suggest(n) was asked for {n!r} layers; expected 1 to {len(self.rows)}, which is"
        " how many were measured. Ask for fewer, or measure more."
      )
    chosen = []
    for part in np.array_split(np.arange(len(self.rows)), n):
      bits = [_or(self.rows[i].divergence_bits, 0.0) for i in part]
      # Reversed, because argmax takes the first of equal ones.
      chosen.append(self.rows[part[::-1][np.argmax(bits[::-1])]].layer)
    return chosen

  def closed(self, before: "Gap") -> closed_gap.Closed:
    """Compares this gap, after adaptation, with the gap before.

    Args:
      before: an earlier gap of the same layers.

    Raises:
      config.UserError: the gaps are not of the same layers.
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

  def to_text(self, most: Optional[int] = 20, width: Optional[int] = None) -> str:
    """A table, the largest gap first.

    Args:
      most: layers in it; None: all.
      width: columns of the terminal that it has to fit; None: no name is broken.
    """
    return gap_table.draw(
      "Gap between source and target",
      # Headings in two lines, to fit 80 columns.
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
      width,
    )

  def __str__(self) -> str:
    return self.to_text()

  def to_json(self) -> File:
    """Returns the content that `save` writes."""
    return {"layers": self.table}

  @classmethod
  def from_json(cls, content: Mapping[str, Any]) -> "Gap":
    """Returns the gap from what `to_json` returned."""
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
    """Writes a JSON file atomically; makes its folder."""
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
  """Returns a number, or `otherwise` for None, nan and infinity."""
  return otherwise if number is None or not math.isfinite(number) else float(number)
