"""The README's table: what each stage of adaptation is worth, by the paper and by us."""

from __future__ import annotations

from configs.experiments import _digits, _scenes
from tfdam import experiment as experiment_lib

_STAGES = {
  "source only": "source_only",
  "Gaussian matching": "gaussian",
  "adversarial matching": "adapted",
}
_STREETS = "configs/segmentation/streets_to_camvid.py"
_ABOUT = (
  "On the target's test split, without its labels, in percent; mean and standard deviation"
  " over seeds."
)


def get_experiment() -> experiment_lib.Experiment:
  rows = []
  for pair, title in _digits.PAIRS.items():
    best = experiment_lib.Run(f"configs/digits/{pair}.py:best,gam")
    rows += [
      _row(pair, f"{title}, accuracy", _digits.gam(pair), "accuracy", "as in the paper"),
      _row(f"{pair}_best", "", best, "accuracy", "`best`"),
    ]
  labels = experiment_lib.Run(f"{_STREETS}:with_labels,gam")
  rows += [
    _row("streets", "procedural streets to CamVid, mIoU", _scenes.gam(_STREETS), "miou",
         "as in the paper"),
    _row("streets_with_labels", "", labels, "miou", "`with_labels`"),
  ]  # fmt: skip
  table = experiment_lib.Table(
    name="stages", title="What each stage is worth", columns=(*_STAGES, "recipe"),
    rows=tuple(rows), about=_ABOUT,
  )  # fmt: skip
  return experiment_lib.Experiment(
    name="summary", title="Summary", about="", tables=(table,), seeds=3
  )


def _row(
  name: str, title: str, run: experiment_lib.Run, measure: str, recipe: str
) -> experiment_lib.Row:
  cells: dict[str, experiment_lib.Cell | str] = {
    column: experiment_lib.score(run, stage, "test", measure)
    for column, stage in _STAGES.items()
  }
  return experiment_lib.Row(name, title, {**cells, "recipe": recipe})
