"""What became of a gap between two domains: before and after adaptation, by layer."""

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
    before_bits: mean over channels of the Jensen-Shannon divergence; nan where there was
      nothing to compare.
    after_bits: the same, of the adapted network.
  """

  layer: str
  before_bits: float
  after_bits: float

  @property
  def share(self) -> float:
    """How much was closed: 1 all, below 0 where it grew; nan without a gap before.

    Equal domains, too, have a few thousandths of a bit, see `divergence.jensen_shannon`: of
    so small a gap the share means nothing.
    """
    return _share(self.before_bits, self.after_bits)


@dataclasses.dataclass(frozen=True)
class Closed:
  """What was closed of a gap.

  Attributes:
    rows: in network order.
  """

  rows: tuple[Change, ...]

  @property
  def share(self) -> float:
    """Of the sum over layers, those with both numbers; nan without a gap before."""
    there = [row for row in self.rows if math.isfinite(row.before_bits + row.after_bits)]
    return _share(
      sum(row.before_bits for row in there), sum(row.after_bits for row in there)
    )

  @property
  def table(self) -> list[dict[str, Any]]:
    """Plain numbers, in network order; None where there is no number."""
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
    """Largest gap before first; of equals the earlier layer, those without one last."""
    return sorted(
      self.rows,
      key=lambda row: row.before_bits if math.isfinite(row.before_bits) else -1.0,
      reverse=True,
    )

  def to_text(self, most: int | None = 20) -> str:
    """A table, the largest gap before first, of at most so many layers; None: of all."""
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
