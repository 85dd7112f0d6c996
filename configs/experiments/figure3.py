"""Figure 3: Source-or-Not by machine: in which layers domains can be told apart."""

from __future__ import annotations

from configs.experiments import _digits, _scenes
from tfdam import experiment as experiment_lib

_STAGES = {"source only": "source_only", "Gaussian matching": "gaussian", "GAM": "adapted"}
_LENET = ("conv1", "conv2", "fc3", "fc4")
_ERFNET = tuple(f"block{number:02d}" for number in (1, 4, 8, 12, 16, 17))
_ABOUT = (
  "Two images, and the histograms of one unit's activations over all locations of each: are"
  " they of one domain? Area under the ROC curve of a player that looks at how far the"
  " histograms are apart, mean over a tap's units and all pairs of 64 images per domain:"
  " 0.5 is guessing. Mean and standard deviation over seeds. Taps of few locations pool"
  " several images of one domain. `tfdam.source_or_not --workdir=RUN` plays it with you."
)


def get_experiment() -> experiment_lib.Experiment:
  tables = [
    _table(pair, title, _digits.gam(pair), _LENET) for pair, title in _digits.PAIRS.items()
  ]
  streets = _scenes.gam("configs/segmentation/streets_to_camvid.py")
  tables.append(_table("streets_to_camvid", "Streets to CamVid", streets, _ERFNET))
  return experiment_lib.Experiment(
    name="figure3",
    title="Figure 3: Source-or-Not",
    about="A domain shift shows throughout a network, not in its last layer alone.",
    tables=tuple(tables),
    seeds=3,
  )


def _table(
  name: str, title: str, run: experiment_lib.Run, taps: tuple[str, ...]
) -> experiment_lib.Table:
  return experiment_lib.Table(
    name=name,
    title=title,
    columns=tuple(_STAGES),
    rows=tuple(_row(name, tap, run) for tap in taps),
    corner="tap",
    about=_ABOUT,
  )


def _row(name: str, tap: str, run: experiment_lib.Run) -> experiment_lib.Row:
  cells = {
    title: experiment_lib.Cell(
      run, ("source_or_not", "stages", stage, "layers", tap, "auc"), unit=""
    )
    for title, stage in _STAGES.items()
  }
  return experiment_lib.Row(f"{name}_{tap}", tap, cells)
