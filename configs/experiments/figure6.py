"""Figure 6: what target labels are worth to an adapted network, and to its source."""

from __future__ import annotations

from configs.experiments import _digits
from tfdam import experiment as experiment_lib

_ALL = 7_291
_COUNTS = (10, 30, 100, 300, 1_000, 3_000, _ALL)
_CONFIG = "configs/digits/mnist_to_usps.py"
_STAGES = {"from the source network": "source_only", "from the adapted one": "adapted"}
_ABOUT = (
  "Accuracy on USPS' test split after 1,000 steps of training on n labelled images of USPS"
  " (Adam 1e-4, batches of 128); percent, mean and standard deviation over seeds. Training"
  " starts from the network trained on MNIST, or from the one that GAM (recipe `release`)"
  " has adapted."
)


def get_experiment() -> experiment_lib.Experiment:
  gam = _digits.gam("mnist_to_usps")
  none = {title: experiment_lib.score(gam, stage) for title, stage in _STAGES.items()}
  rows = [experiment_lib.Row("labels_0", "0", none, x=1)]
  for count in _COUNTS:
    cells = {
      title: experiment_lib.score(_fine_tuned(gam, stage, count), "source_only")
      for title, stage in _STAGES.items()
    }
    rows.append(experiment_lib.Row(f"labels_{count}", f"{count:,}", cells, x=count))
  return experiment_lib.Experiment(
    name="figure6",
    title="Figure 6: labels' worth",
    about="Fine-tuning on labelled images of the target.",
    tables=(
      experiment_lib.Table(
        name="mnist_to_usps",
        title="MNIST to USPS",
        columns=tuple(_STAGES),
        rows=tuple(rows),
        corner="labelled images",
        about=_ABOUT,
        chart=("labelled images of the target (the first point: none)", "accuracy, %"),
      ),
    ),
    seeds=3,
  )


def _fine_tuned(start: experiment_lib.Run, stage: str, count: int) -> experiment_lib.Run:
  fields = {
    "source.steps": 1_000,
    "source.learning_rate": 1e-4,
    "data.source_limit": 0 if count == _ALL else count,
  }
  return experiment_lib.Run(
    f"{_CONFIG}:release,supervised", fields, starts_from=start, starts_stage=stage
  )
