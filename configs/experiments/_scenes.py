"""What Tables 3 and 4 share: rows of methods on street scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfdam import experiment as experiment_lib

# The measures of a score, by the columns that the paper has.
MEASURES = {"pixel accuracy": "pixel_accuracy", "class accuracy": "class_accuracy",
            "mIoU": "miou", "fwIoU": "fwiou"}  # fmt: skip
# What the paper calls a row, the method that gives it, and the stage that it is.
ROWS = (
  ("Oracle (source distribution)", "oracle", ""),
  ("Supervised baseline", "supervised", "source_only"),
  ("No transfer", "gam", "source_only"),
  ("AdaBN", "adabn", "gaussian"),
  ("Gaussian matching", "gam", "gaussian"),
  ("ADDA", "adda", "adapted"),
  ("ADDA + drift", "adda_drift", "adapted"),
  ("GAM without drift", "gam_no_drift", "adapted"),
  ("GAM", "gam", "adapted"),
)
SMALL = (
  "Percent on the target's test split, at the labels' own size; mean and standard deviation"
  " over seeds, of the moving average of the target's weights at the last step. Images are"
  " resized to 128x96, and the network has half of ERFNet's width: what two CPU cores train"
  " in minutes."
)


_FROM_WEIGHTS = (
  "As above, with a network that is not in the paper: it starts from ImageNet's weights."
  " Settings were chosen on validation images (experiment `streets_study`)."
)
# What the recipe `with_labels` has beside the source's labels.
NO_SELF_TRAINING = {"adapt.self_training_weight": 0.0, "adapt.self_training_mix": False}
# The same from the matched network; labelled source images pass the source's batch norms.
SOURCE_NORMS = {"adapt.init": "matched", "adapt.drift_anchor": "matched",
                "adapt.source_norms": True}  # fmt: skip


def run(config: str, method: str, **options: Any) -> experiment_lib.Run:
  """A method's run.

  Args:
    config: a file that takes a method after its colon, or a file with other options there.
    method: its name.
    **options: of experiment.Run.
  """
  separator = "," if ":" in config else ":"
  return experiment_lib.Run(f"{config}{separator}{method}", **options)


def gam(config: str) -> experiment_lib.Run:
  """The run whose stages are rows of their own; Source-or-Not is played with it."""
  return run(config, "gam", then=(experiment_lib.SOURCE_OR_NOT,))


def table(
  name: str,
  title: str,
  config: str,
  published: Mapping[str, Sequence[str]],
  about: str = SMALL,
  more: Sequence[experiment_lib.Row] = (),
) -> experiment_lib.Table:
  """A table of all methods.

  Args:
    config: as for `run`.
    published: {method of ROWS, or its stage: numbers in the order of MEASURES}.
    more: rows below.
  """
  columns = list(MEASURES)
  printed = [f"paper: {measure}" for measure in MEASURES] if published else []
  printed = printed[: max(map(len, published.values()))] if published else []
  rows = [_row(name, *row, config, published, printed) for row in ROWS]
  return experiment_lib.Table(
    name=name,
    title=title,
    columns=(*columns, *printed),
    rows=(*rows, *more),
    corner="%",
    about=about,
  )


def from_weights(
  name: str, title: str, config: str, others: Sequence[experiment_lib.Row] = ()
) -> experiment_lib.Table:
  """A table of all methods with EfficientNet-Lite0, and of recipes that need labels.

  Args:
    name: of the table.
    title: the domains.
    config: one of CamVid's.
    others: rows below.
  """
  lite0 = f"{config}:lite0"
  labels = run(lite0, "with_labels,gam")
  plain = run(lite0, "with_labels,gam", fields=NO_SELF_TRAINING)
  longer = run(lite0, "source_only", fields={"source.steps": 2_000})
  more = [
    row(f"{name}_longer", "No transfer, 2,000 steps", longer, "source_only"),
    row(f"{name}_source_labels", "GAM with the source's labels", plain, "adapted"),
    row(f"{name}_with_labels", "GAM with them and self-training", labels, "adapted"),
  ]
  return table(
    name, f"{title}, EfficientNet-Lite0", lite0, {}, _FROM_WEIGHTS, [*more, *others]
  )


def row(
  name: str, title: str, of: experiment_lib.Run, stage: str, note: str = ""
) -> experiment_lib.Row:
  """One row without published numbers."""
  return experiment_lib.Row(name, title, _scores(of, stage), note=note)


def curriculum(
  table_name: str,
  config: str,
  published: str = "",
  tuned: str = "",
  note: str = "",
) -> tuple[experiment_lib.Row, experiment_lib.Row]:
  """Curriculum Domain Adaptation, and GAM that starts from its network.

  Args:
    config: as for `run`.
    published: the paper's mIoU of the first; empty: it has none.
    tuned: of the second.
    note: what a reader of the first row, and of published numbers, has to know.
  """
  first = run(config, "curriculum")
  then = run(
    config, "gam", fields={"source.steps": 0}, starts_from=first, starts_stage="adapted"
  )
  rows = []
  for name, title, of, printed in (
    ("curriculum", "Curriculum DA", first, published),
    ("curriculum_gam", "GAM from its network", then, tuned),
  ):
    cells: dict[str, experiment_lib.Cell | str] = {**_scores(of, "adapted")}
    if printed:
      cells["paper: mIoU"] = printed
    rows.append(
      experiment_lib.Row(
        f"{table_name}_{name}", title, cells, note=note if printed or of is first else ""
      )
    )
  return rows[0], rows[1]


def _row(
  table_name: str, title: str, method: str, stage: str, config: str,
  published: Mapping[str, Sequence[str]], printed: Sequence[str],
) -> experiment_lib.Row:  # fmt: skip
  name = stage if method == "gam" and stage != "adapted" else method
  if method == "oracle":
    oracle = run(config, "gam", command=experiment_lib.ORACLE)
    cells = {
      column: experiment_lib.Cell(oracle, ("oracle", measure))
      for column, measure in MEASURES.items()
    }
  else:
    cells = _scores(gam(config) if method == "gam" else run(config, method), stage)
  texts = dict(zip(printed, published.get(name, ())))
  return experiment_lib.Row(f"{table_name}_{name}", title, {**cells, **texts})


def _scores(of: experiment_lib.Run, stage: str) -> dict[str, experiment_lib.Cell]:
  return {
    column: experiment_lib.score(of, stage, "test", measure)
    for column, measure in MEASURES.items()
  }
