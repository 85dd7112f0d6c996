"""Compares the order of runs by scores without labels with that by their true scores.

It shows readers how far such a score can be trusted; nothing is chosen by these scores.
TensorFlow is not imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tfdam.metrics import label_free
from tfdam.vocabulary import Task

# {a score's name on pages: (its name in records, which values are better)}.
SCORES = {
  "entropy of predictions": ("entropy", "low"),
  "entropy of the mean prediction": ("marginal_entropy", "high"),
  "information": ("information", "high"),
  "label shares' distance from the source's": ("marginal_distance", "low"),
  "discriminators' accuracy": ("discriminator_accuracy", "low"),
}


class Ranking(NamedTuple):
  """How well one score without labels orders runs.

  Attributes:
    title: its name on pages.
    better: "low" or "high", the values that a good network is thought to have.
    num_stages: number of runs' stages that have the score and labels.
    correlation: Spearman's rank correlation with the true score; None with too few stages.
  """

  title: str
  better: str
  num_stages: int
  correlation: float | None


def rankings(records: Iterable[Any]) -> list[Ranking]:
  """Ranks each score over all stages of runs with labels of the target's test split."""
  pairs: dict[str, list[tuple[float | None, float]]] = {title: [] for title in SCORES}
  for record in records:
    for stage, free in record.get("label_free", {}).items():
      scores = record.get("stages", {}).get(stage, {}).get("test", {})
      truth = scores.get(Task(record["task"]).headline)
      if truth is None:
        continue
      for title, (name, _) in SCORES.items():
        if free.get(name) is not None:
          pairs[title].append((free[name], truth))
  return [
    Ranking(
      title,
      SCORES[title][1],
      len(found),
      label_free.rank_correlation(*zip(*found)) if found else None,
    )
    for title, found in pairs.items()
  ]
