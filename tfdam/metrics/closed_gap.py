"""How much of the gap between two domains adaptation has closed, layer by layer."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tfdam.metrics import gap_table


@dataclasses.dataclass(frozen=True)
class Change:
  """One layer's divergence before and after.

  Attributes:
    layer: its name.
    before_bits: mean over channels of the Jensen-Shannon divergence; nan if there was
      nothing to compare.
    after_bits: the same for the adapted network.
  """

  layer: str
  before_bits: float
  after_bits: float

  @property
  def share(self) -> float:
    """The share that was closed: 1 for all, below 0 if the gap grew; nan without a gap.

    Even equal domains have a divergence of some thousandths of a bit (see
    `divergence.jensen_shannon`), so the share of such a small gap means nothing.
    """
    return _share(self.before_bits, self.after_bits)


@dataclasses.dataclass(frozen=True)
class Closed:
  """How much of a gap was closed.

  Attributes:
    rows: a Change for each layer, in network order.
  """

  rows: tuple[Change, ...]

  @property
  def share(self) -> float:
    """The share of the sum over all layers that have both numbers; nan without a gap."""
    there = [row for row in self.rows if math.isfinite(row.before_bits + row.after_bits)]
    return _share(
      sum(row.before_bits for row in there), sum(row.after_bits for row in there)
    )

  @property
  def table(self) -> list[dict[str, Any]]:
    """Plain numbers, in network order; None instead of nan."""
    return [
      {
        "layer": row.layer,
        "before_bits": gap_table.plain(row.before_bits),
        "after_bits": gap_table.plain(row.after_bits),
        "share": gap_table.plain(row.share),
      }
      for row in self.rows
    ]

  def ranked(self) -> list[Change]:
    """Returns rows by the gap before, largest first and nan last; ties keep their order."""
    return sorted(
      self.rows,
      key=lambda row: row.before_bits if math.isfinite(row.before_bits) else -1.0,
      reverse=True,
    )

  def to_text(self, most: int | None = 20) -> str:
    """Returns a table of at most `most` layers, largest gap before first; None for all."""
    return gap_table.draw(
      f"Gap between source and target, {gap_table.percent(self.share)} % closed",
      ("", "layer", "before, bits", "after, bits", "closed, %"),
      [
        (
          str(rank),
          row.layer,
          gap_table.number(row.before_bits),
          gap_table.number(row.after_bits),
          gap_table.percent(row.share),
        )
        for rank, row in enumerate(self.ranked(), 1)
      ],
      most,
    )

  def __str__(self) -> str:
    return self.to_text()


def _share(before: float, after: float) -> float:
  return 1 - after / before if before > 0 else float("nan")
