"""Table 1: accuracy on the target's digits, by method."""

from __future__ import annotations

from configs.experiments import _digits
from tfdam import experiment as experiment_lib

# As printed, percent: pairs, then methods in the order of the rows below.
_PUBLISHED = {
  "mnist_to_usps": ("96.4", "77.8", "", "", "85.0", "90.2 ± 0.9", "90.5 ± 0.5",
                    "95.6 ± 0.6", "95.7 ± 0.5"),
  "usps_to_mnist": ("99.9", "70.7", "", "", "90.9", "97.2 ± 0.4", "97.4 ± 0.6",
                    "97.8 ± 0.6", "98.0 ± 0.5"),
  "svhn_to_mnist": ("99.9", "60.3", "", "", "69.9", "72.0 ± 0.6", "73.5 ± 0.8",
                    "73.6 ± 0.6", "74.6 ± 1.1"),
}  # fmt: skip
# What the paper calls a row, the method that gives it, and the stage that it is.
_ROWS = (
  ("Supervised baseline", "supervised", "source_only"),
  ("No adaptation", "gam", "source_only"),
  ("AdaBN (LeNet with batch norms)", "adabn", "gaussian"),
  ("Gaussian matching", "gam", "gaussian"),
  ("Long et al. (JAN)", "jan", "adapted"),
  ("ADDA", "adda", "adapted"),
  ("ADDA + drift", "adda_drift", "adapted"),
  ("GAM without drift", "gam_no_drift", "adapted"),
  ("GAM", "gam", "adapted"),
)
_TITLES = {"mnist": "MNIST", "usps": "USPS", "svhn": "SVHN"}
_COLUMNS = ("test", "transductive", "paper")
_ABOUT = (
  "Accuracy on the target, percent, mean and standard deviation over seeds: of its test"
  " split, and of the training images that were adapted to (transductive; the paper's"
  " released code scores those). USPS is the set of 7,291 and 2,007 images of 16x16."
  " Settings are those of the released code (recipe `release`), of the network at the last"
  " step; no target label chose any of them."
)


def get_experiment() -> experiment_lib.Experiment:
  return experiment_lib.Experiment(
    name="table1",
    title="Table 1: digits",
    about="LeNet, trained on the source's digits and adapted to the target's.",
    tables=tuple(map(_table, _PUBLISHED)),
  )


def _table(pair: str) -> experiment_lib.Table:
  source, target = (_TITLES[name] for name in pair.split("_to_"))
  rows = zip(_ROWS, _PUBLISHED[pair])
  return experiment_lib.Table(
    name=pair,
    title=f"{source} to {target}",
    columns=_COLUMNS,
    rows=tuple(_row(pair, *row, published) for row, published in rows),
    corner="accuracy, %",
    about=_ABOUT,
  )


def _row(
  pair: str, title: str, method: str, stage: str, published: str
) -> experiment_lib.Row:
  run = experiment_lib.Run(f"configs/digits/{pair}.py:release,{method}")
  if method == "gam":
    run = _digits.gam(pair)
  cells = {split: experiment_lib.score(run, stage, split) for split in _COLUMNS[:2]}
  name = method if stage == "adapted" or method != "gam" else stage
  return experiment_lib.Row(f"{pair}_{name}", title, {**cells, "paper": published})
