"""Figure 5: the test score over steps, with and without drift, and filters that die."""

from __future__ import annotations

from tfdam import experiment as experiment_lib

_METHODS = {
  "GAM": "gam",
  "GAM without drift": "gam_no_drift",
  "ADDA + drift": "adda_drift",
  "ADDA": "adda",
}
_ABOUT = (
  "Procedural streets to CamVid as in Table 3, but for many more steps, each of them larger"
  " (2e-4), and without a moving average. The line is the mean over seeds, the band from"
  " the lowest to the highest. The target's labels are read for the picture alone."
)


def get_experiment() -> experiment_lib.Experiment:
  runs = {
    title: experiment_lib.Run(
      f"configs/segmentation/streets_to_camvid.py:{method}",
      {
        "adapt.steps": 4_000,
        "adapt.target_learning_rate": 2e-4,
        "adapt.ema_momentum": 0.0,
        "loop.score_every": 200,
        "loop.watch_every": 200,
      },
    )
    for title, method in _METHODS.items()
  }
  return experiment_lib.Experiment(
    name="figure5",
    title="Figure 5: training longer",
    about=_ABOUT,
    tables=(
      experiment_lib.Table(
        name="last",
        title="At the last step",
        columns=("test mIoU", "pixel accuracy"),
        rows=tuple(_row(title, run) for title, run in runs.items()),
        corner="%",
      ),
    ),
    curves=(
      experiment_lib.Curves("test", "Test mIoU", runs, "test", "mIoU, %"),
      experiment_lib.Curves("dead", "Dead channels", runs, "dead", "channels of all taps"),
    ),
    seeds=3,
  )


def _row(title: str, run: experiment_lib.Run) -> experiment_lib.Row:
  name = run.config.partition(":")[2]
  cells = {
    "test mIoU": experiment_lib.score(run, "adapted", "test", "miou"),
    "pixel accuracy": experiment_lib.score(run, "adapted", "test", "pixel_accuracy"),
  }
  return experiment_lib.Row(name, title, cells)
