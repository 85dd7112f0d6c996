"""The ablation ladder on MNIST and USPS: from `release` to `best`, one idea a row."""

from __future__ import annotations

import dataclasses
from typing import Any

from configs.experiments import _digits
from tfdam import experiment as experiment_lib

_AVERAGE = {"adapt.ema_momentum": 0.999}
_GAUSSIAN_START = {"adapt.init": "matched", "adapt.drift_anchor": "matched"}
# What a row adds to GAM of the released code.
_IDEAS: tuple[tuple[str, str, dict[str, Any]], ...] = (
  ("release", "GAM, released code (`release`)", {}),
  ("warmup", "+ discriminators warm up (500 steps)", {"adapt.warmup_steps": 500}),
  ("fast", "+ faster discriminators (8e-4)", {"adapt.discriminator_learning_rate": 8e-4}),
  ("gate", "+ steps where discriminators are right (60 %)",
   {"adapt.gate_accuracy": 0.6}),
  ("average", "+ moving average of the weights (0.999)", _AVERAGE),
  ("start", "+ start from Gaussian matching, drift around it", _GAUSSIAN_START),
  ("moved", "+ moved digits in adaptation", {"adapt.augment": True}),
  ("source_moved", "+ moved digits in source training", {"source.augment": True}),
  ("information", "+ information maximisation (0.5)", {"adapt.information_weight": 0.5}),
  ("spectral", "+ spectral normalisation", {"adapt.spectral_norm": True}),
  ("batch_norm", "+ batch norms (LeNet-BN), Gaussian start",
   {"model.name": "lenet_bn", **_GAUSSIAN_START}),
  ("source_labels", "+ source labels (1)", {"adapt.source_label_weight": 1.0}),
  ("class_wise", "+ class-wise discriminators", {"adapt.class_wise": True}),
  ("centroids", "+ class-wise centroids (1)", {"adapt.centroid_weight": 1.0}),
  ("self_training", "+ self-training (1), moving average",
   {"adapt.self_training_weight": 1.0, **_AVERAGE}),
)  # fmt: skip
_ABOUT = (
  "Accuracy on the target, percent, mean and standard deviation over seeds, of the network"
  " at the last step or, where one is kept, of its moving average. Each row adds one idea"
  " to the first; `best` has several of them. What went into `best` was chosen by the"
  " transductive column, never by the test split."
)


def get_experiment() -> experiment_lib.Experiment:
  return experiment_lib.Experiment(
    name="ladder",
    title="Ablation ladder",
    about="What each idea beyond the released code is worth on digits.",
    tables=tuple(map(_table, _digits.PAIRS)),
  )


def _table(pair: str) -> experiment_lib.Table:
  config = f"configs/digits/{pair}.py"
  runs = [
    (name, title, dataclasses.replace(_digits.gam(pair), fields=fields))
    for name, title, fields in _IDEAS
  ]
  runs.append(("best", "`best`", experiment_lib.Run(f"{config}:best,gam")))
  return experiment_lib.Table(
    name=pair,
    title=_digits.PAIRS[pair],
    columns=("test", "transductive", "lowest seed, test"),
    rows=tuple(_row(f"{pair}_{name}", title, run) for name, title, run in runs),
    corner="accuracy, %",
    about=_ABOUT,
  )


def _row(name: str, title: str, run: experiment_lib.Run) -> experiment_lib.Row:
  cells: dict[str, experiment_lib.Cell | str] = {
    split: experiment_lib.score(run, "adapted", split) for split in ("test", "transductive")
  }
  cells["lowest seed, test"] = experiment_lib.Cell(
    run, ("stages", "adapted", "test", "accuracy"), shown="lowest"
  )
  return experiment_lib.Row(name, title, cells)
