"""Whether scores without labels put runs in the order of their true scores.

For a reader to see how far such a score may be trusted; nothing chooses by them. Imports no
TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tfdam.metrics import label_free
from tfdam.vocabulary import Task

# {what a page calls a score: (its name in a record, what a good network has)}.
SCORES = {
  "entropy of predictions": ("entropy", "low"),
  "entropy of the mean prediction": ("marginal_entropy", "high"),
  "information": ("information", "high"),
  "label shares' distance from the source's": ("marginal_distance", "low"),
  "discriminators' accuracy": ("discriminator_accuracy", "low"),
}


class Ranking(NamedTuple):
  """Of one score.

  Attributes:
    title: what a page calls it.
    better: "low" or "high": what a good network is thought to have.
    num_stages: of runs that have the score and labels.
    correlation: Spearman's with the score on labels; None: too few of them.
  """

  title: str
  better: str
  num_stages: int
  correlation: float | None


def rankings(records: Iterable[Any]) -> list[Ranking]:
  """Over all stages of runs that have labels of the target's test split."""
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
